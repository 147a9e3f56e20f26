"""Points around a place in metres, and the score on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.geo import EARTH_RADIUS_M

Floats = npt.NDArray[np.float64]

LOCATION_M = 50.0
"""Between points where the location encoder is read. Its shortest waves are some 20 km long, so
cosines in between are off by less than 2e-4; float32 itself is off by up to 1e-4 (demo model)."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The score around a start, on a square grid."""

    lonlat_deg: Floats
    """(g, g, 2); rows from north to south, columns from west to east."""
    scores: Floats
    """(g, g); NaN outside the radius and outside the index."""
    spacing_m: float
    """Between neighbouring points."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what is not known is None."""
        rounded = np.round(self.scores, 6).tolist()
        return {
            "spacing_m": round(self.spacing_m, 3),
            "lonlat_deg": np.round(self.lonlat_deg, 7).tolist(),
            "scores": [[v if math.isfinite(v) else None for v in row] for row in rounded],
        }

    def to_geojson(self) -> dict[str, Any]:
        """A FeatureCollection: a square for each point of the grid that has a score."""
        middle = self.lonlat_deg[len(self.scores) // 2, len(self.scores) // 2]
        half_m = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * self.spacing_m / 2
        corners = half_m / m_per_deg(middle[1])
        features = [
            {
                "type": "Feature",
                "properties": {"score": round(float(self.scores[at]), 6)},
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [np.round(self.lonlat_deg[at] + corners, 7).tolist()],
                },
            }
            for at in zip(*np.nonzero(np.isfinite(self.scores)), strict=True)
        ]
        return {"type": "FeatureCollection", "features": features}


def square_grid(steps: int, spacing_m: float) -> Floats:
    """(g, g, 2) metres east and north; rows from north to south."""
    along = np.arange(-steps, steps + 1) * spacing_m
    return np.stack(np.meshgrid(along, -along), axis=-1)


def moved(start: Floats, east_north_m: Floats) -> Floats:
    """(..., 2) metres from a (2,) place to longitude, latitude."""
    moved = start + east_north_m / m_per_deg(start[1])
    moved[..., 0] = (moved[..., 0] + 180) % 360 - 180
    return np.asarray(moved)


def m_per_deg(latitude_deg: float) -> Floats:
    """(2,) metres of a degree of longitude and of latitude."""
    return np.array([math.cos(math.radians(latitude_deg)), 1.0]) * math.radians(EARTH_RADIUS_M)


def lattice_around(points_m: Floats) -> tuple[Floats, csr_array]:
    """Lattice points around (n, 2) points: (L, 2), and (n, L) how much each counts at each."""
    reach_m = float(np.abs(points_m).max())
    steps = max(1, math.ceil(reach_m / LOCATION_M))
    side, step_m = 2 * steps + 1, max(reach_m, 1.0) / steps
    at = points_m / step_m + steps  # (n, 2) columns and rows
    low = np.clip(np.floor(at), 0, side - 2)
    share = at - low
    corner = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    weight = np.where(corner, share[:, None], 1 - share[:, None]).prod(axis=-1)  # (n, 4)
    index = (low[:, None] + corner).astype(np.int64) @ [1, side]
    used, column = np.unique(index[weight > 0], return_inverse=True)
    row = np.nonzero(weight > 0)[0]
    shape = (len(points_m), len(used))
    lattice_m = (np.stack([used % side, used // side], axis=-1) - steps) * step_m
    return lattice_m, csr_array((weight[weight > 0], (row, column)), shape=shape)
