"""Cost of likelihood ratios: Cllr, its minimum after PAV, and what Tippett plots show.

Cllr is the mean information that ratios waste, in bits, over claims that are true and claims that
are false (https://doi.org/10.1016/j.csl.2005.08.001): 0 is perfect, 1 is what ratios of 1 give. It
has two parts. Pool adjacent violators (PAV) finds the ratios that rise with the given ones and cost
least; their cost is what the scores can do at best, and what is above it is bad calibration.

Ratios are given as natural logarithms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats


def cllr(
    true_log: Floats,
    false_log: Floats,
    true_weights: npt.NDArray[np.number] | None = None,
    false_weights: npt.NDArray[np.number] | None = None,
) -> Floats:
    """Cost of log likelihood ratios, bits.

    Args:
        true_log: (n,) natural logarithms of the ratios of true claims.
        false_log: (m,) the same of false ones.
        true_weights: (B, n), how often each counts; once if None.
        false_weights: (B, m).

    Returns:
        (B,); NaN where there are no claims of one kind.
    """
    if not (len(true_log) and len(false_log)):
        return np.full(1 if true_weights is None else len(true_weights), np.nan)
    of_true = _mean(np.logaddexp(0, -true_log), true_weights)
    return np.asarray((of_true + _mean(np.logaddexp(0, false_log), false_weights)) / np.log(4))


def _mean(costs: Floats, weights: npt.NDArray[np.number] | None) -> Floats:
    if weights is None:
        return np.array([costs.mean()])
    return np.asarray(weights @ costs / weights.sum(axis=1))


def pav_log_ratios(true_log: Floats, false_log: Floats) -> tuple[Floats, Floats]:
    """The log ratios that rise with the given ones and cost least: (n,) and (m,).

    Equal ratios stay equal. They are minus and plus infinity where only claims of one kind are.
    """
    from scipy.optimize import isotonic_regression  # here, because every search imports this file

    n, m = len(true_log), len(false_log)
    if not (n and m):
        return np.full(n, np.inf), np.full(m, -np.inf)
    values, group = np.unique(np.concatenate([true_log, false_log]), return_inverse=True)
    true = np.bincount(group[:n], minlength=len(values))
    every = np.bincount(group, minlength=len(values))
    share = np.asarray(isotonic_regression(true / every, weights=every.astype(float)).x)
    with np.errstate(divide="ignore"):
        fitted = np.log(share) - np.log1p(-share) - np.log(n / m)
    return fitted[group[:n]], fitted[group[n:]]


def least_cllr(true_log: Floats, false_log: Floats) -> float:
    """Cllr after PAV, bits: what no rising recalibration of the ratios can go below."""
    return float(cllr(*pav_log_ratios(true_log, false_log))[0])


def tippett(log_ratios: Floats, at: Floats) -> Floats:
    """Share of (n,) claims whose log ratio is at least each of (Q,) values: (Q,)."""
    ascending = np.sort(log_ratios)
    below = np.searchsorted(ascending, at, side="left")
    return np.asarray((len(ascending) - below) / max(len(ascending), 1), dtype=np.float64)
