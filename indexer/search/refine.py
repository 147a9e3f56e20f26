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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M, haversine_m
from indexer.search.token_reader import TokenReader

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


Estimate = Literal["peak", "mean"]

RADIUS_CELLS = 1.5
"""Least radius where none is given, in distances between neighbouring cells."""

MEAN_RADIUS_TOKENS = 3.5
"""Least radius of a mean where none is given, in sides of a token."""

POINTS_A_TOKEN = 4
"""Grid points along the side of a token, at first."""

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
    (:class:`indexer.probability.posterior.ScoreWeights`), 1 / temperature of the training where there is none."""


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


@dataclass(frozen=True, eq=False)
class Refining:
    """What is to be refined: some places of one photo."""

    s: npt.NDArray[np.float32]
    """(D,) the photo's vector."""
    lonlat_deg: Floats
    """(P, 2) where to start, such as the cell centres of candidates."""
    options: RefineOptions = RefineOptions()


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
    return refine_each(reader, [Refining(s, place, options or RefineOptions())])[0][0]


def refine_each(reader: TokenReader, asked: Sequence[Refining]) -> list[list[Refined]]:
    """Refine places of several photos, each as :func:`refine` does, in one pass over the tokens.

    Together or alone, the answers are the same but for the rounding of matrix products in float32.

    Raises:
        UsageError: as for :func:`refine`.
    """
    if not asked:
        return []
    grids = [_grid_of(reader, one) for one in asked]
    surfaces = _surfaces(reader, grids)
    best = [
        np.array([_best(reader, grid, start, one) for start, one in enumerate(some)]).reshape(-1, 2)
        for grid, some in zip(grids, surfaces, strict=True)
    ]
    rs = _cosines(reader.localized, best, asked)
    location = _cosines(reader.locations, best, asked)
    parts = zip(asked, best, rs, location, surfaces, strict=True)
    return [_refined(*of_one) for of_one in parts]


@dataclass(frozen=True, eq=False)
class _Grid:
    """The first points around the places of one photo."""

    asked: Refining
    radius_m: float
    spacing_m: float
    grid_m: Floats
    """(g, g, 2) metres east and north of a start."""
    within: npt.NDArray[np.bool_]
    """(g, g) which of them lie within the radius."""

    @property
    def lonlat_deg(self) -> Floats:
        """(P, n, 2) the points within the radius of each start."""
        points_m = self.grid_m[self.within]
        around = [moved(start, points_m) for start in self.asked.lonlat_deg]
        return np.array(around).reshape(-1, len(points_m), 2)


def _grid_of(reader: TokenReader, asked: Refining) -> _Grid:
    radius_m = _radius_m(reader, asked.options)
    _check_starts(reader, asked.lonlat_deg)
    spacing_m = max(reader.token_m / POINTS_A_TOKEN, radius_m / _MOST_STEPS)
    grid_m = square_grid(int(radius_m // spacing_m), spacing_m)
    within = np.hypot(*np.moveaxis(grid_m, -1, 0)) <= radius_m
    return _Grid(asked, radius_m, spacing_m, grid_m, within)


def _surfaces(reader: TokenReader, grids: Sequence[_Grid]) -> list[list[Surface]]:
    """The score on the grid around every place; NaN beyond the radius and outside the index."""
    points = [grid.lonlat_deg.reshape(-1, 2) for grid in grids]
    inside = _split(reader.indexed(np.concatenate(points)), points)
    read = [some[known] for some, known in zip(points, inside, strict=True)]
    asked = [grid.asked for grid in grids]
    rs = _cosines(reader.localized, read, asked, [one.options.rs_weight for one in asked])
    location = _location_cosines(reader, grids, points)
    found = []
    for n, (grid, known) in enumerate(zip(grids, inside, strict=True)):
        options = grid.asked.options
        score = np.full(len(known), np.nan)
        score[known] = options.rs_weight * rs[n] + options.location_weight * location[n][known]
        starts = grid.asked.lonlat_deg
        scores = np.full((len(starts), *grid.within.shape), np.nan)
        scores[:, grid.within] = score.reshape(len(starts), -1)
        around = zip(starts, scores, strict=True)
        found.append([Surface(moved(at, grid.grid_m), some, grid.spacing_m) for at, some in around])
    return found


def _location_cosines(
    reader: TokenReader, grids: Sequence[_Grid], points: Sequence[Floats]
) -> list[Floats]:
    """cos(s, e) of every photo's (Q, 2) points.

    It bends over kilometres: it is read on a coarse lattice, and is linear in between.
    """
    read: list[Floats] = []
    weights: list[csr_array | None] = []
    for grid, some in zip(grids, points, strict=True):
        if grid.spacing_m > LOCATION_M / 2:
            read.append(some)
            weights.append(None)
            continue
        lattice_m, weight = lattice_around(grid.grid_m[grid.within])
        starts = grid.asked.lonlat_deg
        read.append(np.array([moved(start, lattice_m) for start in starts]).reshape(-1, 2))
        weights.append(weight)
    asked = [grid.asked for grid in grids]
    wanted = [one.options.location_weight for one in asked]
    return [
        some
        if weight is None
        else np.asarray(weight @ some.reshape(len(one.lonlat_deg), -1).T).T.reshape(-1)
        for one, some, weight in zip(
            asked, _cosines(reader.locations, read, asked, wanted), weights, strict=True
        )
    ]


def _cosines(
    read: Callable[[Floats], npt.NDArray[np.float32]],
    points: Sequence[Floats],
    asked: Sequence[Refining],
    wanted: Sequence[float] | None = None,
) -> list[Floats]:
    """Cosines of each photo with what is read at its own (Q, 2) points, all read together.

    Args:
        read: (Q, 2) points to (Q, D) vectors.
        points: of each photo.
        asked: the photos.
        wanted: the part's weight for each photo; where it is 0, nothing is read and all are 0.
    """
    some = [
        at if wanted is None or wanted[number] else np.empty((0, 2))
        for number, at in enumerate(points)
    ]
    together = np.concatenate(some)
    vectors = _split(read(together), some) if len(together) else [None] * len(some)
    return [
        np.zeros(len(at)) if v is None or len(v) < len(at) else (v @ one.s).astype(np.float64)
        for at, v, one in zip(points, vectors, asked, strict=True)
    ]


def _split(values: npt.NDArray[Any], like: Sequence[Floats]) -> list[npt.NDArray[Any]]:
    """(Q, ...) values of all photos, photo by photo."""
    return np.split(values, np.cumsum([len(some) for some in like])[:-1])


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


def _best(reader: TokenReader, grid: _Grid, number: int, surface: Surface) -> Floats:
    """(2,) longitude, latitude of the place that a start is refined to."""
    start, options = grid.asked.lonlat_deg[number], grid.asked.options
    if options.estimate == "mean":
        found = moved(start, _mean(grid.grid_m, options.sharpness * surface.scores))
        if reader.indexed(found)[0]:
            return found
    return moved(start, _peak(reader, grid, start, surface.scores))


def _peak(reader: TokenReader, grid: _Grid, start: Floats, scores: Floats) -> Floats:
    """(2,) metres east and north of the start: the best point, from coarse to fine."""
    grid_m, spacing_m = grid.grid_m, grid.spacing_m
    while True:
        best_m = np.asarray(grid_m[np.unravel_index(np.nanargmax(scores), scores.shape)])
        if spacing_m <= _FINEST_M:
            return best_m
        spacing_m /= _FINER
        grid_m = best_m + square_grid(_FINER, spacing_m)
        scores = _scores(reader, grid.asked, moved(start, grid_m))
        scores[np.hypot(*np.moveaxis(grid_m, -1, 0)) > grid.radius_m] = np.nan


def _scores(reader: TokenReader, asked: Refining, lonlat_deg: Floats) -> Floats:
    """The score of one photo at (..., 2) points, (...); NaN outside the index."""
    points = lonlat_deg.reshape(-1, 2)
    inside, options = reader.indexed(points), asked.options
    at = [points[inside]]
    (rs,) = _cosines(reader.localized, at, [asked], [options.rs_weight])
    (location,) = _cosines(reader.locations, at, [asked], [options.location_weight])
    out = np.full(len(points), np.nan)
    out[inside] = options.rs_weight * rs + options.location_weight * location
    return out.reshape(lonlat_deg.shape[:-1])


def _mean(grid_m: Floats, scores: Floats) -> Floats:
    """(2,) metres: the mean place under exp(score)."""
    p = np.exp(scores - np.nanmax(scores))
    p[np.isnan(p)] = 0
    return np.asarray((p[..., None] * grid_m).sum(axis=(0, 1)) / p.sum())


def _refined(
    asked: Refining, best: Floats, rs: Floats, location: Floats, surfaces: Sequence[Surface]
) -> list[Refined]:
    fused = asked.options.rs_weight * rs + asked.options.location_weight * location
    return [
        Refined(
            lon_deg=float(best[n, 0]),
            lat_deg=float(best[n, 1]),
            score=float(fused[n]),
            rs_score=float(rs[n]),
            location_score=float(location[n]),
            moved_m=float(haversine_m(asked.lonlat_deg[n], best[n])),
            surface=surface,
        )
        for n, surface in enumerate(surfaces)
    ]
