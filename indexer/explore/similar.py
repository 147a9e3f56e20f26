"""Similar places of an index: cells whose imagery looks like some examples, and not like others.

With z(c) the imagery's vector of cell c, P the cells of the examples and N those of the
counter-examples, the similarity of a cell is

    similarity(c) = mean of z(c) . z(p) over p in P  -  mean of z(c) . z(n) over n in N

the mean cosine with the examples, less that with the counter-examples: from -1 to 1 without any,
else from -2 to 2. It is Rocchio's formula with the weights 1 and 1 and no query of its own. Every
cell is scored, by one vector, since the sums are linear: z(c) . (mean of z(p) - mean of z(n)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.probability.cautions import coded
from indexer.regions.cells import cell_hex
from indexer.search.places import distinct_places

if TYPE_CHECKING:
    from indexer.search.geolocator import Geolocator
    from indexer.search.space import SearchSpace

SCHEMA_VERSION = 1
"""Of :meth:`SimilarPlaces.to_dict`. Raised when a field changes its meaning or goes away."""
MOST_EXAMPLES = 100
"""Examples and counter-examples of one question, each."""
LEFT_OUT_RADII = 2.0
"""Cells within so many merge radii of an example are left out, unless a distance is given."""

LonLat = tuple[float, float]
"""Longitude and latitude, degrees."""


@dataclass(frozen=True)
class Example:
    """A cell that was named as an example or as a counter-example."""

    lon_deg: float
    """Longitude of its centre."""
    lat_deg: float
    """Latitude of its centre."""
    h3_cell: str
    """H3 address of the cell, as hexadecimal text."""
    row: int
    """Row of the cell in the index."""


@dataclass(frozen=True)
class SimilarPlace:
    """One place that looks like the examples: the best cell of a neighbourhood."""

    rank: int
    """1 for the most similar."""
    lon_deg: float
    """Longitude of the cell's centre."""
    lat_deg: float
    """Latitude of the cell's centre."""
    h3_cell: str
    """H3 address of the cell, as hexadecimal text."""
    row: int
    """Row of the cell in the index."""
    similarity: float
    """Mean cosine of its imagery with that of the examples, less that with the counter-examples."""
    as_similar_share: float
    """Share of the cells that were compared which are at least as similar: what chance is worth."""
    distance_m: float
    """To the nearest example, metres."""
    merged_cells: int
    """How many other cells among the most similar ones were merged into this one."""
    merged_within_m: float
    """Distance from the cell to the farthest cell merged into it, metres; 0 for none."""


@dataclass(frozen=True)
class SimilarPlaces:
    """Places of an index that look like the examples, most similar first."""

    index: str
    """Name of the index."""
    build: str
    """Of its serving build."""
    model: str
    """What made its vectors."""
    model_licence: str
    """Terms of the model, which its vectors share."""
    attribution: str
    """What the imagery and the region ask to be shown."""
    like: tuple[Example, ...]
    """The examples, each cell once."""
    unlike: tuple[Example, ...]
    """The counter-examples, each cell once."""
    places: tuple[SimilarPlace, ...]
    """No two of them within ``merge_radius_m`` of each other."""
    cells_compared: int
    """Cells that could have been a place."""
    cells_left_out: int
    """Cells within ``apart_m`` of an example or counter-example, which show much of the same
    ground."""
    apart_m: float
    """Metres from an example within which no place is listed."""
    merge_radius_m: float
    """Closer cells are one place, metres."""
    median_similarity: float
    """Of the cells that were compared: what a cell has by chance."""
    warnings: tuple[str, ...]
    """What to know before believing it."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types, with ``schema_version``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("like", "unlike", "places"):
            values[name] = [asdict(one) for one in values[name]]
        values["warnings"] = coded(self.warnings)
        return {"schema_version": SCHEMA_VERSION, **values}


def similar_places(
    geolocator: Geolocator,
    like_lonlat_deg: Sequence[LonLat],
    unlike_lonlat_deg: Sequence[LonLat] = (),
    *,
    k: int = 10,
    apart_m: float | None = None,
) -> SimilarPlaces:
    """Places whose imagery looks like that of some examples, and not like that of others.

    Args:
        geolocator: an open index.
        like_lonlat_deg: examples, each longitude and latitude; one or more.
        unlike_lonlat_deg: counter-examples.
        k: how many places.
        apart_m: cells as near as this to an example or counter-example are left out, metres; twice
            the index's merge radius if None.

    Raises:
        UsageError: an example lies in no cell, or k or a distance makes no sense.
    """
    space = geolocator.space
    apart_m = LEFT_OUT_RADII * space.merge_radius_m if apart_m is None else apart_m
    _check(like_lonlat_deg, unlike_lonlat_deg, k, apart_m)
    like, unlike = (rows_at(space, points) for points in (like_lonlat_deg, unlike_lonlat_deg))
    if both := np.intersect1d(like, unlike).tolist():
        cell = cell_hex(space.index.cells.h3[both[0]])
        raise UsageError(f"cell {cell} is an example and a counter-example: leave one out")
    index, centres = space.index, space.index.cells.lonlat_deg
    direction = mean_vector(index.rs.vectors(like)) - mean_vector(index.rs.vectors(unlike))
    similarity = index.rs.scores(direction[None])[0]
    kept = np.flatnonzero(_distance_m(centres, centres[np.append(like, unlike)]) > apart_m)
    if not len(kept):
        raise UsageError(
            f"`apart_m` is {apart_m:g}: no cell of the index is as far as that from every example; "
            "give less"
        )
    compared, points = similarity[kept], centres[kept]
    places = distinct_places(compared, points, k, space.merge_radius_m)
    ascending = np.sort(compared)
    away_m = _distance_m(points[[place.row for place in places]], centres[like])
    listed = []
    for rank, (place, distance_m) in enumerate(zip(places, away_m.tolist(), strict=True), 1):
        row, value = int(kept[place.row]), compared[place.row]
        as_similar = len(kept) - int(np.searchsorted(ascending, value, side="left"))
        lon_deg, lat_deg = (float(v) for v in centres[row])
        listed.append(
            SimilarPlace(
                rank=rank,
                lon_deg=lon_deg,
                lat_deg=lat_deg,
                h3_cell=cell_hex(index.cells.h3[row]),
                row=row,
                similarity=float(value),
                as_similar_share=as_similar / len(kept),
                distance_m=distance_m,
                merged_cells=place.merged,
                merged_within_m=place.spread_m,
            )
        )
    manifest = index.manifest
    return SimilarPlaces(
        index=index.name,
        build=manifest.build,
        model=manifest.model.name,
        model_licence=manifest.model.licence,
        attribution=space.attribution,
        like=_examples(space, like),
        unlike=_examples(space, unlike),
        places=tuple(listed),
        cells_compared=len(kept),
        cells_left_out=len(centres) - len(kept),
        apart_m=float(apart_m),
        merge_radius_m=space.merge_radius_m,
        median_similarity=float(np.median(compared)),
        warnings=tuple(manifest.warnings),
    )


def rows_at(space: SearchSpace, lonlat_deg: Sequence[LonLat]) -> Ints:
    """Rows of the cells that hold some points, each once, in their order.

    Raises:
        UsageError: a point lies in no cell.
    """
    if not len(lonlat_deg):
        return np.empty(0, dtype=np.int64)
    rows = space.cell_row(lonlat_deg)
    for (lon_deg, lat_deg), row in zip(lonlat_deg, rows.tolist(), strict=True):
        if row < 0:
            _, away_m = space.field.nearest([(lon_deg, lat_deg)])
            raise UsageError(
                f"no cell of index {space.index.name!r} is at {lat_deg:.5f}, {lon_deg:.5f}; the "
                f"nearest is {away_m[0] / 1000:,.1f} km away: choose a place in the index"
            )
    return np.array(list(dict.fromkeys(rows.tolist())), dtype=np.int64)


def mean_vector(vectors: Vectors) -> Vectors:
    """(n, D) vectors to their mean, (D,); zeros for none."""
    return np.asarray(vectors.sum(axis=0) / np.float32(max(len(vectors), 1)))


def check_lonlat(lonlat_deg: LonLat) -> None:
    """Refuse what is no longitude and latitude.

    Raises:
        UsageError: it is none.
    """
    lon_deg, lat_deg = lonlat_deg
    if not (abs(lon_deg) <= 180 and abs(lat_deg) <= 90):
        raise UsageError(
            f"longitude {lon_deg:g}, latitude {lat_deg:g} is no place on Earth: give degrees from "
            "-180 to 180 and from -90 to 90"
        )


def _check(like: Sequence[LonLat], unlike: Sequence[LonLat], k: int, apart_m: float) -> None:
    if not like:
        raise UsageError("no example of a place: give one or more")
    for name, points in (("like", like), ("unlike", unlike)):
        if len(points) > MOST_EXAMPLES:
            raise UsageError(f"{len(points)} places for {name}: give {MOST_EXAMPLES} or fewer")
    for lonlat_deg in (*like, *unlike):
        check_lonlat(lonlat_deg)
    if k < 1:
        raise UsageError(f"`k` is {k}: it must be 1 or more")
    if not (math.isfinite(apart_m) and apart_m >= 0):
        raise UsageError(f"`apart_m` is {apart_m:g}: it must be 0 or more metres")


def _distance_m(points_deg: Floats, others_deg: Floats) -> Floats:
    """(N, 2) points to the metres from each to the nearest of (E, 2) others, E 1 or more."""
    nearest = np.full(len(points_deg), np.inf)
    for other in others_deg:
        np.minimum(nearest, haversine_m(points_deg, other), out=nearest)
    return nearest


def _examples(space: SearchSpace, rows: Ints) -> tuple[Example, ...]:
    cells = space.index.cells
    return tuple(
        Example(
            lon_deg=float(cells.lonlat_deg[row, 0]),
            lat_deg=float(cells.lonlat_deg[row, 1]),
            h3_cell=cell_hex(cells.h3[row]),
            row=row,
        )
        for row in rows.tolist()
    )
