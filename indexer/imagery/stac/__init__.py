"""Imagery from a STAC catalogue; :func:`.imagery.open_stac` is its way in."""
