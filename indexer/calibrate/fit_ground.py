"""Fits how much reference photos count, how far each speaks, and how sharply it does.

Photos are compared with reference photos one by one (:mod:`indexer.ground.likelihood`), and with
what is expected of a place (:mod:`indexer.ground.expected`); the way that earns more is taken. Of
both, the kernel's width and the sharpness, or p, are tried one after the other on a few values,
shared out among the places that are likely by the weights without reference photos; for each, the
weights of imagery, location and reference photos are those under which the true cells are most
probable, as without reference photos (:mod:`indexer.calibrate.fit_posterior`).

Reference photos are left out around the place of every photo that is fitted on, so their density
alone says something about where that is: a gap. What they earn is therefore measured against the
same photos at the same places with their looks shuffled. They get a weight of 0 where they do not
earn more than that.

Last, some half-lives of their age are tried (:mod:`indexer.ground.exemplars`). Age counts only
where the best of these earns so much more than none that luck would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from gair.arrays import Floats, Ints, Scores
from gair.progress import Progress
from indexer.calibrate.fit_posterior import FitTask, GroundTerm, fit_weights
from indexer.ground.exemplars import ages_years
from indexer.ground.likelihood import GroundField, GroundKernel
from indexer.ground.likeness import Comparison, Likeness
from indexer.probability.posterior import ScoreWeights
from indexer.regions.cell_field import CellField

KERNELS_M = (150.0, 110.0, 75.0, 300.0)
"""Widths that are tried, the usual one first."""
SHARPNESSES = (20.0, 10.0, 40.0)
"""The same of factors of a cosine."""

EXPECTED_KERNELS_M = (250.0, 150.0, 400.0)
"""Widths that are tried where photos are compared with what is expected of a place."""
EXPECTED_PHOTOS = (1.0, 3.0)
"""The same of p (:mod:`indexer.ground.expected`)."""
EXPECTED_FREEDOM = 30.0
"""Its degrees of freedom: in an unseen city, true cells of other photos were more probable by this
than by 10, by 100 and by a normal distribution."""

HALF_LIVES_YEARS = (8.0, 3.0, 1.0)
"""Half-lives of their age that are tried, beside none."""
FEWEST_YEARS = 1.0
"""Reference photos must be of so many years for their age to be looked at."""

_AGED_NATS = 2.87
"""Half the 98.3rd percentile of a chi-squared variable with one degree of freedom: three are tried,
and one of them does as well as this by luck in 5 %."""
_EARNED_NATS = 3.91
"""Half the 95th percentile of a chi-squared variable with three degrees of freedom."""


@dataclass(frozen=True, eq=False)
class _Fit:
    weights: ScoreWeights
    earned: float
    """Nats over all photos, against shuffled reference photos."""


def fit_ground(
    scores: tuple[Scores, Scores],
    field: CellField,
    truth_row: Ints,
    base: ScoreWeights,
    ground: GroundField,
    likenesses: Sequence[Likeness],
    *,
    times: Floats,
    seed: int = 0,
    quiet: bool = True,
) -> ScoreWeights:
    """The weights with reference photos; ``base`` itself where they do not earn theirs.

    Args:
        scores: (P, N) cosines of the imagery, and of the location.
        field: the N cells.
        truth_row: (P,) the true cells.
        base: fitted without reference photos on the same photos.
        ground: the reference photos around the cells.
        likenesses: of the P photos, without what is no evidence of each.
        times: (P,) how much each photo counts.
        seed: shuffles.
        quiet: no progress bar.
    """
    share = field.area_m2 / field.area_m2.sum()
    task = FitTask(*scores, truth_row, share, times)
    blur = field.blur(base.spread_m)
    shuffled = shuffle(likenesses, ground.comparison, seed)
    kernel = GroundKernel(rs_weight=base.rs_weight, location_weight=base.location_weight)
    likely = kernel.likely(*scores, share)
    assert likely is not None
    tried: dict[GroundKernel, _Fit] = {}
    most = len(KERNELS_M) + len(SHARPNESSES) - 1 + len(HALF_LIVES_YEARS)
    expects_photos = ground.expects  # which looks all reference photos up
    if expects_photos:
        most += len(EXPECTED_KERNELS_M) + len(EXPECTED_PHOTOS) - 1
    with Progress("reference photos", most, "kernel", quiet=quiet) as progress:

        def best_of(kernels: Sequence[GroundKernel]) -> GroundKernel:
            for one in kernels:
                if one not in tried:
                    terms = tuple(
                        term(ground, looks, one, likely) for looks in (likenesses, shuffled)
                    )
                    tried[one] = _fitted(task, blur, base, one, terms)
                    progress.advance(1)
            return max(kernels, key=lambda one: tried[one].earned)

        kernel = best_of([replace(kernel, kernel_m=width_m) for width_m in KERNELS_M])
        kernel = best_of([replace(kernel, sharpness=sharpness) for sharpness in SHARPNESSES])
        if expects_photos:
            first = replace(kernel, expected_photos=EXPECTED_PHOTOS[0], freedom=EXPECTED_FREEDOM)
            other = best_of([replace(first, kernel_m=width_m) for width_m in EXPECTED_KERNELS_M])
            other = best_of([replace(other, expected_photos=p) for p in EXPECTED_PHOTOS])
            kernel = best_of([kernel, other])
        if tried[kernel].earned <= _EARNED_NATS:
            return base
        ages = ages_years(ground.comparison.photos.taken_on)
        if np.nanmax(ages, initial=0.0) >= FEWEST_YEARS:
            aged = best_of([replace(kernel, half_life_years=years) for years in HALF_LIVES_YEARS])
            if tried[aged].earned > tried[kernel].earned + _AGED_NATS:
                kernel = aged
    return tried[kernel].weights


def term(
    ground: GroundField, likenesses: Sequence[Likeness], kernel: GroundKernel, likely: Scores
) -> GroundTerm:
    """What the reference photos say of (P,) photos by a kernel, whatever their weight."""
    log_ratios, covered = np.empty((2, *likely.shape), dtype=np.float32)
    for number, likeness in enumerate(likenesses):
        log_ratios[number], covered[number] = ground.ratio(likeness, kernel)
    return GroundTerm(log_ratios, covered, likely)


def _fitted(
    task: FitTask,
    blur: csr_array | None,
    base: ScoreWeights,
    kernel: GroundKernel,
    terms: Sequence[GroundTerm],
) -> _Fit:
    """The weights with one kernel, by the reference photos as they look and shuffled."""
    start = np.array([base.rs_weight, base.location_weight, 0.5])
    real, by_luck = (
        fit_weights(replace(task, ground=term), blur, start, location=base.location_weight > 0)
        for term in terms
    )
    weights, nll = real
    rs, location, ground = (float(weight) for weight in weights)
    fitted = kernel.score_weights(rs, location, base.spread_m, ground)
    return _Fit(fitted, float((by_luck[1] - nll) * task.times.sum()))


def shuffle(likenesses: Sequence[Likeness], comparison: Comparison, seed: int) -> list[Likeness]:
    """The same looks at other places: each photo's nearest stand where any other of them does.

    And each photo looks as another of them does, beside what is expected of places.

    Args:
        likenesses: of photos, by the comparison.
        comparison: with the reference photos.
        seed: of the places.
    """
    rng = np.random.default_rng((seed, 6))
    count = len(comparison.exemplars)
    others = np.random.default_rng((seed, 7)).permutation(len(likenesses))
    shuffled = []
    for likeness, other in zip(likenesses, others.tolist(), strict=True):
        gone = comparison.exemplars.without(likeness.left_out).gone
        wanted = min(count, len(likeness.rows) + len(gone))
        drawn = rng.choice(count, wanted, replace=False)
        rows = drawn[~np.isin(drawn, gone)][: len(likeness.rows)]
        shuffled.append(comparison.by_age(replace(likeness, rows=rows, s=likenesses[other].s), 0.0))
    return shuffled
