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
from indexer.ground.likelihood import level_of, shared_out
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
_LEAST_MASS = float(np.finfo(np.float64).tiny)
_START = 10.0
_GAIN_NATS = 1e-6
"""A wider spread must be better by this."""
_EARNED_NATS = 1.92
"""Half the 95th percentile of a chi-squared variable with one degree of freedom."""
_ENTRIES_AT_ONCE = 4_000_000
"""Photos times cells in one step: 32 MB an array."""


@dataclass(frozen=True, eq=False)
class GroundTerm:
    """What reference photos say, as a function of their weight."""

    log_ratios: Scores
    """(P, N) before anything is shared out."""
    covered: Scores
    """(P, N) how far each cell has reference photos, 0 to 1."""
    likely: Scores
    """(P, N) how likely cells are without reference photos, up to a factor a photo."""

    def at(self, weight: float, block: slice) -> tuple[Floats, Floats]:
        """Of a block of B photos: the term, (B, N) nats, and its slope in the weight, (B, N)."""
        logs, covered, likely = (
            np.asarray(values[block], dtype=np.float64)
            for values in (self.log_ratios, self.covered, self.likely)
        )
        levels = [level_of(*one, weight) for one in zip(logs, covered, likely, strict=True)]
        term = shared_out(logs, covered, np.array(levels)[:, None], weight)
        told = weight * logs - np.array(levels)[:, None]
        mass = likely * covered * np.exp(told)
        mean = (mass * logs).sum(axis=1) / np.maximum(mass.sum(axis=1), _LEAST_MASS)
        return term, covered * (logs - mean[:, None]) * np.exp(told - term)


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
    ground: GroundTerm | None = None
    """Of reference photos; None without any."""


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
        scores = (task.rs, task.location)[: len(weights)]
        kinds = [of_kind[block].astype(np.float64) for of_kind in scores]
        logits = weights[0] * kinds[0]
        for weight, of_kind in zip(weights[1:], kinds[1:], strict=False):
            logits += weight * of_kind
        if task.ground is not None and len(weights) > len(kinds):
            term, slope = task.ground.at(float(weights[-1]), block)
            logits += term
            kinds.append(slope)
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
