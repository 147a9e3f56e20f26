"""indexer/probability."""
