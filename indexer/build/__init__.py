"""indexer/build."""
