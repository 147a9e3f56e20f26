"""Globe of synthetic cities: where each one floats, and the looks that neighbours share.

Cities stand on a grid in the ocean. A part of their style changes over 50 to 100 km, so what an
unseen city looks like can partly be told from where it is, as in a real region.
"""

from __future__ import annotations

import functools
import zlib

import numpy as np

from training.synthetic.noise import Reals, SmoothField

SHARED_STEP_M = 75_000.0
"""Grid step of the fields that cities share."""

_CELLS_WIDE, _CELLS_HIGH, _CELL_DEG = 40, 12, 0.5
_FIRST_LONLAT_DEG = (-48.0, 35.25)
_METRES_PER_DEG = 111_320.0


def centre_lonlat_deg(seed: int) -> tuple[float, float]:
    """Where a city floats: seeds that differ by less than 480 never share a place."""
    row, column = divmod(seed % (_CELLS_HIGH * _CELLS_WIDE), _CELLS_WIDE)
    lon, lat = _FIRST_LONLAT_DEG
    return lon + column * _CELL_DEG, lat + row * _CELL_DEG


def shared_normal(name: str, seed: int, side_m: float, x_m: Reals, y_m: Reals) -> Reals:
    """The shared part of a latent number, of mean 0 and variance 1 over the globe.

    Args:
        name: of the latent number.
        seed: of the city.
        side_m: of its world.
        x_m: metres to the east of the city's north-west corner; broadcasts with ``y_m``.
        y_m: metres to the south of it.
    """
    lon, lat = centre_lonlat_deg(seed)
    first_lon, first_lat = _FIRST_LONLAT_DEG
    last_lat = first_lat + _CELLS_HIGH * _CELL_DEG
    # Plate carree around the middle of the grid: its parallels are 0.8 degrees of the equator.
    east_m = (lon - first_lon) * 0.8 * _METRES_PER_DEG + SHARED_STEP_M - side_m / 2
    south_m = (last_lat - lat) * _METRES_PER_DEG + SHARED_STEP_M - side_m / 2
    return _field(name).normal(x_m + np.float32(east_m), y_m + np.float32(south_m))


@functools.cache
def _field(name: str) -> SmoothField:
    rng = np.random.default_rng([75, zlib.crc32(name.encode())])
    wide_m = _CELLS_WIDE * _CELL_DEG * _METRES_PER_DEG
    return SmoothField(rng, wide_m, {SHARED_STEP_M: 1.0})
