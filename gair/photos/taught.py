"""Taught looks: what tells a photo in fog from others, learnt on altered ones.

Few lists of photos have fog or snow in them. But their photos can be altered, and what changes by
that, whatever the place, is what tells the look: a linear discriminant (Fisher's) between the
photos as they are and as they are altered, one a look. Of many numbers and few photos the
covariance is shrunk towards none (https://doi.org/10.1016/S0047-259X(03)00096-4). A photo's score
is measured by what photos of other places teach: they are parted into :data:`FOLDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, Floats, Ints

FOLDS = 5
"""Parts that places are parted into."""
SHRUNK = 0.05
"""Share of the covariance between numbers that is taken away."""
FEWEST = 50
"""Photos as they are, and altered ones, that a look needs to be taught."""

_FLAT = 1e-6
"""A number that deviates less is the same for all photos."""
_RIDGE = 1e-3
"""Added to each variance, of numbers in standard deviations."""


@dataclass(frozen=True, eq=False)
class Taught:
    """K looks, and how L numbers of a photo tell them."""

    names: tuple[str, ...]
    """(K,)."""
    mean: Floats
    """(L,) of the photos as they are."""
    weights: Floats
    """(L, K) a number's share of each score."""

    def scores(self, values: Floats) -> Floats:
        """How much (P, L) photos have each look: (P, K), rising; NaN for an unknown number."""
        return np.asarray((np.asarray(values, dtype=np.float64) - self.mean) @ self.weights)


@dataclass(frozen=True, eq=False)
class Altered:
    """Photos of known places, altered."""

    values: Floats
    """(Q, L) numbers of each."""
    place: Ints
    """(Q,) which photos, altered or not, are of one place."""


def fit_taught(
    values: Floats, place: Ints, altered: Mapping[str, Altered]
) -> tuple[Taught | None, Floats]:
    """Learn the looks, and score each photo by what those of other places teach.

    Args:
        values: (P, L) of the photos as they are; those with a NaN are passed over.
        place: (P,).
        altered: look to altered ones.

    Returns:
        Them, or None where too few photos teach any; and (P, K) scores, NaN where there is none.
    """
    stated = np.isfinite(values).all(axis=1)
    looks = {
        name: Altered(of_look.values[whole], of_look.place[whole])
        for name, of_look in altered.items()
        if (whole := np.isfinite(of_look.values).all(axis=1)).sum() >= FEWEST
    }
    if not looks or stated.sum() < FEWEST:
        return None, np.full((len(values), 0), np.nan)
    scores = np.full((len(values), len(looks)), np.nan)
    every = np.unique(np.concatenate([place, *(look.place for look in looks.values())]))
    part = np.random.default_rng(0).permutation(len(every)) % FOLDS

    def fold(of: Ints) -> Ints:
        return np.asarray(part[np.searchsorted(every, of)])

    for number in range(FOLDS):
        own = stated & (fold(place) == number)
        others = {name: look.values[fold(look.place) != number] for name, look in looks.items()}
        if own.any():
            scores[own] = _taught(values[stated & ~own], others).scores(values[own])
    everything = {name: look.values for name, look in looks.items()}
    return _taught(values[stated], everything), scores


def _taught(values: Floats, altered: Mapping[str, Floats]) -> Taught:
    """The discriminants of (P, L) photos and those of each look."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    flat: Bools = deviation <= _FLAT
    deviation = np.where(flat, np.inf, deviation)  # what never varies says nothing
    standard = (values - mean) / deviation
    columns = []
    for of_look in altered.values():
        other = (of_look - mean) / deviation
        covariance = (np.cov(standard.T) + np.cov(other.T)) / 2
        shrunk = (1 - SHRUNK) * covariance + SHRUNK * np.diag(np.diag(covariance))
        shrunk += _RIDGE * np.eye(len(mean))
        columns.append(np.linalg.solve(shrunk, other.mean(axis=0)) / deviation)
    return Taught(tuple(altered), mean, np.stack(columns, axis=1))
