"""indexer/photos."""
