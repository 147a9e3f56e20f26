"""Grids of points around a place, in metres east and north: the ground as a plane."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array

from gair.arrays import Floats
from gair.geo import EARTH_RADIUS_M


def square_grid(steps: int, spacing_m: float) -> Floats:
    """(g, g, 2) metres east and north; rows from north to south."""
    along = np.arange(-steps, steps + 1) * spacing_m
    return np.stack(np.meshgrid(along, -along), axis=-1)


def moved(start: Floats, east_north_m: Floats) -> Floats:
    """(..., 2) metres from a (2,) place to longitude, latitude."""
    lonlat_deg = start + east_north_m / m_per_deg(start[1])
    lonlat_deg[..., 0] = (lonlat_deg[..., 0] + 180) % 360 - 180
    return np.asarray(lonlat_deg)


def m_per_deg(latitude_deg: float) -> Floats:
    """(2,) metres of a degree of longitude and of latitude."""
    return np.array([math.cos(math.radians(latitude_deg)), 1.0]) * math.radians(EARTH_RADIUS_M)


def lattice_around(points_m: Floats, most_step_m: float) -> tuple[Floats, csr_array]:
    """Lattice points around (n, 2) points: (L, 2), and (n, L) how much each counts at each."""
    reach_m = float(np.abs(points_m).max())
    steps = max(1, math.ceil(reach_m / most_step_m))
    side, step_m = 2 * steps + 1, max(reach_m, 1.0) / steps
    at = points_m / step_m + steps  # (n, 2) columns and rows
    low = np.clip(np.floor(at), 0, side - 2)
    share = at - low
    # Bilinear: each point has a share in the four corners of its square of the lattice.
    corner = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    weight = np.where(corner, share[:, None], 1 - share[:, None]).prod(axis=-1)  # (n, 4)
    index = (low[:, None] + corner).astype(np.int64) @ [1, side]
    used, column = np.unique(index[weight > 0], return_inverse=True)
    row = np.nonzero(weight > 0)[0]
    shape = (len(points_m), len(used))
    lattice_m = (np.stack([used % side, used // side], axis=-1) - steps) * step_m
    return lattice_m, csr_array((weight[weight > 0], (row, column)), shape=shape)
