"""Photos: opened safely, upright, in RGB, with the place their tags disclose."""
