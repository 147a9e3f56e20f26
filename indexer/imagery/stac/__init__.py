"""indexer/imagery/stac."""
