"""indexer/calibrate."""
