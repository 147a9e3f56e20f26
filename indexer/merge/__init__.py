"""indexer/merge."""
