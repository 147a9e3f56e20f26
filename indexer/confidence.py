"""From the posterior mass around a best guess to the chance that the truth lies there.

The mass is a probability already, but an over- or underconfident one: a logistic of its logit is
fitted to what happened.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SURE = 1e-6
"""Masses are kept this far from 0 and 1, where the logit is infinite."""


def logit(mass: npt.ArrayLike) -> Floats:
    """log(m / (1 - m)); masses of 0 and 1 are as good as almost 0 and almost 1."""
    m = np.clip(np.asarray(mass, dtype=np.float64), _SURE, 1 - _SURE)
    return np.asarray(np.log(m / (1 - m)))


def chance(mass: npt.ArrayLike, slope: float, intercept: float) -> Floats:
    """The logistic: (...) masses to (...) probabilities; more mass never means less."""
    return np.asarray(1 / (1 + np.exp(-(slope * logit(mass) + intercept))), dtype=np.float64)


def fit_confidence(disc_mass: Floats, inside: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the logistic from a disc's mass to the chance that it holds the truth.

    The slope is never negative. A weak normal prior around the mass itself (slope 1, intercept 0)
    keeps both finite where all photos or none are inside.

    Args:
        disc_mass: (P,) posterior mass of the disc around each best guess.
        inside: (P,) whether the truth lies in it.
    """
    from scipy.optimize import minimize  # here, because every search imports this file

    x = logit(disc_mass)
    sign = np.where(inside, 1.0, -1.0)

    def loss(line: Floats) -> tuple[float, Floats]:
        margin = sign * (line[0] * x + line[1])
        off = line - (1.0, 0.0)
        pull = -sign / (1 + np.exp(np.minimum(margin, 700.0)))
        gradient = np.array([(pull * x).sum(), pull.sum()]) + off
        return float(np.logaddexp(0, -margin).sum() + (off**2).sum() / 2), gradient

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    )
    return float(found.x[0]), float(found.x[1])
