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

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from gair.arrays import Bools, Floats, Ints
from indexer.evaluate.options import EvaluateOptions

LEVEL = 0.95
"""Share of resamples inside an interval."""

_NUMBERS_AT_ONCE = 4 << 20


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
    """Resamples of some photos; the same for the same seed.

    ``weights`` is (resamples, photos): how often each photo was drawn.
    """

    def __init__(
        self, place: Ints, *, resamples: int = EvaluateOptions.resamples, seed: int = 0
    ) -> None:
        """Draw them.

        Args:
            place: (P,) which photos are of one place.
            resamples: how many.
            seed: of the draws.
        """
        self.place = place
        self.photos = len(place)
        self.seed = seed
        _, of_place = np.unique(place, return_inverse=True)
        self.places = int(of_place.max(initial=-1)) + 1
        rng = np.random.default_rng([seed, self.places])
        # A place is drawn more than 255 times in no resample that anybody will ever see.
        self.weights = np.zeros((resamples, self.photos), dtype=np.uint8)
        step = max(1, _NUMBERS_AT_ONCE // max(1, self.places))
        for start in range(0, resamples, step):
            count = min(step, resamples - start)
            picked = rng.integers(0, max(1, self.places), size=(count, self.places))
            # Shifted so that all resamples are counted at once: place p of resample b is b P + p.
            picked += np.arange(count)[:, None] * self.places
            times = np.bincount(picked.ravel(), minlength=picked.size).reshape(picked.shape)
            self.weights[start : start + count] = times[:, of_place]

    def of(self, rows: Ints) -> Resamples:
        """As many resamples of some of the photos: (n,) which."""
        return Resamples(self.place[rows], resamples=len(self.weights), seed=self.seed)

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
        step = max(1, _NUMBERS_AT_ONCE // max(1, self.photos))
        blocks = range(0, len(self.weights), step)
        return np.concatenate(
            [statistic(self.weights[start : start + step].astype(np.float64)) for start in blocks]
        )

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
        numbers = np.asarray(values, dtype=np.float64)
        return self.measure(lambda weights: weighted_quantile(numbers, share, weights))


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Means of (P,) values under each of (B, P) weights; infinite if an infinite one has weight."""
    infinite = np.isinf(values)
    total = weights @ np.where(infinite, 0.0, values) / weights.sum(axis=1)
    return np.where(weights[:, infinite].any(axis=1), np.inf, total)


def weighted_quantile(values: Floats, share: float, weights: Floats) -> Floats:
    """The smallest value that at least a share of the weight does not exceed: (P,), (B, P) to (B,).

    Nothing is interpolated, so an infinite value never turns into one that is no number.
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)  # (B, P), in ascending order of values
    wanted = share * reached[:, -1:] * (1 - 1e-12)
    return np.asarray(values[order][(reached < wanted).sum(axis=1)])


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
