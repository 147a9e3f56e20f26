"""indexer/export."""
