"""Likeness of photos to reference photos: cosines of the nearest, and what is known of all others.

A photo is compared with the :data:`NEAREST` reference photos that look most like it, exactly. What
all others would say is estimated, not left out: a fixed random sample of the reference photos is
compared, too, and the members of it that are not among the nearest stand for the rest. The sum over
the nearest plus the count of the others times the sample's mean has the sum over all reference
photos as its expectation, so nothing depends on how many are looked at one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from indexer.ground.reference_photos import ReferencePhotos

NEAREST = 1024
"""Reference photos that are looked at one by one."""
SAMPLE = 4096
"""Reference photos that stand for all others."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """How much one photo looks like reference photos; none of those left out is in it."""

    rows: Ints
    """(m,) the nearest reference photos, most alike first."""
    cosines: Vectors
    """(m,) with these."""
    others: int
    """How many further reference photos there are."""
    sample: Vectors
    """(k,) cosines with some of the others, chosen at random."""
    left_out: Ints
    """(x,) reference photos that count as if they were not there."""

    def weights(self, sharpness: float) -> tuple[Floats, float]:
        """exp(sharpness * cosine) of the (m,) nearest, and the mean of the others.

        Both are in units of the base rate, the mean over all reference photos.
        """
        if not len(self.rows):
            return np.empty(0), 1.0
        top = float(self.cosines[0])
        near, sampled = (
            np.exp(sharpness * (np.asarray(cosines, dtype=np.float64) - top))
            for cosines in (self.cosines, self.sample)
        )
        # Where no photo of the sample is left, the last of the nearest bounds the others.
        other = float(sampled.mean()) if len(sampled) else float(near[-1])
        base = (near.sum() + self.others * other) / (len(near) + self.others)
        return near / base, other / base


class Comparison:
    """Compares photos with reference photos; safe to share between threads."""

    def __init__(
        self, photos: ReferencePhotos, *, nearest: int = NEAREST, sample: int = SAMPLE
    ) -> None:
        """Take reference photos, how many are looked at one by one, and how many for the rest."""
        self.photos = photos
        self._nearest = nearest
        count = len(photos)
        drawn = np.random.default_rng(0).choice(count, min(sample, count), replace=False)
        self._sample = np.sort(drawn)

    @functools.cached_property
    def _sample_vectors(self) -> Vectors:
        return self.photos.vectors(self._sample)

    def likenesses(self, s: Vectors, left_out: Sequence[Ints] | None = None) -> list[Likeness]:
        """How much each of some photos looks like the reference photos.

        Args:
            s: (P, D) unit vectors.
            left_out: of each photo, the rows of reference photos that are no evidence of it;
                None for none.
        """
        count = len(self.photos)
        without = [np.empty(0, dtype=np.int64)] * len(s) if left_out is None else left_out
        # So many more that as many are left as there should be.
        most = self._nearest + max((len(rows) for rows in without), default=0)
        cosines, rows = self.photos.nearest(s, min(count, most))
        sampled = None
        if self._nearest < count:
            sampled = np.asarray(s, dtype=np.float32) @ self._sample_vectors.T
        likenesses = []
        for number, own in enumerate(without):
            kept = ~np.isin(rows[number], own)
            near = rows[number][kept][: self._nearest]
            others = count - len(np.unique(own)) - len(near)
            sample = np.empty(0, dtype=np.float32)
            if others and sampled is not None:
                apart = ~np.isin(self._sample, near) & ~np.isin(self._sample, own)
                sample = sampled[number][apart]
            alike = cosines[number][kept][: self._nearest]
            likenesses.append(Likeness(near, alike, others, sample, np.unique(own)))
        return likenesses
