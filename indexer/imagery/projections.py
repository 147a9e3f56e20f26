"""Transformations between coordinate systems, made once: making one costs more than using it."""

from __future__ import annotations

import functools

import pyproj


@functools.lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """From one CRS to another, x before y; safe to use in several threads at once."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
