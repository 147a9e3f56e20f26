"""Split into training, validation and test by place, never by image.

Photos of one street look alike and share a footprint: split at random, a test would only ask what
was learnt by heart. So whole places go to one split, and where footprints of two splits come nearer
than a buffer, the one of train gives way to val, and both to test.

A *place* is a city by name, a group of photos that no gap of some kilometres parts, or a block of a
grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gair.arrays import Floats
from gair.geo import EARTH_RADIUS_M, WEB_MERCATOR_CIRCUMFERENCE_M
from indexer.regions.cell_field import unit_vectors

SPLITS = ("train", "val", "test")
"""In the order in which they give way to each other at a border."""

_TOUCHING_M = 1e-3  # tiles share an edge up to rounding


def city_places(lonlat_deg: Floats, cities: Sequence[str], join_km: float) -> list[str]:
    """The place of each photo: its city, or for those without one, its group.

    Photos less than ``join_km`` apart are always in one group, directly or by others in between;
    a gap of 3.5 ``join_km`` always parts groups.

    Args:
        lonlat_deg: (N, 2) photos.
        cities: (N) their cities, empty where unknown.
        join_km: distance that keeps a group together.

    Returns:
        (N) names; a group is named by the position of its first photo.
    """
    places = list(cities)
    unnamed = [i for i, city in enumerate(cities) if not city]
    first: dict[int, str] = {}
    for i, group in zip(unnamed, _groups(lonlat_deg[unnamed], join_km * 1000), strict=True):
        lon, lat = lonlat_deg[i]
        places[i] = first.setdefault(group, f"around {lat:.4f} {lon:.4f}")
    return places


def block_places(lonlat_deg: Floats, block_m: float) -> list[str]:
    """The grid block each photo lies in, named by its centre.

    Rows are bands of latitude ``block_m`` high; each is cut into blocks as long on the ground.

    Args:
        lonlat_deg: (N, 2) photos.
        block_m: side of a block on the ground, metres.
    """
    m_per_deg = math.pi * EARTH_RADIUS_M / 180
    rows = np.floor(lonlat_deg[:, 1] * m_per_deg / block_m)
    lat = (rows + 0.5) * block_m / m_per_deg
    m_per_deg_lon = m_per_deg * np.maximum(np.cos(np.radians(lat)), 1e-6)
    columns = np.floor(lonlat_deg[:, 0] * m_per_deg_lon / block_m)
    lon = (columns + 0.5) * block_m / m_per_deg_lon
    return [f"block {y:.4f} {x:.4f}" for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]


def assign_splits(
    photos_of_place: Mapping[str, int], shares: Sequence[float], seed: int
) -> dict[str, str]:
    """Give whole places to splits so that photos come near to the shares.

    In an order drawn from the seed, each place goes to the split that lacks most photos; the first
    goes to ``train`` where that has a share at all.

    Args:
        photos_of_place: how many photos each place has.
        shares: of train, val and test; they must sum to 1.
        seed: of the order.

    Returns:
        The split of each place. A split with a share may still get none: places are too few then.
    """
    total = sum(photos_of_place.values())
    lacking = {name: share * total for name, share in zip(SPLITS, shares, strict=True) if share}
    order = sorted(photos_of_place)
    np.random.default_rng(seed).shuffle(order)
    split_of: dict[str, str] = {}
    for place in order:
        first = not split_of and "train" in lacking
        split = "train" if first else max(lacking, key=lambda name: lacking[name])
        split_of[place] = split
        lacking[split] -= photos_of_place[place]
    return split_of


def too_near(
    bounds_wsen_m: Floats, splits: Sequence[str], buffer_m: float
) -> npt.NDArray[np.bool_]:
    """Which footprints must give way to one of another split.

    Afterwards no two footprints of different splits overlap or lie nearer than the buffer.

    Args:
        bounds_wsen_m: (F, 4) squares in EPSG:3857.
        splits: (F) the split of each.
        buffer_m: least gap on the ground, metres.

    Returns:
        (F,) True for those to leave out.
    """
    rank = np.array([SPLITS.index(split) for split in splits])
    giving_way = np.zeros(len(bounds_wsen_m), dtype=np.bool_)
    for kept in range(len(SPLITS) - 1, 0, -1):
        protected = bounds_wsen_m[(rank == kept) & ~giving_way]
        weaker = np.flatnonzero((rank < kept) & ~giving_way)
        if not len(protected) or not len(weaker):
            continue
        # The ground shrinks towards the poles, so the gap is widest on the map at the far edge.
        top_m = np.abs(protected[:, [1, 3]]).max(axis=1) + buffer_m
        radius_m = WEB_MERCATOR_CIRCUMFERENCE_M / (2 * np.pi)
        margin = buffer_m * np.cosh(top_m / radius_m) - _TOUCHING_M
        grown = shapely.box(*(protected + margin[:, None] * [-1, -1, 1, 1]).T)
        _, hit = shapely.STRtree(shapely.box(*bounds_wsen_m[weaker].T)).query(
            grown, predicate="intersects"
        )
        giving_way[weaker[hit]] = True
    return giving_way


def _groups(lonlat_deg: Floats, join_m: float) -> list[int]:
    """(N) group numbers, connected through occupied neighbouring cells of a grid in space."""
    if not len(lonlat_deg):
        return []
    # The 26 neighbours of each occupied cell of a grid in space, so that nothing is special at a
    # pole or at 180 degrees.
    grid = np.floor(unit_vectors(lonlat_deg) * (EARTH_RADIUS_M / join_m))
    cells, cell_of_photo = np.unique(grid, axis=0, return_inverse=True)
    pairs = cKDTree(cells).query_pairs(1, p=np.inf, output_type="ndarray")
    touching = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(cells), len(cells)))
    _, group_of_cell = connected_components(touching, directed=False)
    groups: list[int] = group_of_cell[cell_of_photo.ravel()].tolist()
    return groups
