"""gair/checkpoints."""
