"""Packing of photos and imagery into a data set; :mod:`.pack` is its way in."""
