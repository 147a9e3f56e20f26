"""indexer/evaluate/report."""
