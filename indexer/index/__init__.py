"""indexer/index."""
