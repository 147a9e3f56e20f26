"""Bootstrap intervals of measured numbers, many resamples at once.

A resample draws as many photos as there are, with replacement
(https://doi.org/10.1214/aos/1176344552). It is held as how often each photo was drawn, so a
statistic of all resamples is a few matrix operations on weights. The interval of a number runs from
the 2.5th to the 97.5th percentile of its values on the resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats
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
        self, photos: int, *, resamples: int = EvaluateOptions.resamples, seed: int = 0
    ) -> None:
        self.photos = photos
        self.seed = seed
        rng = np.random.default_rng([seed, photos])
        # A photo is drawn more than 255 times in no resample that anybody will ever see.
        self.weights = np.zeros((resamples, photos), dtype=np.uint8)
        step = max(1, _NUMBERS_AT_ONCE // max(1, photos))
        for start in range(0, resamples, step):
            block = self.weights[start : start + step]  # (B, photos)
            picked = rng.integers(0, max(1, photos), size=block.shape)
            # Shifted so that all resamples are counted at once: photo p of resample b is b P + p.
            picked += np.arange(len(block))[:, None] * photos
            block[:] = np.bincount(picked.ravel(), minlength=block.size).reshape(block.shape)

    def of(self, photos: int, *, stream: int = 0) -> Resamples:
        """As many resamples of another number of photos; of another stream, drawn on their own."""
        return Resamples(photos, resamples=len(self.weights), seed=self.seed + stream)

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
        low, high = percentiles(self.values(statistic))
        return Measured(value, float(low), float(high))

    def means(self, values: npt.ArrayLike) -> list[Measured]:
        """The means of (P, M) finite columns, each with its interval, by one product."""
        columns = np.asarray(values, dtype=np.float64)
        if not self.photos:
            return [Measured(math.nan, math.nan, math.nan)] * columns.shape[1]
        low, high = percentiles(self.values(lambda weights: weights @ columns / self.photos))
        whole = columns.mean(axis=0)
        return [
            Measured(float(v), float(a), float(b)) for v, a, b in zip(whole, low, high, strict=True)
        ]

    def shares(self, hits: Bools) -> list[Measured]:
        """The shares of (P, M) columns that are true.

        Where all photos are, or none, no resample can differ: there the interval is binomial.
        """
        means = self.means(hits)
        if not self.photos:
            return means
        least = (1 - LEVEL) / 2
        edge = least ** (1 / self.photos)  # all of n: true shares below make that too unlikely
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


def percentiles(values: Floats) -> Floats:
    """The ends of the intervals of (B, ...) values: (2, ...)."""
    outside = (1 - LEVEL) / 2
    ranked = np.sort(values, axis=0)
    ends = [math.ceil(share * len(values) - 1e-9) - 1 for share in (outside, 1 - outside)]
    return np.asarray(ranked[np.clip(ends, 0, len(values) - 1)])


def as_json(number: float) -> float | str:
    """JSON knows no infinity and nothing that is no number: they become text."""
    if math.isfinite(number):
        return float(number)
    return "not a number" if math.isnan(number) else ("inf" if number > 0 else "-inf")
