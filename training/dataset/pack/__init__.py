"""training/dataset/pack."""
