"""Likeness of photos to reference photos: cosines of the nearest, and what is known of all others.

A photo is compared with the :data:`NEAREST` reference photos that look most like it, exactly. What
all others would say is estimated, not left out: a fixed random sample of the reference photos is
compared, too, and the members of it that are not among the nearest stand for the rest. The sum over
the nearest plus the count of the others times the sample's mean has the sum over all reference
photos as its expectation, so nothing depends on how many are looked at one by one.

Where a set has prototypes, these are looked at instead (:mod:`indexer.ground.exemplars`), and each
counts as many photos as it stands for.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from indexer.ground.exemplars import Exemplars
from indexer.ground.reference_photos import ReferencePhotos

NEAREST = 1024
"""Reference photos that are looked at one by one."""
SAMPLE = 4096
"""Reference photos that stand for all others."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """How much one photo looks like reference photos; none of those left out is in it."""

    rows: Ints
    """(m,) the nearest exemplars, most alike first."""
    cosines: Vectors
    """(m,) with these."""
    others: float
    """How many further reference photos there are, by their weight."""
    sample: Vectors
    """(k,) cosines with some of the other exemplars, chosen at random."""
    left_out: Ints
    """(x,) reference photos that count as if they were not there."""
    masses: Floats | None = None
    """(m,) how many photos each of the nearest stands for, by their weight; None for one each."""
    sample_rows: Ints | None = None
    """(k,) which exemplars the sample has; None where that is of no use."""
    sample_masses: Floats | None = None
    """(k,) the same as ``masses`` of the sample."""
    s: Vectors | None = None
    """(D,) the photo's vector, where it is kept."""

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
        other = float(near[-1])
        if len(sampled) and (self.sample_masses is None or self.sample_masses.any()):
            other = float(np.average(sampled, weights=self.sample_masses))
        masses = np.ones(len(near)) if self.masses is None else self.masses
        total = masses.sum() + self.others
        if total <= 0:  # so old that none counts
            return np.ones(len(near)), 1.0
        base = (masses @ near + self.others * other) / total
        return near / base, other / base


class Comparison:
    """Compares photos with reference photos; safe to share between threads."""

    def __init__(
        self,
        photos: ReferencePhotos,
        *,
        nearest: int = NEAREST,
        sample: int = SAMPLE,
        one_by_one: bool = False,
    ) -> None:
        """Take what photos are compared with.

        Args:
            photos: of a set.
            nearest: how many are looked at one by one.
            sample: how many stand for the rest.
            one_by_one: look at the photos where there are prototypes, too.
        """
        self.photos = photos
        self.exemplars = Exemplars(photos, None if one_by_one else photos.prototypes)
        self._nearest = nearest
        count = len(self.exemplars)
        drawn = np.random.default_rng(0).choice(count, min(sample, count), replace=False)
        self._sample = np.sort(drawn)

    @functools.cached_property
    def _sample_vectors(self) -> Vectors:
        return self.exemplars.vectors(self._sample)

    def likenesses(self, s: Vectors, left_out: Sequence[Ints] | None = None) -> list[Likeness]:
        """How much each of some photos looks like the reference photos.

        Args:
            s: (P, D) unit vectors.
            left_out: of each photo, the rows of reference photos that are no evidence of it;
                None for none.
        """
        exemplars, count = self.exemplars, len(self.exemplars)
        rows_out = [np.empty(0, dtype=np.int64)] * len(s) if left_out is None else left_out
        own = [np.unique(rows) for rows in rows_out]
        without = [exemplars.without(rows) for rows in own]
        # So many more that as many are left as there should be.
        most = self._nearest + max((len(one.gone) for one in without), default=0)
        cosines, rows = exemplars.nearest(s, min(count, most))
        sampled = None
        if self._nearest < count:
            sampled = np.asarray(s, dtype=np.float32) @ self._sample_vectors.T
        likenesses = []
        for number, one in enumerate(without):
            kept = ~np.isin(rows[number], one.gone)
            near, alike = rows[number][kept][: self._nearest], cosines[number][kept]
            alike = _corrected(alike[: self._nearest], near, one.changed, one.vectors, s[number])
            order = np.argsort(-alike, kind="stable")
            near, alike = near[order], alike[order]
            sample = np.empty(0, dtype=np.float32)
            sample_rows = np.empty(0, dtype=np.int64)
            if len(near) + len(one.gone) < count and sampled is not None:
                apart = ~np.isin(self._sample, near) & ~np.isin(self._sample, one.gone)
                sample_rows = self._sample[apart]
                sample = _corrected(
                    sampled[number][apart], sample_rows, one.changed, one.vectors, s[number]
                )
            rows_of = {"sample_rows": sample_rows, "s": s[number]}
            likeness = Likeness(near, alike, 0.0, sample, own[number], **rows_of)
            likenesses.append(self.by_age(likeness, 0.0))
        return likenesses

    def by_age(self, likeness: Likeness, half_life_years: float) -> Likeness:
        """The same photo's, where reference photos count by their age; 0: all alike."""
        exemplars = self.exemplars
        masses = exemplars.masses(half_life_years)
        gone, parts = exemplars.removed(likeness.left_out, half_life_years)
        assert likeness.sample_rows is not None
        near = masses[likeness.rows] - values_at(likeness.rows, gone, parts)
        sample = masses[likeness.sample_rows] - values_at(likeness.sample_rows, gone, parts)
        others = masses.sum() - parts.sum() - near.sum()
        return replace(
            likeness,
            others=max(float(others), 0.0),
            masses=np.maximum(near, 0.0),
            sample_masses=np.maximum(sample, 0.0),
        )


def _corrected(
    cosines: Vectors, rows: Ints, changed: Ints, vectors: Vectors, s: Vectors
) -> Vectors:
    """(r,) cosines with some exemplars, of which the changed ones have other vectors."""
    at = np.flatnonzero(np.isin(rows, changed))
    if not len(at):
        return cosines
    corrected = cosines.copy()
    corrected[at] = vectors[np.searchsorted(changed, rows[at])] @ s
    return corrected


def values_at(rows: Ints, ascending: Ints, values: Floats) -> Floats:
    """(r,) the values of rows among (g,) ascending ones; 0 for those that are not."""
    out = np.zeros(len(rows))
    if len(ascending):
        at = np.minimum(np.searchsorted(ascending, rows), len(ascending) - 1)
        there = ascending[at] == rows
        out[there] = values[at[there]]
    return out
