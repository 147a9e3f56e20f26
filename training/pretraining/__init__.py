"""training/pretraining."""
