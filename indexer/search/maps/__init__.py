"""Maps of a search: heat maps of scores and posteriors, and pictures of the ground."""
