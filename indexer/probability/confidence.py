"""Confidence curves from the posterior mass around a best guess to the chance that it is right.

The mass is a probability already, but an over- or underconfident one. A logistic of its logit is
fitted to what happened; then, where photos are many, the shares that five groups of them show bend
it, never so that more mass means less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints
from indexer.probability.reliability import confidence_groups

GROUPS = 5
"""Groups of equally many photos whose shares bend the logistic."""

_SURE = 1e-6
"""Masses are kept this far from 0 and 1, where the logit is infinite."""
_PRIOR_PHOTOS = 20.0
"""Photos that the logistic counts as in each group."""


@dataclass(frozen=True)
class Curve:
    """A logistic of the logit of a mass, bent at some knots."""

    slope: float
    """0 or more."""
    intercept: float
    knots: tuple[float, ...] = ()
    """Logits of masses, ascending."""
    shifts: tuple[float, ...] = ()
    """What is added to the logistic's logit at each knot; in between it is interpolated, and beyond
    the first and last it stays."""

    def straight(self, x: Floats) -> Floats:
        """(...) logits of masses to (...) logits of the chance, before the curve is bent."""
        return self.slope * x + self.intercept

    def logit_at(self, mass: npt.ArrayLike) -> Floats:
        """(...) masses to the (...) logits of the chance; more mass never means less."""
        return self.logit_of(logit(mass))

    def logit_of(self, x: Floats) -> Floats:
        """The same of (...) logits of masses, or whatever else the curve was fitted to."""
        bent = np.interp(x, self.knots, self.shifts) if self.knots else 0.0
        return self.straight(x) + bent

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Curve:
        """A curve from its fields as JSON has them.

        Raises:
            ValueError: it has more knots than shifts, or fewer.
        """
        line = cls(**fields)
        if len(line.knots) != len(line.shifts):
            raise ValueError("a curve with more knots than shifts, or fewer")
        knots, shifts = tuple(line.knots), tuple(line.shifts)
        return cls(float(line.slope), float(line.intercept), knots, shifts)

    def chance(self, mass: npt.ArrayLike) -> Floats:
        """(...) masses to (...) probabilities; more mass never means less."""
        return expit(self.logit_at(mass))


def logit(mass: npt.ArrayLike) -> Floats:
    """log(m / (1 - m)); masses of 0 and 1 are as good as almost 0 and almost 1."""
    m = np.clip(np.asarray(mass, dtype=np.float64), _SURE, 1 - _SURE)
    return np.asarray(np.log(m / (1 - m)))


def expit(x: Floats) -> Floats:
    """The inverse of :func:`logit`."""
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64)


def fit_confidence(disc_mass: Floats, inside: Bools, weight: Floats | None = None) -> Curve:
    """The curve from a disc's mass to the chance that it holds the truth.

    Args:
        disc_mass: (P,) posterior mass of the disc around each best guess.
        inside: (P,) whether the truth lies in it.
        weight: (P,) how much each photo counts, such as one over the photos of its place; 1 if
            None.
    """
    return fit_curve(logit(disc_mass), inside, weight)


def fit_curve(
    x: Floats, inside: Bools, weight: Floats | None = None, group: Ints | None = None
) -> Curve:
    """The curve from (P,) numbers, such as logits of masses, to the chance of (P,) truths.

    Where nothing speaks against it, the chance has the logit x itself.

    Args:
        x: the numbers.
        inside: what came true.
        weight: as of :func:`fit_confidence`.
        group: (P,) the group of each, rising with x, whose shares bend the logistic;
            :data:`GROUPS` of equally many if None.
    """
    times = np.ones(len(x)) if weight is None else weight
    line = _fit_logistic(x, inside, times)
    group = confidence_groups(x, GROUPS) if group is None else group
    groups = [np.flatnonzero(group == number) for number in np.unique(group)]
    knots = np.array([np.average(x[group], weights=times[group]) for group in groups])
    shares = _shares(x, inside, times, line, groups)
    shifts = logit(shares) - line.straight(knots)
    return Curve(line.slope, line.intercept, tuple(knots.tolist()), tuple(shifts.tolist()))


def _shares(x: Floats, inside: Bools, times: Floats, line: Curve, groups: list[Ints]) -> Floats:
    """The share inside in each group, pulled towards the logistic, and never falling."""
    from scipy.optimize import isotonic_regression  # here, because every search imports this file

    count = np.array([times[group].sum() for group in groups]) + _PRIOR_PHOTOS
    prior = [np.average(expit(line.straight(x[g])), weights=times[g]) for g in groups]
    hits = [times[g] @ inside[g] + _PRIOR_PHOTOS * p for g, p in zip(groups, prior, strict=True)]
    return np.asarray(isotonic_regression(np.array(hits) / count, weights=count).x)


def _fit_logistic(x: Floats, inside: Bools, times: Floats) -> Curve:
    """The straight part. Its slope is never negative.

    A weak normal prior around the mass itself (slope 1, intercept 0) keeps both finite where all
    photos or none are inside.
    """
    from scipy.optimize import minimize

    sign = np.where(inside, 1.0, -1.0)

    def loss(line: Floats) -> tuple[float, Floats]:
        margin = sign * (line[0] * x + line[1])
        off = line - (1.0, 0.0)
        pull = -times * sign / (1 + np.exp(np.minimum(margin, 700.0)))  # exp(710) overflows
        gradient = np.array([(pull * x).sum(), pull.sum()]) + off
        return float(times @ np.logaddexp(0, -margin) + (off**2).sum() / 2), gradient

    optimum = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    )
    return Curve(float(optimum.x[0]), float(optimum.x[1]))
