"""Distance of Mahalanobis: how unusual several numbers of a photo are together.

One number after the other may be usual where all of them together are not. The numbers are put in
standard deviations and freed of what they have in common: in units of the calibration photos'
correlation, shrunk towards none, so that few photos of many numbers will do.

A calibration photo helped to make the mean and the correlation, and is nearer to them than a new
one would be. So its own distance is measured from those of the other places: they are parted into
:data:`FOLDS`, and each is compared with all others (cross-conformal prediction,
https://arxiv.org/abs/1208.0806).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats, Ints

FOLDS = 5
"""Parts that places are parted into."""
SHRUNK = 0.1
"""Share of no correlation in the correlation."""
FEWEST = 50
"""Photos that a mean and a correlation need."""

_FLAT = 1e-6
"""A number that deviates less is the same for all photos."""


@dataclass(frozen=True, eq=False)
class Usual:
    """What L numbers of photos usually are, and how they go together."""

    mean: Floats
    """(L,); NaN where too few photos were measured to say."""
    whitening: Floats
    """(L, L): what is off the mean, times this, has deviation 1 in all directions."""

    def distance(self, values: Floats) -> Floats:
        """How far (P, L) photos are from the mean: (P,), about sqrt(L) for most; NaN: unknown."""
        whitened = (np.asarray(values, dtype=np.float64) - self.mean) @ self.whitening
        return np.asarray(np.sqrt((whitened**2).sum(axis=1)))


def fit_usual(values: Floats, place: Ints) -> tuple[Usual, Floats]:
    """Learn it, and measure each photo from what those of other places make of it.

    Args:
        values: (P, L); photos with a NaN are passed over.
        place: (P,) which of them are of one place.

    Returns:
        It, and (P,) distances; NaN where too few photos were measured to say.
    """
    complete = np.isfinite(values).all(axis=1)
    distances = np.full(len(values), np.nan)
    _, of_place = np.unique(place, return_inverse=True)
    fold = np.random.default_rng(0).permutation(of_place.max(initial=0) + 1)[of_place] % FOLDS
    for part in np.unique(fold):
        own = complete & (fold == part)
        distances[own] = _usual(values[complete & (fold != part)]).distance(values[own])
    return _usual(values[complete]), distances


def _usual(values: Floats) -> Usual:
    count, length = values.shape
    if count < FEWEST:
        return Usual(np.full(length, np.nan), np.eye(length))
    deviation = values.std(axis=0)
    varies = deviation > _FLAT
    deviation[~varies] = np.inf  # what never varies says nothing
    standard = (values - values.mean(axis=0)) / deviation
    correlation = (1 - SHRUNK) * (standard.T @ standard) / count + SHRUNK * np.eye(length)
    variance, directions = np.linalg.eigh(correlation)
    return Usual(values.mean(axis=0), directions / np.sqrt(variance) / deviation[:, None])
