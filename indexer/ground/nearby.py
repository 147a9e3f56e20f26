"""Nearby reference photos of a place: those that a person should look at beside the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats, Floats32, Ints
from gair.geo import haversine_m

if TYPE_CHECKING:
    from indexer.ground.likelihood import GroundEvidence
    from indexer.ground.photo_table import ReferencePhoto

MOST_LISTED = 3
"""Reference photos that are listed with a place."""
_PROTOTYPES = 8
"""Prototypes around a place whose photos are looked at one by one."""


@dataclass(frozen=True)
class GroundPhoto:
    """A reference photo near a place."""

    distance_m: float
    """From the place as it is shown."""
    cosine: float
    """Of its vector with the photo's; of several photos, with the one most like it."""
    heading_deg: float | None
    """Where it looks, clockwise from north; None if nobody knows."""
    taken_on: str | None
    """Its day, ISO 8601; None if nobody knows."""
    source: str
    link: str
    """Where a person can look at it; empty if nowhere."""
    licence: str
    attribution: str
    """Credit that the licence asks for."""


def photos_near(
    evidence: GroundEvidence, lonlat_deg: Floats, radius_m: float
) -> list[tuple[GroundPhoto, ...]]:
    """The reference photos near each place that look most like the photos, best first.

    Args:
        evidence: of the photos of one place.
        lonlat_deg: (K, 2) places.
        radius_m: how near; at least as far as a reference photo speaks.

    Returns:
        For each place at most :data:`MOST_LISTED` of those whose likeness is known one by one.
    """
    photos = evidence.field.comparison.photos
    reach_m = max(radius_m, evidence.kernel.kernel_m)
    candidates = _candidates_of(evidence)
    told: list[tuple[Ints, Floats, Floats32]] = []
    for place in lonlat_deg:
        rows, cosine = candidates(place, reach_m)
        away_m = np.asarray(haversine_m(photos.lonlat_deg[rows], place)).reshape(-1)
        near = np.flatnonzero(away_m <= reach_m)
        best = near[np.argsort(-cosine[near], kind="stable")[:MOST_LISTED]]
        told.append((rows[best], away_m[best], cosine[best]))
    # The table is opened once for all places: that takes longer than reading it.
    every = np.concatenate([np.empty(0, dtype=np.int64), *(rows for rows, _, _ in told)])
    details = iter(photos.details(every) if len(every) else ())
    return [
        tuple(
            _shown(photo, float(distance_m), float(like))
            for distance_m, like, photo in zip(away_m, cosine, details, strict=False)
        )
        for _, away_m, cosine in told
    ]


def _shown(photo: ReferencePhoto, distance_m: float, cosine: float) -> GroundPhoto:
    return GroundPhoto(distance_m=distance_m, cosine=cosine, **photo.shown)


def _candidates_of(
    evidence: GroundEvidence,
) -> Callable[[Floats, float], tuple[Ints, Floats32]]:
    """What finds the reference photos that may be shown at a (2,) place, within metres of it.

    It gives (r,) rows of photos and their cosines; some may lie farther away.
    """
    exemplars, likenesses = evidence.field.comparison.exemplars, evidence.likenesses
    rows = np.unique(np.concatenate([one.rows for one in likenesses]))
    cosine = np.full(len(rows), -np.inf, dtype=np.float32)
    for one in likenesses:
        at = np.searchsorted(rows, one.rows)
        cosine[at] = np.maximum(cosine[at], one.cosines)
    if exemplars.prototypes is None:
        return lambda _place, _reach_m: (rows, cosine)
    middles = exemplars.lonlat_deg[rows]
    left_out = np.unique(np.concatenate([one.left_out for one in likenesses]))

    def behind(place: Floats, reach_m: float) -> tuple[Ints, Floats32]:
        """The photos of the prototypes there that look most like it, each compared itself."""
        away_m = np.asarray(haversine_m(middles, place)).reshape(-1)
        near = np.flatnonzero(away_m <= 2 * reach_m)
        best = near[np.argsort(-cosine[near], kind="stable")[:_PROTOTYPES]]
        photos = np.setdiff1d(exemplars.photos_of(rows[best]), left_out)
        vectors = evidence.field.comparison.photos.vectors(photos)
        s = np.stack([one.s for one in likenesses if one.s is not None])
        return photos, (vectors @ s.T).max(axis=1)

    return behind
