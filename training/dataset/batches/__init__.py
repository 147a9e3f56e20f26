"""training/dataset/batches."""
