"""Coordinates: one reader of places as people write them, for command line, page and programs."""
