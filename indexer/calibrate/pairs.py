"""Pairs of calibration photos say how much the likeness of two photos tells of their places.

A pair is of one place where its photos were taken within 200 m of each other, and of different
places elsewhere in the index. Nothing is fitted to a cosine before, so all photos count, fitted on
or held out. Photos of one walk or drive share camera, light and weather, which would pass for the
place: pairs of one named sequence, or taken within an hour by both clocks, are left out; so are
copies, whose cosine is 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import KDTree

from gair.arrays import Bools, Ints
from indexer.photos.groups import clock_seconds
from indexer.probability.conformal import place_weights
from indexer.probability.likelihood_ratios import SAME_PLACE_M, PairRatio, fit_pairs
from indexer.regions.cell_field import chord_of, unit_vectors

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors

MOST_PHOTOS = 4_000
"""Photos whose pairs are looked at."""
MOST_PAIRS = 20_000
"""Pairs of each kind that are compared."""
APART_S = 3600.0
"""Photos taken within this of each other may be of one walk, seconds."""
COPY = 0.9999
"""Cosine from which on two photos are taken for copies."""


def compare_pairs(photos: PhotoVectors, place: Ints, seed: int = 0) -> PairRatio:
    """The ratio of "of one place" to "of different places" by the cosine of two photos.

    Args:
        photos: P of them, each with a vector and a place.
        place: (P,) which of them are of one place or sequence: each counts once.
        seed: chooses photos and pairs where there are more than are looked at.
    """
    rng = np.random.default_rng(seed)
    count = min(len(photos), MOST_PHOTOS)
    drawn = np.sort(rng.choice(len(photos), count, replace=False))
    some, of_some = photos.taken(drawn), place[drawn]
    points, reach = unit_vectors(some.lonlat_deg), chord_of(SAME_PLACE_M)
    near = KDTree(points).query_pairs(reach, output_type="ndarray").reshape(-1, 2)
    near = _drawn(rng, _by_different_walks(some, near), of_some)
    far = rng.integers(0, max(count, 1), (2 * MOST_PAIRS, 2))
    away = np.linalg.norm(points[far[:, 0]] - points[far[:, 1]], axis=1)
    far = _by_different_walks(some, far[away > reach])[:MOST_PAIRS]
    cosines = [
        np.einsum("pd,pd->p", *(some.s[pairs.T])).astype(np.float64) for pairs in (near, far)
    ]
    return fit_pairs(cosines[0], of_some[near].min(axis=1), cosines[1], of_some[far[:, 0]])


def _by_different_walks(photos: PhotoVectors, pairs: Ints) -> Ints:
    """Those of (n, 2) pairs of rows that are of no common sequence or hour, and no copies."""
    sequence = np.array([photo.sequence for photo in photos.photos], dtype=np.str_)
    seconds = np.array([clock_seconds(photo.captured_at) for photo in photos.photos])
    first, second = pairs.T
    one_walk: Bools = (sequence[first] == sequence[second]) & (sequence[first] != "")
    with np.errstate(invalid="ignore"):  # NaN for a photo without a clock
        one_walk |= np.abs(seconds[first] - seconds[second]) <= APART_S
    copies = np.einsum("pd,pd->p", photos.s[first], photos.s[second]) >= COPY
    return np.asarray(pairs[~(one_walk | copies)])


def _drawn(rng: np.random.Generator, pairs: Ints, place: Ints) -> Ints:
    """At most :data:`MOST_PAIRS` of (n, 2) pairs, so that every place is likely to keep some."""
    if len(pairs) <= MOST_PAIRS:
        return pairs
    chance = place_weights(place[pairs].min(axis=1))
    return pairs[rng.choice(len(pairs), MOST_PAIRS, replace=False, p=chance / chance.sum())]
