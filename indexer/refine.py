"""Between cell centres: climb from a cell to the best point around it.

Cells are samples of a continuous score,

    score(x) = rs_weight * cos(s, z(x)) + location_weight * cos(s, e(x)),

and with the token maps of a build it can be read anywhere. Around a start it is read on a square
grid a quarter of a token fine, within a radius. The *peak* is then found on finer and finer grids
around the best point; the *mean* is the mean place under exp(sharpness * score). On a synthetic
city that the model never saw the mean is the better guess: the model is right about neighbourhoods
rather than points. Only points in cells of the index count, so the answer stays where there is
imagery. Nothing is random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.token_reader import TokenReader

Floats = npt.NDArray[np.float64]

Estimate = Literal["peak", "mean"]

RADIUS_CELLS = 1.5
"""Least radius where none is given, in distances between neighbouring cells."""
MEAN_RADIUS_TOKENS = 3.5
"""Least radius of a mean where none is given, in sides of a token."""
POINTS_A_TOKEN = 4
"""Grid points along the side of a token, at first."""
LOCATION_M = 50.0
"""Between points where the location encoder is read. Its shortest waves are some 20 km long: cosines
in between are off by less than 1e-4, when float32 itself is off by up to 6e-5 (demo model)."""
_FINER = 4
_FINEST_M = 2.0
_MOST_STEPS = 100
"""Of the first grid, from its middle to its edge: a larger radius makes it coarser."""


@dataclass(frozen=True)
class RefineOptions:
    """What to climb."""

    rs_weight: float = 0.5
    """Weight of the imagery's cosine."""
    location_weight: float = 0.5
    """Weight of the location's cosine."""
    radius_m: float | None = None
    """How far from the start; None: :func:`default_radius_m`."""
    estimate: Estimate = "peak"
    """The best point, or the mean place within the radius."""
    sharpness: float = 1.0
    """Factor of the score in the mean: 1 where the weights are those of a calibration
    (:class:`indexer.posterior.Sharpness`), 1 / temperature of the training where there is none."""


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
        corners = half_m / _m_per_deg(middle[1])
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


@dataclass(frozen=True, eq=False)
class Refined:
    """The place that a start was refined to."""

    lon_deg: float
    lat_deg: float
    score: float
    """``rs_weight * rs_score + location_weight * location_score``."""
    rs_score: float
    """cos(s, z) there."""
    location_score: float
    """cos(s, e) there."""
    moved_m: float
    """From the start."""
    surface: Surface


def refine(
    reader: TokenReader,
    s: npt.NDArray[np.float32],
    lonlat_deg: npt.ArrayLike,
    options: RefineOptions | None = None,
) -> Refined:
    """Refine one place of one photo.

    Args:
        reader: of the index.
        s: (D,) the photo's vector.
        lonlat_deg: (2,) where to start, such as a candidate's cell centre.
        options: weights, radius and the kind of estimate.

    Returns:
        The place; the start itself if it is the best.

    Raises:
        UsageError: the start lies in no cell of the index, or the radius is not above 0.
    """
    place = np.asarray(lonlat_deg, dtype=np.float64).reshape(1, 2)
    return refine_places(reader, s, place, options)[0]


def refine_places(
    reader: TokenReader,
    s: npt.NDArray[np.float32],
    lonlat_deg: npt.ArrayLike,
    options: RefineOptions | None = None,
) -> list[Refined]:
    """Refine several places of one photo, each as :func:`refine` does, in fewer steps.

    Args:
        reader: of the index.
        s: (D,) the photo's vector.
        lonlat_deg: (P, 2) where to start.
        options: weights, radius and the kind of estimate.

    Raises:
        UsageError: as for :func:`refine`.
    """
    options = options or RefineOptions()
    starts = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
    radius_m = _radius_m(reader, options)
    _check_starts(reader, starts)
    score = _Score(reader, s, options)
    spacing_m = max(reader.token_m / POINTS_A_TOKEN, radius_m / _MOST_STEPS)
    grid_m = _grid(int(radius_m // spacing_m), spacing_m)
    within = np.hypot(*np.moveaxis(grid_m, -1, 0)) <= radius_m
    found = _first_scores(score, starts, grid_m[within], spacing_m)  # (P, points)
    surfaces, best = [], np.empty_like(starts)
    for number, start in enumerate(starts):
        scores = np.full(within.shape, np.nan)
        scores[within] = found[number]
        surfaces.append(Surface(_moved(start, grid_m), scores, spacing_m))
        best_m = None
        if options.estimate == "mean":
            best_m = _mean(grid_m, options.sharpness * scores)
        if best_m is None or not reader.indexed(_moved(start, best_m))[0]:
            best_m = _peak(score, start, (grid_m, scores), spacing_m, radius_m)
        best[number] = _moved(start, best_m)
    return _refined(score, starts, best, surfaces)


def _first_scores(score: _Score, starts: Floats, points_m: Floats, spacing_m: float) -> Floats:
    """The score at (n, 2) metres from each of (P, 2) starts, (P, n); NaN outside the index.

    The location's part bends over kilometres: it is read on a coarse lattice, linear in between.
    """
    lonlat_deg = np.stack([_moved(start, points_m) for start in starts])
    if not score.options.location_weight or spacing_m > LOCATION_M / 2:
        return score(lonlat_deg)
    lattice_m, weights = _lattice(points_m)
    at = np.concatenate([_moved(start, lattice_m) for start in starts])
    cosines = (score.reader.locations(at) @ score.s).reshape(len(starts), -1)
    return score(lonlat_deg, np.asarray((weights @ cosines.T).T))


def _lattice(points_m: Floats) -> tuple[Floats, csr_array]:
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


def _radius_m(reader: TokenReader, options: RefineOptions) -> float:
    radius_m = options.radius_m
    if radius_m is None:
        radius_m = default_radius_m(reader, options.estimate)
    if not (np.isfinite(radius_m) and radius_m > 0):
        raise UsageError(f"refinement radius {radius_m} m: it must be above 0")
    return radius_m


def _check_starts(reader: TokenReader, starts: Floats) -> None:
    outside = starts[~reader.indexed(starts)]
    if len(outside):
        raise UsageError(
            f"the place at longitude {outside[0, 0]:.6f}, latitude {outside[0, 1]:.6f} lies in no "
            f"cell of index {reader.index.name!r}: start from a cell"
        )


def default_radius_m(reader: TokenReader, estimate: Estimate) -> float:
    """How far to look: to the cells around, and for a mean as far as the score is wide."""
    cells_m = RADIUS_CELLS * reader.field.spacing_m
    return cells_m if estimate == "peak" else max(cells_m, MEAN_RADIUS_TOKENS * reader.token_m)


def _peak(
    score: _Score,
    start: Floats,
    first: tuple[Floats, Floats],
    spacing_m: float,
    radius_m: float,
) -> Floats:
    """(2,) metres east and north of the start: the best point, from coarse to fine."""
    grid_m, scores = first
    while True:
        best_m = np.asarray(grid_m[np.unravel_index(np.nanargmax(scores), scores.shape)])
        if spacing_m <= _FINEST_M:
            return best_m
        spacing_m /= _FINER
        grid_m = best_m + _grid(_FINER, spacing_m)
        scores = score(_moved(start, grid_m))
        scores[np.hypot(*np.moveaxis(grid_m, -1, 0)) > radius_m] = np.nan


def _mean(grid_m: Floats, scores: Floats) -> Floats:
    """(2,) metres: the mean place under exp(score)."""
    p = np.exp(scores - np.nanmax(scores))
    p[np.isnan(p)] = 0
    return np.asarray((p[..., None] * grid_m).sum(axis=(0, 1)) / p.sum())


def _refined(score: _Score, starts: Floats, best: Floats, surfaces: list[Surface]) -> list[Refined]:
    weights = score.options
    rs = (score.reader.localized(best) @ score.s).astype(np.float64)
    location = (score.reader.locations(best) @ score.s).astype(np.float64)
    fused = weights.rs_weight * rs + weights.location_weight * location
    return [
        Refined(
            lon_deg=float(best[n, 0]),
            lat_deg=float(best[n, 1]),
            score=float(fused[n]),
            rs_score=float(rs[n]),
            location_score=float(location[n]),
            moved_m=float(haversine_m(starts[n], best[n])),
            surface=surface,
        )
        for n, surface in enumerate(surfaces)
    ]


@dataclass(frozen=True, eq=False)
class _Score:
    """The score of one photo at any points."""

    reader: TokenReader
    s: npt.NDArray[np.float32]
    options: RefineOptions

    def __call__(self, lonlat_deg: Floats, location: Floats | None = None) -> Floats:
        """(..., 2) points to (...); NaN outside the index. The location's part may be known."""
        points = lonlat_deg.reshape(-1, 2)
        out = np.full(len(points), np.nan)
        inside = self.reader.indexed(points)
        rs, own = self.parts(points[inside], location is None)
        if location is not None:
            own = location.reshape(-1)[inside]
        out[inside] = self.options.rs_weight * rs + self.options.location_weight * own
        return out.reshape(lonlat_deg.shape[:-1])

    def parts(self, points: Floats, located: bool = True) -> tuple[Floats, Floats]:
        """cos(s, z) and cos(s, e) of (Q, 2) points; 0 for what has no weight or is not asked."""
        rs = location = np.zeros(len(points))
        if self.options.rs_weight:
            rs = (self.reader.localized(points) @ self.s).astype(np.float64)
        if located and self.options.location_weight:
            location = (self.reader.locations(points) @ self.s).astype(np.float64)
        return rs, location


def _grid(steps: int, spacing_m: float) -> Floats:
    """(g, g, 2) metres east and north; rows from north to south."""
    along = np.arange(-steps, steps + 1) * spacing_m
    return np.stack(np.meshgrid(along, -along), axis=-1)


def _moved(start: Floats, east_north_m: Floats) -> Floats:
    """(..., 2) metres from a (2,) place to longitude, latitude."""
    moved = start + east_north_m / _m_per_deg(start[1])
    moved[..., 0] = (moved[..., 0] + 180) % 360 - 180
    return np.asarray(moved)


def _m_per_deg(latitude_deg: float) -> Floats:
    """(2,) metres of a degree of longitude and of latitude."""
    return np.array([math.cos(math.radians(latitude_deg)), 1.0]) * math.radians(EARTH_RADIUS_M)
