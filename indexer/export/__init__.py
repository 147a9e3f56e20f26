"""Export: an index for other programs, as GeoParquet with STAC beside it."""
