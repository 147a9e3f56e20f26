"""indexer/regions."""
