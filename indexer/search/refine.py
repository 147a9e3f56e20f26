"""Refined points between the centres of cells: the best, or the mean place around a cell.

Cells are samples of a continuous score,

    score(x) = rs_weight * cos(s, z(x)) + location_weight * cos(s, e(x)) + ground_weight * g(x),

where g is what reference photos say (:mod:`indexer.ground.likelihood`), if there are any; and with
the token maps of a build it can be read anywhere. Around a start it is read on a square grid a
quarter of a token fine, within a radius. The *peak* is then found on finer and finer grids around
the best point; the *mean* is the mean place under exp(sharpness * score). On a synthetic
city that the model never saw the mean is the better guess: the model is right about neighbourhoods
rather than points. Only points in cells of the index count, so the answer stays where there is
imagery. Nothing is random.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from gair.arrays import Bools, Floats, Vectors
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.regions.flat_grid import lattice_around, moved, square_grid
from indexer.search.token_reader import TokenReader

if TYPE_CHECKING:
    from gair.model import Gair

Estimate = Literal["peak", "mean"]

RADIUS_CELLS = 1.5
"""Least radius where none is given, in distances between neighbouring cells."""
MEAN_RADIUS_TOKENS = 3.5
"""Least radius of a mean where none is given, in sides of a token."""
POINTS_A_TOKEN = 4
"""Grid points along the side of a token, at first."""
_READS_A_WAVE = 640
"""Points where the location encoder is read, along its shortest wave: cosines in between are off by
less than 2e-4, measured by tests/indexer/search/test_refine.py."""

_READS_A_KERNEL = 4
"""Points where what reference photos say is read, along the width of their kernel."""
_READ_AT_ONCE = 65_536
"""Points whose vectors are in memory together: 200 MB at 768 dimensions."""
_FINER = 4
_FINEST_M = 2.0
_MOST_STEPS = 100
"""Of the first grid, from its middle to its edge: a larger radius makes it coarser."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The score around a start, on a square grid."""

    lonlat_deg: Floats
    """(g, g, 2); rows from north to south, columns from west to east."""
    scores: Floats
    """(g, g); NaN outside the radius and outside the index."""
    spacing_m: float
    """Between neighbouring points."""


def location_step_m(model: Gair) -> float:
    """Between points where the location encoder is read; linear in between, cosines hold."""
    return model.location.shortest_wave_m / _READS_A_WAVE


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
    (:class:`ScoreWeights`), 1 / temperature of the training where there is none."""
    ground_weight: float = 0.0
    """Weight of the reference photos' log ratio."""


@dataclass(frozen=True, eq=False)
class GroundReading:
    """What reference photos say of the photos of one place, anywhere."""

    read: Callable[[Floats], Floats]
    """(Q, 2) points that lie together to (Q,) log ratios."""
    kernel_m: float
    """It is smooth over so many metres."""


@dataclass(frozen=True, eq=False)
class Refined:
    """The place that a start was refined to."""

    lon_deg: float
    lat_deg: float
    score: float
    """The weighted sum of the three below."""
    rs_score: float
    """cos(s, z) there."""
    location_score: float
    """cos(s, e) there."""
    ground_score: float
    """The reference photos' log ratio there; 0 without any."""
    moved_m: float
    """From the start."""
    surface: Surface


@dataclass(frozen=True, eq=False)
class Refining:
    """Places of one photo that are to be refined."""

    s: Vectors
    """(D,) the photo's vector."""
    lonlat_deg: Floats
    """(P, 2) where to start, such as the cell centres of candidates."""
    options: RefineOptions = RefineOptions()
    ground: GroundReading | None = None
    """What reference photos say of the photo; None where they have no weight."""


def refine(
    reader: TokenReader,
    s: Vectors,
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


def refine_each(reader: TokenReader, refinings: Sequence[Refining]) -> list[list[Refined]]:
    """Refine places of several photos, each as :func:`refine` does, in one pass over the tokens.

    Together or alone, the answers are the same but for the rounding of matrix products in float32.

    Raises:
        UsageError: as for :func:`refine`.
    """
    if not refinings:
        return []
    grids = [_grid_of(reader, refining) for refining in refinings]
    scores = _scores_on(reader, grids)
    best = _best_of_each(reader, grids, scores)
    surfaces = [_surfaces(*of_photo) for of_photo in zip(grids, scores, strict=True)]
    rs = _cosines(reader.localized, best, refinings)
    location = _cosines(reader.locations, best, refinings)
    ground = [_read_each(refining, at) for refining, at in zip(refinings, best, strict=True)]
    of_photos = zip(refinings, best, rs, location, ground, surfaces, strict=True)
    return [_refined(*of_photo) for of_photo in of_photos]


def refined_points(reader: TokenReader, refinings: Sequence[Refining]) -> list[Floats]:
    """The (P, 2) points alone that :func:`refine_each` gives, where nothing is asked of them.

    Raises:
        UsageError: as for :func:`refine`.
    """
    if not refinings:
        return []
    grids = [_grid_of(reader, refining) for refining in refinings]
    return _best_of_each(reader, grids, _scores_on(reader, grids))


@dataclass(frozen=True, eq=False)
class _Grid:
    """The first points around the places of one photo."""

    refining: Refining
    radius_m: float
    spacing_m: float
    grid_m: Floats
    """(g, g, 2) metres east and north of a start."""
    within: Bools
    """(g, g) which of them lie within the radius."""
    points_m: Floats
    """(n, 2) those."""

    @property
    def lonlat_deg(self) -> Floats:
        """(P, n, 2) the points within the radius of each start."""
        around = [moved(start, self.points_m) for start in self.refining.lonlat_deg]
        return np.array(around).reshape(-1, len(self.points_m), 2)


def _grid_of(reader: TokenReader, refining: Refining) -> _Grid:
    radius_m = _radius_m(reader, refining.options)
    _check_starts(reader, refining.lonlat_deg)
    spacing_m = max(reader.token_m / POINTS_A_TOKEN, radius_m / _MOST_STEPS)
    return _Grid(refining, radius_m, spacing_m, *_disc_on(radius_m, spacing_m))


@functools.lru_cache(maxsize=8)
def _disc_on(radius_m: float, spacing_m: float) -> tuple[Floats, Bools, Floats]:
    """(g, g, 2) metres east and north of a start, (g, g) which are within the radius, and these.

    They are the same for every start of a search.
    """
    grid_m = square_grid(int(radius_m // spacing_m), spacing_m)
    within = np.asarray(np.hypot(*np.moveaxis(grid_m, -1, 0)) <= radius_m)
    points_m = grid_m[within]
    for shared in (grid_m, within, points_m):
        shared.flags.writeable = False
    return grid_m, within, points_m


@functools.lru_cache(maxsize=8)
def _lattice_on(radius_m: float, spacing_m: float, step_m: float) -> tuple[Floats, csr_array]:
    """:func:`lattice_around` the points of a disc: the same for every start of a search."""
    return lattice_around(_disc_on(radius_m, spacing_m)[2], step_m)


def _scores_on(reader: TokenReader, grids: Sequence[_Grid]) -> list[Floats]:
    """The score on the grid around every place of each photo, (P, g, g).

    NaN beyond the radius and outside the index.
    """
    around = [grid.lonlat_deg for grid in grids]
    inside = [_inside(reader, grid, at) for grid, at in zip(grids, around, strict=True)]
    points = [at.reshape(-1, 2) for at in around]
    indexed = [at[mask] for at, mask in zip(points, inside, strict=True)]
    refinings = [grid.refining for grid in grids]
    rs_weights = [refining.options.rs_weight for refining in refinings]
    rs = _cosines(reader.localized, indexed, refinings, rs_weights)
    location = _location_cosines(reader, grids, points)
    ground = [_ground_on(grid) for grid in grids]
    on_grids = []
    for n, (grid, mask) in enumerate(zip(grids, inside, strict=True)):
        options, starts = grid.refining.options, grid.refining.lonlat_deg
        score = np.full(len(mask), np.nan)
        score[mask] = options.rs_weight * rs[n] + options.location_weight * location[n][mask]
        score += options.ground_weight * ground[n]
        # Points of all P starts in a row, back to where they lie on each start's (g, g) grid.
        scores = np.full((len(starts), *grid.within.shape), np.nan)
        scores[:, grid.within] = score.reshape(len(starts), -1)
        on_grids.append(scores)
    return on_grids


def _surfaces(grid: _Grid, scores: Floats) -> list[Surface]:
    """(P, g, g) scores around the places of a photo, with where they are."""
    each = zip(grid.refining.lonlat_deg, scores, strict=True)
    return [Surface(moved(at, grid.grid_m), v, grid.spacing_m) for at, v in each]


def _inside(reader: TokenReader, grid: _Grid, points: Floats) -> Bools:
    """Which of the (P, n, 2) points around the places of a photo lie in the index: (P n,)."""
    inside = np.ones(points.shape[:2], dtype=np.bool_)
    looked_up = ~reader.holding_discs(grid.refining.lonlat_deg, grid.radius_m)
    inside[looked_up] = reader.indexed(points[looked_up]).reshape(-1, points.shape[1])
    return inside.reshape(-1)


def _ground_on(grid: _Grid) -> Floats:
    """What reference photos say on the grid around every place of a photo, (Q,)."""
    reading, starts = grid.refining.ground, grid.refining.lonlat_deg
    if reading is None or not grid.refining.options.ground_weight:
        return np.zeros(len(starts) * len(grid.points_m))
    # It is smooth: read on a lattice, it is off by (step / kernel)^2 / 8 of itself in between.
    lattice_m, share = _lattice_on(
        grid.radius_m, grid.spacing_m, reading.kernel_m / _READS_A_KERNEL
    )
    read = [share @ reading.read(moved(start, lattice_m)) for start in starts]
    return np.array(read).reshape(-1)


def _read_each(refining: Refining, lonlat_deg: Floats) -> Floats:
    """What reference photos say at each of (P, 2) places, which may lie far apart."""
    if refining.ground is None:
        return np.zeros(len(lonlat_deg))
    return np.array([refining.ground.read(place[None])[0] for place in lonlat_deg])


def _location_cosines(
    reader: TokenReader, grids: Sequence[_Grid], points: Sequence[Floats]
) -> list[Floats]:
    """cos(s, e) of every photo's (Q, 2) points.

    Where it bends over kilometres, it is read on a coarse lattice, and is linear in between.
    """
    step_m = location_step_m(reader.model)
    read: list[Floats] = []
    shares: list[csr_array | None] = []
    for grid, at in zip(grids, points, strict=True):
        if grid.spacing_m > step_m / 2 or not grid.refining.options.location_weight:
            read.append(at)
            shares.append(None)
            continue
        lattice_m, share = _lattice_on(grid.radius_m, grid.spacing_m, step_m)
        starts = grid.refining.lonlat_deg
        read.append(np.array([moved(start, lattice_m) for start in starts]).reshape(-1, 2))
        shares.append(share)
    refinings = [grid.refining for grid in grids]
    wanted = [refining.options.location_weight for refining in refinings]
    cosines = _cosines(reader.locations, read, refinings, wanted)
    for n, (refining, share) in enumerate(zip(refinings, shares, strict=True)):
        if share is not None:  # (n, L) shares by (L, P) cosines, start after start
            at_starts = cosines[n].reshape(len(refining.lonlat_deg), -1).T
            cosines[n] = np.asarray(share @ at_starts).T.reshape(-1)
    return cosines


def _cosines(
    read: Callable[[Floats], Vectors],
    points: Sequence[Floats],
    refinings: Sequence[Refining],
    wanted: Sequence[float] | None = None,
) -> list[Floats]:
    """Cosines of each photo with what is read at its own (Q, 2) points, all read together.

    Args:
        read: (Q, 2) points to (Q, D) vectors.
        points: of each photo.
        refinings: the photos.
        wanted: the part's weight for each photo; where it is 0, nothing is read and all are 0.
    """
    parts = [
        at if wanted is None or wanted[number] else np.empty((0, 2))
        for number, at in enumerate(points)
    ]
    together = np.concatenate(parts)
    if len(together) > _READ_AT_ONCE:  # their vectors would not fit in memory
        return [
            np.concatenate([np.zeros(0), *_cosines_in_blocks(read, part, refining.s)])
            if len(part)
            else np.zeros(len(at))
            for at, part, refining in zip(points, parts, refinings, strict=True)
        ]
    vectors = _split(read(together), parts) if len(together) else [None] * len(parts)
    return [
        np.zeros(len(at)) if v is None or len(v) < len(at) else (v @ refining.s).astype(np.float64)
        for at, v, refining in zip(points, vectors, refinings, strict=True)
    ]


def _cosines_in_blocks(
    read: Callable[[Floats], Vectors], points: Floats, s: Vectors
) -> Iterator[Floats]:
    """Cosines of one photo with what is read at (Q, 2) points, some at a time."""
    for start in range(0, len(points), _READ_AT_ONCE):
        yield (read(points[start : start + _READ_AT_ONCE]) @ s).astype(np.float64)


def _split(values: npt.NDArray[Any], like: Sequence[Floats]) -> list[npt.NDArray[Any]]:
    """(Q, ...) values of all photos, photo by photo."""
    return np.split(values, np.cumsum([len(at) for at in like])[:-1])


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


def _best_of_each(
    reader: TokenReader, grids: Sequence[_Grid], scores: Sequence[Floats]
) -> list[Floats]:
    """(P, 2) longitude, latitude that the places of each photo are refined to."""
    return [
        np.array([_best(reader, grid, *numbered) for numbered in enumerate(around)]).reshape(-1, 2)
        for grid, around in zip(grids, scores, strict=True)
    ]


def _best(reader: TokenReader, grid: _Grid, number: int, scores: Floats) -> Floats:
    """(2,) longitude, latitude of the place that a start is refined to."""
    start, options = grid.refining.lonlat_deg[number], grid.refining.options
    if options.estimate == "mean":
        mean = moved(start, _mean(grid.grid_m, options.sharpness * scores))
        if reader.indexed(mean)[0]:  # it may lie in a hole between the points around it
            return mean
    return moved(start, _peak(reader, grid, start, scores))


def _peak(reader: TokenReader, grid: _Grid, start: Floats, scores: Floats) -> Floats:
    """(2,) metres east and north of the start: the best point, from coarse to fine."""
    grid_m, spacing_m = grid.grid_m, grid.spacing_m
    while True:
        best_m = np.asarray(grid_m[np.unravel_index(np.nanargmax(scores), scores.shape)])
        if spacing_m <= _FINEST_M:
            return best_m
        spacing_m /= _FINER
        grid_m = best_m + square_grid(_FINER, spacing_m)
        scores = _scores(reader, grid.refining, moved(start, grid_m))
        scores[np.hypot(*np.moveaxis(grid_m, -1, 0)) > grid.radius_m] = np.nan


def _scores(reader: TokenReader, refining: Refining, lonlat_deg: Floats) -> Floats:
    """The score of one photo at (..., 2) points, (...); NaN outside the index."""
    points = lonlat_deg.reshape(-1, 2)
    inside, options = reader.indexed(points), refining.options
    at = [points[inside]]
    (rs,) = _cosines(reader.localized, at, [refining], [options.rs_weight])
    (location,) = _cosines(reader.locations, at, [refining], [options.location_weight])
    out = np.full(len(points), np.nan)
    out[inside] = options.rs_weight * rs + options.location_weight * location
    if refining.ground is not None and options.ground_weight:
        out[inside] += options.ground_weight * refining.ground.read(at[0])
    return out.reshape(lonlat_deg.shape[:-1])


def _mean(grid_m: Floats, scores: Floats) -> Floats:
    """(2,) metres: the mean place under exp(score)."""
    p = np.exp(scores - np.nanmax(scores))
    p[np.isnan(p)] = 0
    return np.asarray((p[..., None] * grid_m).sum(axis=(0, 1)) / p.sum())


def _refined(
    refining: Refining,
    best: Floats,
    rs: Floats,
    location: Floats,
    ground: Floats,
    surfaces: Sequence[Surface],
) -> list[Refined]:
    options = refining.options
    fused = options.rs_weight * rs + options.location_weight * location
    fused = fused + options.ground_weight * ground
    return [
        Refined(
            lon_deg=float(best[n, 0]),
            lat_deg=float(best[n, 1]),
            score=float(fused[n]),
            rs_score=float(rs[n]),
            location_score=float(location[n]),
            ground_score=float(ground[n]),
            moved_m=float(haversine_m(refining.lonlat_deg[n], best[n])),
            surface=surface,
        )
        for n, surface in enumerate(surfaces)
    ]
