"""Bootstrap intervals of measured numbers, many resamples at once.

A resample draws as many places as there are, with replacement, each with all its photos
(https://doi.org/10.1214/aos/1176344552, for clusters https://doi.org/10.1162/rest.90.3.414): photos
of one street are alike, and drawn one by one they would seem to say more than they do. It is held
as how often each photo was drawn, so a statistic of all resamples is a few matrix operations on
weights.

The interval of a number runs from the 2.5th to the 97.5th percentile of its values on the
resamples, and a little farther where places are few: as far as Student's t of n - 1 degrees of
freedom lies beyond the normal distribution, times the root of n / (n - 1)
(https://doi.org/10.1080/00031305.2015.1089789, section 5.3).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from scipy.special import ndtr, stdtrit

from gair.arrays import Bools, Floats, Ints
from indexer.evaluate.options import EvaluateOptions

LEVEL = 0.95
"""Share of resamples inside an interval."""

_NUMBERS_AT_ONCE = 4 << 20
_SOME_KEPT = 4
"""Resamples of some of the photos that are kept: the same are asked for again and again."""


@dataclass(frozen=True)
class Measured:
    """A number with its interval."""

    value: float
    """On all photos."""
    low: float
    high: float

    def to_json(self) -> dict[str, float | str]:
        """The number for a JSON file, where infinity is the text ``inf``."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: as_json(number) for name, number in numbers.items()}


class Resamples:
    """Resamples of some photos; the same for the same seed. They are drawn when first looked at."""

    def __init__(
        self, place: Ints, *, resamples: int = EvaluateOptions.resamples, seed: int = 0
    ) -> None:
        """Take what is drawn of.

        Args:
            place: (P,) which photos are of one place.
            resamples: how many.
            seed: of the draws.
        """
        self.place = place
        self.photos = len(place)
        self.resamples = resamples
        self.seed = seed
        _, self._of_place = np.unique(place, return_inverse=True)
        self.places = int(self._of_place.max(initial=-1)) + 1
        self._some: LRUCache[bytes, Resamples] = LRUCache(_SOME_KEPT)

    @functools.cached_property
    def weights(self) -> npt.NDArray[np.uint8]:
        """(resamples, P) how often each photo was drawn."""
        rng = np.random.default_rng([self.seed, self.places])
        # A place is drawn more than 255 times in no resample that anybody will ever see.
        weights = np.zeros((self.resamples, self.photos), dtype=np.uint8)
        step = max(1, _NUMBERS_AT_ONCE // max(1, self.places))
        for start in range(0, self.resamples, step):
            count = min(step, self.resamples - start)
            picked = rng.integers(0, max(1, self.places), size=(count, self.places))
            # Shifted so that all resamples are counted at once: place p of resample b is b P + p.
            picked += np.arange(count)[:, None] * self.places
            times = np.bincount(picked.ravel(), minlength=picked.size).reshape(picked.shape)
            weights[start : start + count] = times[:, self._of_place]
        return weights

    def of(self, rows: Ints) -> Resamples:
        """As many resamples of some of the photos: (n,) which."""
        if len(rows) == self.photos and (rows == np.arange(self.photos)).all():
            return self
        key = np.asarray(rows, dtype=np.int64).tobytes()
        if key not in self._some:
            own = Resamples(self.place[rows], resamples=self.resamples, seed=self.seed)
            self._some[key] = own
        return self._some[key]

    def ends(self, values: Floats) -> Floats:
        """The ends of the intervals of (resamples, ...) values: (2, ...); NaN of a single place."""
        if self.places < 2:
            return np.full((2, *values.shape[1:]), np.nan)
        return percentiles(values, self.places)

    def values(self, statistic: Callable[[Floats], Floats]) -> Floats:
        """A statistic of every resample.

        Args:
            statistic: (B, P) weights, how often each photo was drawn, to (B, ...).

        Returns:
            (resamples, ...).
        """
        blocks = (self.weights[block].astype(np.float64) for block in self._blocks())
        return np.concatenate([statistic(block) for block in blocks])

    def measure(self, statistic: Callable[[Floats], Floats]) -> Measured:
        """One number with its interval; NaN where there are no photos."""
        if not self.photos:
            return Measured(math.nan, math.nan, math.nan)
        value = float(statistic(np.ones((1, self.photos)))[0])
        low, high = self.ends(self.values(statistic))
        return Measured(value, float(low), float(high))

    def means(self, values: npt.ArrayLike) -> list[Measured]:
        """The means of (P, M) finite columns, each with its interval, by one product."""
        columns = np.asarray(values, dtype=np.float64)
        if not self.photos:
            return [Measured(math.nan, math.nan, math.nan)] * columns.shape[1]
        low, high = self.ends(
            self.values(lambda weights: weights @ columns / weights.sum(axis=1, keepdims=True))
        )
        whole = columns.mean(axis=0)
        return [
            Measured(float(v), float(a), float(b)) for v, a, b in zip(whole, low, high, strict=True)
        ]

    def shares(self, hits: Bools) -> list[Measured]:
        """The shares of (P, M) columns that are true.

        Where all photos are, or none, no resample can differ: there the interval is binomial, of
        as many tries as there are places.
        """
        means = self.means(hits)
        if not self.photos:
            return means
        least = (1 - LEVEL) / 2
        edge = least ** (1 / self.places)  # all of n: true shares below make that too unlikely
        return [
            Measured(share.value, edge, 1.0)
            if share.value == 1
            else Measured(share.value, 0.0, 1 - edge)
            if share.value == 0
            else share
            for share in means
        ]

    def mean(self, values: npt.ArrayLike) -> Measured:
        """The mean of (P,) numbers; infinite where an infinite one was drawn."""
        numbers = np.asarray(values, dtype=np.float64)
        return self.measure(lambda weights: weighted_mean(numbers, weights))

    def quantile(self, values: npt.ArrayLike, share: float) -> Measured:
        """The smallest number that at least a share of (P,) numbers do not exceed."""
        return self.quantiles(values, (share,))[0]

    def quantiles(self, values: npt.ArrayLike, shares: Sequence[float]) -> list[Measured]:
        """The same for several shares, the numbers sorted and counted once."""
        if not self.photos:
            return [Measured(math.nan, math.nan, math.nan)] * len(shares)
        numbers = np.asarray(values, dtype=np.float64)
        whole = weighted_quantiles(numbers, shares, np.ones((1, self.photos), dtype=np.uint8))
        blocks = [
            weighted_quantiles(numbers, shares, self.weights[block]) for block in self._blocks()
        ]
        low, high = self.ends(np.concatenate(blocks))
        return [
            Measured(float(v), float(a), float(b))
            for v, a, b in zip(whole[0], low, high, strict=True)
        ]

    def _blocks(self) -> list[slice]:
        """Of the resamples, as many at a time as fit in memory."""
        step = max(1, _NUMBERS_AT_ONCE // max(1, self.photos))
        return [slice(start, start + step) for start in range(0, self.resamples, step)]


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Means of (P,) values under each of (B, P) weights; infinite if an infinite one has weight."""
    infinite = np.isinf(values)
    total = weights @ np.where(infinite, 0.0, values) / weights.sum(axis=1)
    return np.where(weights[:, infinite].any(axis=1), np.inf, total)


def weighted_quantiles(
    values: Floats, shares: Sequence[float], weights: npt.NDArray[np.uint8]
) -> Floats:
    """The smallest values that at least some shares of the weight do not exceed.

    Nothing is interpolated, so an infinite value never turns into one that is no number.

    Args:
        values: (P,).
        shares: S of them.
        weights: (B, P) how often each value counts.

    Returns:
        (B, S).
    """
    order = np.argsort(values, kind="stable")
    # Counts are whole numbers: much less memory to go through than in floating point.
    reached = np.cumsum(np.take(weights, order, axis=1), axis=1, dtype=np.int32)
    ranked = values[order]
    quantiles = np.empty((len(weights), len(shares)))
    for column, share in enumerate(shares):
        wanted = np.ceil(share * reached[:, -1:] * (1 - 1e-12)).astype(np.int32)
        quantiles[:, column] = ranked[np.count_nonzero(reached < wanted, axis=1)]
    return quantiles


def percentiles(values: Floats, places: int | None = None) -> Floats:
    """The ends of the intervals of (B, ...) values of resamples of so many places: (2, ...)."""
    outside = (1 - LEVEL) / 2
    if places is not None:
        wider = math.sqrt(places / (places - 1)) * stdtrit(places - 1, outside)
        outside = float(ndtr(wider))
    ranked = np.sort(values, axis=0)
    ends = [math.ceil(share * len(values) - 1e-9) - 1 for share in (outside, 1 - outside)]
    return np.asarray(ranked[np.clip(ends, 0, len(values) - 1)])


def as_json(number: float) -> float | str:
    """JSON knows no infinity and nothing that is no number: they become text."""
    if math.isfinite(number):
        return float(number)
    return "not a number" if math.isnan(number) else ("inf" if number > 0 else "-inf")
