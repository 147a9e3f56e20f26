"""Posterior over cells from scores.

For a photo with cosines r(x) of the imagery and l(x) of the location at cell x, the likelihood is

    L(x) = mean over y near x of exp(rs_weight * r(y) + location_weight * l(y) + ground_weight g(y))

where g is the log of what reference photos around y say (:mod:`indexer.ground.likelihood`; 0 where
an index has none), the mean goes over a Gaussian neighbourhood of ``spread_m`` metres (the model is
right about the neighbourhood more often than about the cell), and

    p(x) = prior(x) L(x) / sum of the same over all cells.

The prior is the area of a cell unless something is known. These numbers are fitted on photos
whose place is known (:mod:`indexer.calibrate.calibrate`); a *temperature* of the paper's softmax is
1 / (rs_weight + location_weight).

Photos of one place are no independent witnesses: what the imagery hides or shows falsely there it
does for all of them, and frames of one film are almost the same photo. Of M photos the
log-likelihoods add up and are divided by 1 + (M - 1) rho, where rho is how much of their errors
they share: 0 would be independent photos, 1 photos that all say the same. It is the mean
correlation of their maps of log-likelihoods, over the cells as far as the prior believes in them,
and never under what photos of one place share at least: what calibration measured where it had
several photos of places (:class:`SharedErrors`), :data:`LEAST_SHARED` else. What the maps share
because it is true counts as an error, too: that is the cautious side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from gair.arrays import Floats, Scores
from gair.errors import UsageError

LEAST_SHARED = 0.6
"""Of photos of one place, however unlike their maps: what is wrong with the imagery of the place is
on none of the maps. Measured on two, three and four photos of one cell in two synthetic cities:
taken as independent, their 90 % regions held the truth in 62 %, with 0.5 to 0.57 in 88 to 90 %,
with 0.61 to 0.68 in 90 to 93 %."""

APART_RADII = 1.5
"""Places of an answer are this many merge radii apart: hardly a cell is in the discs of two, and
hardly one between the first places is in none."""
EARLIER_APART_RADII = 2.0
"""The same in calibrations from before version 8."""

_FLAT = 1e-9
"""A map that deviates less is the same everywhere, but for rounding."""
_TOO_SMALL = 1e-290
"""Sums of exponentials below this have lost digits, or everything."""


@dataclass(frozen=True)
class SharedErrors:
    """How much of their errors photos of one place share, as calibration measured it."""

    least: float
    """At least so much, however unlike their maps: 0 to 1."""
    places: int
    """Places with several photos that this rests on."""
    photos: int
    """Photos of those."""
    chance_shifts: tuple[tuple[float, float], ...] = ()
    """Radius in metres, ascending, and what is added to the logit of the chance that a single photo
    would have: what several photos say together is right more often than as sure a single one.
    Empty in files from before that was measured."""

    def shift_at(self, radius_m: float) -> float:
        """The shift at a radius: in between by its logarithm, beyond the ends the nearest."""
        if not self.chance_shifts:
            return 0.0
        radii_m, shifts = np.array(self.chance_shifts).T
        return float(np.interp(np.log(radius_m), np.log(radii_m), shifts))


@dataclass(frozen=True)
class ScoreWeights:
    """How scores become likelihoods; what calibration fits."""

    rs_weight: float
    """Factor of the imagery's cosine, 0 or more."""
    location_weight: float
    """Factor of the location's cosine, 0 or more."""
    spread_m: float
    """Standard deviation of the neighbourhood that likelihoods are averaged over, metres."""
    ground_weight: float = 0.0
    """Factor of the log ratio of the reference photos, 0 or more."""
    ground_kernel_m: float = 0.0
    """How far around a reference photo speaks, standard deviation in metres."""
    ground_sharpness: float = 0.0
    """Factor of the cosine of a photo and a reference photo."""
    ground_half_life_years: float = 0.0
    """In which a reference photo comes to count half as much; 0: its age does not count."""
    ground_pseudo_photos: float = 1.0
    """Reference photos with the base rate that every place has beside its own; 1 in calibrations
    from before it was told."""
    ground_rs_weight: float | None = None
    """Factor of the imagery's cosine in how likely cells are without reference photos; None in
    calibrations from before: what these say is not shared out by it."""
    ground_location_weight: float = 0.0
    """The same of the location's cosine."""
    ground_expected_photos: float = 0.0
    """Where above 0, photos are compared with what is expected of a place, and this is the p of
    :mod:`indexer.ground.expected`; 0: with reference photos one by one."""
    ground_freedom: float = 0.0
    """Degrees of freedom of the distribution of photos around what is expected; 0 in calibrations
    from before: a normal distribution."""
    apart_radii: float = APART_RADII
    """How far places were apart when their chances were measured, merge radii."""

    @property
    def temperature(self) -> float:
        """What the weighted mean of the two cosines is divided by; infinite for no weight."""
        total = self.rs_weight + self.location_weight
        return 1 / total if total > 0 else math.inf

    @property
    def shares(self) -> tuple[float, float]:
        """The two weights as shares of their sum: imagery, location; both 0 for no weight."""
        total = self.rs_weight + self.location_weight or 1.0
        return self.rs_weight / total, self.location_weight / total

    @property
    def reads_location(self) -> bool:
        """Whether the location's cosine is looked at, for whatever purpose."""
        without_ground = self.ground_location_weight if self.ground_weight else 0.0
        return max(self.location_weight, without_ground) > 0

    @property
    def ground_alone(self) -> ScoreWeights:
        """Of the reference photos alone: imagery and location make no place more likely."""
        alone = replace(self, rs_weight=0.0, location_weight=0.0, spread_m=0.0)
        if self.ground_expected_photos:  # which reads the imagery, too: not alone
            alone = replace(alone, ground_kernel_m=0.0, ground_expected_photos=0.0)
        if self.ground_rs_weight is None:
            return alone
        return replace(alone, ground_rs_weight=0.0, ground_location_weight=0.0)

    @property
    def ground_share(self) -> float:
        """The weight of the reference photos, in the same unit as :attr:`shares`."""
        return self.ground_weight / (self.rs_weight + self.location_weight or 1.0)


def apart_radii_of(weights: ScoreWeights | None) -> float:
    """How far places are apart, merge radii: as calibrated, if the index is."""
    return APART_RADII if weights is None else weights.apart_radii


def log_likelihood(
    rs: Scores,
    location: Scores,
    weights: ScoreWeights,
    blur: csr_array | None,
    ground: Scores | None = None,
) -> Floats:
    """Log L(x) of each photo at each cell, up to a constant a photo.

    Args:
        rs: (P, N) cosines of the imagery.
        location: (P, N) cosines of the location embeddings.
        weights: what the cosines are multiplied by.
        blur: (N, N) of :meth:`CellField.blur` for the spread; None for none.
        ground: (P, N) log ratios of the reference photos; None where they have no weight.

    Returns:
        (P, N); the best cell before averaging is 0.
    """
    weighted = weighted_scores(rs, location, weights, ground)
    weighted -= weighted.max(axis=1, keepdims=True)  # exp() below cannot overflow
    if blur is None:
        return weighted
    averaged = np.asarray(blur @ np.exp(weighted).T).T
    lost = averaged.min(axis=1) < _TOO_SMALL
    logs: Floats = np.log(np.maximum(averaged, _TOO_SMALL))
    # Where a whole neighbourhood underflows, logs are averaged instead: slower, and rarely needed.
    for photo in np.flatnonzero(lost):
        logs[photo] = _log_average(blur, weighted[photo])
    return logs


def weighted_scores(
    rs: Scores, location: Scores, weights: ScoreWeights, ground: Scores | None = None
) -> Floats:
    """Scores as one, in nats: (P, N) of each kind to (P, N); a new array."""
    weighted: Floats = np.multiply(weights.rs_weight, rs, dtype=np.float64)
    if weights.location_weight:
        weighted += np.multiply(weights.location_weight, location, dtype=np.float64)
    if weights.ground_weight and ground is not None:
        weighted += np.multiply(weights.ground_weight, ground, dtype=np.float64)
    return weighted


def _log_average(blur: csr_array, logs: Floats) -> Floats:
    """Log of the averages of exp(logs), (N,), however small they are."""
    near = logs[blur.indices]  # (M,) of all M entries of the matrix, row after row
    starts, counts = blur.indptr[:-1], np.diff(blur.indptr)
    best = np.maximum.reduceat(near, starts)
    shares = np.exp(near - np.repeat(best, counts)) * blur.data
    return np.asarray(best + np.log(np.add.reduceat(shares, starts)))


def posterior(log_likelihoods: Scores, log_prior: Floats) -> Floats:
    """Probabilities of all cells: (P, N) log-likelihoods and (N,) log-priors to (P, N).

    Raises:
        UsageError: the prior leaves no cell.
    """
    _refuse_nowhere(log_prior)
    p: Floats = log_likelihoods + log_prior  # (P, N), from here on in place
    best = p.max(axis=1, keepdims=True)
    p -= np.where(np.isfinite(best), best, 0.0)
    np.exp(p, out=p)
    total = p.sum(axis=1, keepdims=True)
    some = total > 0
    p /= np.where(some, total, 1.0)
    if not some.all():  # where no likelihood is left, what was known before
        flat = np.exp(log_prior - log_prior.max())
        p[~some[:, 0]] = flat / flat.sum()
    return p


def _refuse_nowhere(log_prior: Floats) -> None:
    if not np.isfinite(log_prior).any():
        raise UsageError("the prior leaves no cell to search: loosen it")


def posterior_by_each(
    rs: Scores,
    location: Scores,
    weights: ScoreWeights,
    blur: csr_array | None,
    log_prior: Floats,
    ground: Scores | None = None,
) -> Floats:
    """Probabilities of all cells by each photo alone: :func:`posterior` of its likelihood.

    Without the logarithms between the two, which take a third of the time, where no digits are lost
    by that. Arguments are those of :func:`log_likelihood` and :func:`posterior`.

    Raises:
        UsageError: the prior leaves no cell.
    """
    _refuse_nowhere(log_prior)
    weighted = weighted_scores(rs, location, weights, ground)
    weighted -= weighted.max(axis=1, keepdims=True)
    p: Floats = np.exp(weighted, out=weighted)
    if blur is not None:
        p = np.asarray(blur @ p.T).T
    lost = p.min(axis=1) < _TOO_SMALL
    p *= np.exp(log_prior - log_prior.max())
    total = p.sum(axis=1)
    lost |= ~(total > _TOO_SMALL)
    p /= np.where(lost, 1.0, total)[:, None]
    for photo in np.flatnonzero(lost):
        row = slice(photo, photo + 1)
        said = None if ground is None else ground[row]
        logs = log_likelihood(rs[row], location[row], weights, blur, said)
        p[row] = posterior(logs, log_prior)
    return p


def map_correlation(maps: Scores, log_prior: Floats) -> float:
    """How much alike the maps of photos are.

    Args:
        maps: (M, N) a score or log-likelihood of each photo at each cell.
        log_prior: (N,) how much each cell counts.

    Returns:
        The mean correlation of two of them, -1 to 1; a map that is the same everywhere counts as a
        copy of the others. 1 for one photo.
    """
    logs = np.asarray(maps, dtype=np.float64)
    if len(logs) < 2:
        return 1.0
    share = np.exp(log_prior - log_prior.max())
    share /= share.sum()
    centred = logs - (logs @ share)[:, None]
    covariance = (centred * share) @ centred.T
    deviation = np.sqrt(np.diag(covariance))
    flat = deviation < _FLAT
    deviation[flat] = 1.0
    correlation = covariance / np.outer(deviation, deviation)
    correlation[flat] = correlation[:, flat] = 1.0
    return float(correlation[np.triu_indices(len(logs), 1)].mean())


def shared_by(maps: Scores, log_prior: Floats, least: float = LEAST_SHARED) -> float:
    """What the sum of the log-likelihoods of (M, N) photos of one place is divided by.

    Args:
        maps: as for :func:`map_correlation`.
        log_prior: (N,).
        least: share of their errors that photos of one place have in common at least, 0 to 1.

    Returns:
        1 + (M - 1) rho, 1 to M.
    """
    rho = min(1.0, max(least, map_correlation(maps, log_prior)))
    return 1.0 + (len(maps) - 1) * rho


def same_place(log_likelihoods: Scores, divisor: float) -> Floats:
    """Photos of one place as one: (M, N) and :func:`shared_by` to (1, N)."""
    logs = np.asarray(log_likelihoods, dtype=np.float64)
    return np.asarray(logs.sum(axis=0, keepdims=True) / divisor)


def area_log_prior(area_m2: Floats) -> Floats:
    """Equally likely everywhere: the log of each cell's share of the area, (N,)."""
    return np.asarray(np.log(area_m2 / area_m2.sum()))
