"""training/experiments."""
