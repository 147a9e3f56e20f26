"""Fits the weights and the spread of a posterior on photos whose place is known.

These numbers (:class:`indexer.probability.posterior.ScoreWeights`) are those that make the
true cells most probable: the mean negative log-likelihood (NLL) of the truth is least. Scores that
tell nothing get a weight of 0, and the posterior is then the prior. The location's weight must earn
its place: it is 0 unless the likelihood-ratio test refuses that at 5 %.

Neither part of the NLL needs the neighbourhood average over all cells. With the average B (a
matrix), the areas' shares q and the truth t,

    NLL = - log q(t) - log sum_y B(t, y) L(y) + log sum_y (q B)(y) L(y),

so one weighted sum over the cells a photo is enough, and its gradient is one more for each weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array

from gair.arrays import Floats, Ints, Scores
from gair.errors import UsageError
from gair.progress import Progress
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cell_field import CellField

SPREADS = (0.0, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Spreads that are tried, in distances between neighbouring cells; tried until one is worse."""
MOST_PHOTOS = 512
"""Photos that a fit looks at: three numbers need no more."""
FEWEST_PHOTOS = 20
"""Photos that a fit needs."""

_LEAST_WEIGHT = 1e-6
"""Of the imagery: as good as none, but there is a temperature."""
_MOST_WEIGHT = 1e4
_START = 10.0
_GAIN_NATS = 1e-6
"""A wider spread must be better by this."""
_EARNED_NATS = 1.92
"""Half the 95th percentile of a chi-squared variable with one degree of freedom."""
_ENTRIES_AT_ONCE = 4_000_000
"""Photos times cells in one step: 32 MB an array."""


@dataclass(frozen=True, eq=False)
class FitTask:
    """Scores and truths of one fit."""

    rs: Scores
    location: Scores
    truth: Ints
    share: Floats
    """(N,) each cell's share of the area."""
    times: Floats
    """(P,) how much each photo counts."""
    ground: Scores | None = None
    """(P, N) log ratios of reference photos; None without any."""

    @property
    def kinds(self) -> tuple[Scores, ...]:
        """What the weights are of."""
        return (self.rs, self.location) + (() if self.ground is None else (self.ground,))


def fit_score_weights(
    rs: Scores,
    location: Scores,
    field: CellField,
    truth_row: Ints,
    *,
    times: Floats | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> ScoreWeights:
    """The weights and the spread under which the true cells are most probable.

    Args:
        rs: (P, N) cosines of the imagery.
        location: (P, N) cosines of the location embeddings.
        field: the N cells.
        truth_row: (P,) the true cell; photos with -1, outside the index, are passed over.
        times: (P,) how much each photo counts, such as one over the photos of its place; 1 if
            None.
        seed: chooses :data:`MOST_PHOTOS` where there are more.
        quiet: no progress bar.

    Raises:
        UsageError: fewer than :data:`FEWEST_PHOTOS` have their place in the index.
    """
    rows = _chosen(truth_row, seed)
    times = np.ones(len(truth_row)) if times is None else times
    if len(rows) < len(truth_row):  # else there is no need to copy
        rs, location, truth_row = rs[rows], location[rows], truth_row[rows]
    share = field.area_m2 / field.area_m2.sum()
    task = FitTask(rs, location, truth_row, share, times[rows])
    best, best_nll = ScoreWeights(_LEAST_WEIGHT, 0.0, 0.0), np.inf
    start, best_blur = np.array([_START, _START]), None
    with Progress("sharpness", len(SPREADS), "spread", quiet=quiet) as progress:
        for multiple in SPREADS:
            spread_m = multiple * field.spacing_m
            blur = field.blur(spread_m)
            progress.advance(1)
            if multiple and blur is None:
                continue
            weights, nll = fit_weights(task, blur, start)
            if nll > best_nll - _GAIN_NATS:
                break
            best = ScoreWeights(float(weights[0]), float(weights[1]), spread_m)
            best_nll, start, best_blur = nll, weights, blur
        if best.location_weight:
            weights, nll = fit_weights(task, best_blur, start, location=False)
            if (nll - best_nll) * task.times.sum() < _EARNED_NATS:
                best = ScoreWeights(float(weights[0]), 0.0, best.spread_m)
    return best


def _chosen(truth_row: Ints, seed: int) -> Ints:
    """The photos that are looked at."""
    rows = np.flatnonzero(truth_row >= 0)
    if len(rows) < FEWEST_PHOTOS:
        raise UsageError(
            f"{len(rows)} of {len(truth_row)} photos were taken in a cell of the index, and a fit "
            f"needs {FEWEST_PHOTOS}: add photos of the indexed region"
        )
    if len(rows) > MOST_PHOTOS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_PHOTOS, replace=False))
    return rows


def fit_weights(
    task: FitTask, blur: csr_array | None, start: Floats, *, location: bool = True
) -> tuple[Floats, float]:
    """The best weights for one spread, and their NLL; the second is 0 without the location."""
    average = average_of(task, blur)
    most = _MOST_WEIGHT / _START

    def loss(scaled: Floats) -> tuple[float, Floats]:
        nll, gradient = mean_nll(_START * scaled, task, average)
        return nll, _START * gradient

    optimum = minimize(
        loss,
        start / _START,
        jac=True,
        method="L-BFGS-B",
        bounds=[
            (_LEAST_WEIGHT / _START, most),
            (0.0, most if location else 0.0),
            (0.0, most),
        ][: len(start)],
        options={"ftol": 1e-9, "gtol": 1e-5},
    )
    return _START * np.asarray(optimum.x, dtype=np.float64), float(optimum.fun)


@dataclass(frozen=True, eq=False)
class _Average:
    """What the neighbourhood average comes down to."""

    evidence: Floats
    """(N,) q B: how much each cell's likelihood counts in the whole."""
    start: Ints
    """(P + 1,) where, in the next two, the neighbours of each true cell begin."""
    row: Ints
    weight: Floats
    """What each counts in the average at the true cell."""


def average_of(task: FitTask, blur: csr_array | None) -> _Average:
    """The two sums that a fit needs of (N, N) averaging weights."""
    count = len(task.truth)
    if blur is None:
        return _Average(task.share, np.arange(count + 1), task.truth, np.ones(count))
    of_truth = blur[task.truth]  # (P, N)
    start, row = of_truth.indptr.astype(np.int64), of_truth.indices.astype(np.int64)
    return _Average(np.asarray(task.share @ blur), start, row, of_truth.data)


def mean_nll(weights: Floats, task: FitTask, average: _Average) -> tuple[float, Floats]:
    """The mean NLL of the true cells and its gradient in the (K,) weights, nats a photo."""
    count, cells = task.rs.shape
    times = task.times / task.times.sum()
    step = max(1, _ENTRIES_AT_ONCE // cells)
    total, gradient = 0.0, np.zeros(len(weights))
    for start in range(0, count, step):
        block = slice(start, min(start + step, count))
        kinds = [scores[block].astype(np.float64) for scores in task.kinds[: len(weights)]]
        logits = weights[0] * kinds[0]
        for weight, scores in zip(weights[1:], kinds[1:], strict=True):
            logits += weight * scores
        starts = average.start[block.start : block.stop + 1]
        photo = np.repeat(np.arange(len(logits)), np.diff(starts))
        of_block = slice(average.start[block.start], average.start[block.stop])
        at = (photo, average.row[of_block])
        true_log, true_mean = _log_mean(
            logits[at], average.weight[of_block], photo, np.stack([x[at] for x in kinds])
        )
        best = logits.max(axis=1)
        logits -= best[:, None]
        # log sum_y (q B)(y) L(y), and the mean scores under it: what its gradient is.
        mass = np.exp(logits, out=logits)
        mass *= average.evidence
        whole = mass.sum(axis=1)
        whole_mean = np.stack([np.einsum("pn,pn->p", mass, x) for x in kinds]) / whole
        total += float(times[block] @ (np.log(whole) + best - true_log))
        gradient += (whole_mean - true_mean) @ times[block]
    prior = float(times @ np.log(task.share[task.truth]))
    return total - prior, gradient


def _log_mean(logits: Floats, weight: Floats, photo: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """Log of the weighted sum of exp(logits) of each photo, and the mean scores under it.

    Args:
        logits: (M,), photo after photo.
        weight: (M,).
        photo: (M,) 0, 0, ..., 1, 1, ...
        scores: (K, M).

    Returns:
        (P,) and (K, P).
    """
    first = np.flatnonzero(np.diff(photo, prepend=-1))
    best = np.maximum.reduceat(logits, first)
    mass = weight * np.exp(logits - best[photo])
    whole = np.add.reduceat(mass, first)
    return best + np.log(whole), np.add.reduceat(mass * scores, first, axis=1) / whole
