"""Transformations between coordinate systems, made once: making one costs more than using it."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyproj

from gair.arrays import Floats

_STEP_PX = 16
"""PROJ is asked for every sixteenth pixel: on pixels of 10 m that is a few millimetres off."""


@functools.lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """From one CRS to another, x before y; safe to use in several threads at once."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def transformed_grid(to_other: pyproj.Transformer, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The pixels of a raster in another CRS.

    Args:
        to_other: from the CRS of the raster.
        x: (W,) of the columns, evenly spaced.
        y: (H,) of the rows, evenly spaced.

    Returns:
        Two arrays (H, W), x and y in the other CRS.
    """
    columns, rows = _nodes(len(x)), _nodes(len(y))
    found = to_other.transform(*np.meshgrid(x[columns], y[rows]))
    if not np.isfinite(found).all():
        across, down = to_other.transform(*np.meshgrid(x, y))
        return np.asarray(across), np.asarray(down)
    left, right = _between(rows, len(y)), _between(columns, len(x)).T
    return left @ found[0] @ right, left @ found[1] @ right


def _nodes(count: int) -> npt.NDArray[np.int64]:
    return np.unique(np.append(np.arange(0, count, _STEP_PX), count - 1))


def _between(nodes: npt.NDArray[np.int64], count: int) -> Floats:
    """(count, n) weights of the nodes at each place."""
    places = np.arange(count)
    return np.stack([np.interp(places, nodes, one) for one in np.eye(len(nodes))], axis=1)
