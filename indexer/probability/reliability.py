"""Reliability of probabilities: calibration error, coverage of intervals, selection, AUROC.

NumPy on plain arrays; every curve is also one number. The same functions take weights, one row a
resample, where an interval is wanted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints

BINS = 10
"""Groups of photos in a reliability diagram."""


@dataclass(frozen=True)
class Reliability:
    """What was said and what was true, in groups of about equally many photos."""

    photos: Ints
    """(G,) in each group."""
    said: Floats
    """(G,) mean confidence."""
    true: Floats
    """(G,) share that was right."""
    low: Floats
    """(G,) lower end of the 95 % interval of that share, as if photos of one place were one."""
    high: Floats


def confidence_groups(confidence: Floats, bins: int = BINS) -> Ints:
    """Photos in groups of about equal size, from the least confident up: (P,) to (P,) numbers.

    Groups of equal width would leave most photos in one where all confidences are low. Photos of
    one confidence are never parted.
    """
    edges = np.quantile(confidence, np.arange(1, bins) / bins, method="lower")
    return np.searchsorted(np.unique(edges), confidence, side="left").astype(np.int64)


def reliability(
    confidence: Floats, right: Bools, bins: int = BINS, *, place: Ints | None = None
) -> Reliability:
    """The reliability diagram of (P,) confidences that an answer is right, and whether it was.

    Args:
        confidence: (P,).
        right: (P,).
        bins: number of groups.
        place: (P,) which photos are of one place; each by itself if None.
    """
    if not len(confidence):
        none = np.zeros(0)
        return Reliability(none.astype(np.int64), none, none, none, none)
    group = confidence_groups(confidence, bins)
    photos = np.bincount(group)
    filled = photos > 0
    hits = np.bincount(group, weights=right)[filled]
    said = np.bincount(group, weights=confidence)[filled]
    photos = photos[filled]
    places = photos
    if place is not None:
        places = np.bincount(np.unique(np.stack([group, place]), axis=1)[0])[filled]
    low, high = binomial_interval(hits * places / photos, places)
    return Reliability(photos, said / photos, hits / photos, low, high)


def calibration_error(
    confidence: Floats, right: Bools, bins: int = BINS, weights: Floats | None = None
) -> Floats:
    """ECE: how far the share that is right is from what was said, mean over photos of each group.

    Args:
        confidence: (P,).
        right: (P,), or (B, P) to try several outcomes.
        bins: number of groups, of equal size without weights.
        weights: (B, P), how often each photo counts; once if None.

    Returns:
        (B,), one number a row of weights or outcomes.
    """
    group = confidence_groups(confidence, bins)
    # |sum over a group of (right - said)| is its size times the gap of its means: one product.
    member = np.eye(group.max() + 1)[group]  # (P, G)
    gap = np.asarray(right, dtype=np.float64) - confidence
    weighted = np.atleast_2d(gap if weights is None else gap * weights)
    total = len(confidence) if weights is None else weights.sum(axis=1)
    return np.asarray(np.abs(weighted @ member).sum(axis=1) / total)


def calibration_error_by_luck(
    confidence: Floats, bins: int = BINS, *, draws: int = 200, seed: int = 0
) -> float:
    """The ECE that as many photos show on average if every confidence is exactly true."""
    rng = np.random.default_rng([seed, 3])
    right = rng.random((draws, len(confidence))) < confidence
    return float(calibration_error(confidence, right, bins).mean())


def binomial_interval(
    hits: npt.ArrayLike, trials: npt.ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Clopper and Pearson's interval of a share: it covers the true one at least that often.

    Args:
        hits: (...) how many of them.
        trials: (...) 1 or more.
        level: of the interval.

    Returns:
        (...) lower and upper ends.
    """
    from scipy.special import betaincinv

    k, n = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    tail = (1 - level) / 2
    low = betaincinv(np.maximum(k, 1), n - np.maximum(k, 1) + 1, tail)
    high = betaincinv(np.minimum(k, n - 1) + 1, np.maximum(n - k, 1), 1 - tail)
    return np.where(k <= 0, 0.0, low), np.where(k >= n, 1.0, high)


def risk_coverage(confidence: Floats, loss: Floats) -> tuple[Floats, Floats]:
    """The share that is wrong when only the most confident answers are given.

    Args:
        confidence: (P,); minus infinity for a photo that is never answered.
        loss: (P,) 1 for a wrong answer, 0 for a right one.

    Returns:
        (P,) shares of photos that are answered and (P,) risks among them. Photos of one confidence
        are answered in any order; the risk is the mean over all orders.
    """
    order = np.argsort(-confidence, kind="stable")
    _, group = np.unique(-confidence[order], return_inverse=True)
    # Each photo's loss is shared out among those of its confidence.
    even = (np.bincount(group, weights=loss[order]) / np.maximum(np.bincount(group), 1))[group]
    count = np.arange(1, len(order) + 1)
    return count / max(1, len(order)), np.cumsum(even) / count


def area_under_risk(confidence: Floats, loss: Floats, weights: Floats | None = None) -> Floats:
    """AURC: the mean risk over all shares of photos that may be answered; lower is better.

    Args:
        confidence: (P,).
        loss: (P,).
        weights: (B, P), how often each photo counts; once if None.

    Returns:
        (B,).
    """
    times = np.ones((1, len(confidence))) if weights is None else weights
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    ordered = np.take(times, order, axis=1)
    count = np.add.reduceat(ordered, starts, axis=1)  # of photos of one confidence
    lost = np.add.reduceat(ordered * loss[order], starts, axis=1)
    after, lost_after = np.cumsum(count, axis=1), np.cumsum(lost, axis=1)
    before, lost_before = after - count, lost_after - lost
    # Within a group the losses rise evenly: the sum over n of (lost_before + rate i)/(before + i).
    rate = lost / np.maximum(count, 1)
    harmonic = np.diff(_harmonic(after), axis=1, prepend=0.0)  # each group begins after the last
    total = rate * count + (lost_before - rate * before) * harmonic
    return np.asarray(total.sum(axis=1) / after[:, -1])


def _harmonic(n: Floats) -> Floats:
    """1 + 1/2 + ... + 1/n for whole numbers."""
    table = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(n.max(initial=0)) + 1))])
    return np.asarray(table[n.astype(np.int64)])


def auroc(
    inside: Floats,
    outside: Floats,
    inside_weights: npt.NDArray[np.number] | None = None,
    outside_weights: npt.NDArray[np.number] | None = None,
) -> Floats:
    """How often a photo from inside scores higher than one from outside; a tie counts half.

    Args:
        inside: (P,) scores.
        outside: (Q,) scores.
        inside_weights: (B, P), how often each counts; once if None.
        outside_weights: (B, Q).

    Returns:
        (B,); 0.5 is chance, 1 parts them perfectly.
    """
    times_inside = np.ones((1, len(inside))) if inside_weights is None else inside_weights
    times_outside = np.ones((1, len(outside))) if outside_weights is None else outside_weights
    values, group = np.unique(np.concatenate([inside, outside]), return_inverse=True)
    wins = np.zeros(len(times_inside))
    for row, (a, b) in enumerate(zip(times_inside, times_outside, strict=True)):
        # (values,) weights by score; an outside photo of a lower score is beaten, half of a tie.
        high = np.bincount(group[: len(inside)], weights=a, minlength=len(values))
        low = np.bincount(group[len(inside) :], weights=b, minlength=len(values))
        wins[row] = (high * (np.cumsum(low) - low / 2)).sum()
    pairs = times_inside.sum(axis=1) * times_outside.sum(axis=1)
    return np.asarray(wins / pairs, dtype=np.float64)


def log_losses(log_p: Floats, floor: float = -math.inf) -> Floats:
    """-log p of the true cell, nats: (P,); what is less likely than a floor counts as the floor."""
    return np.asarray(-np.maximum(log_p, floor))
