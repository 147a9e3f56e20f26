"""Ages of reference photos, and how much less an old one counts.

A photo's age is how long before the newest photo of its set it was taken, so it does not depend on
when somebody asks. With a half-life, a photo counts half as much for each half-life of its age.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats

DAYS_A_YEAR = 365.25


def ages_years(taken_on: npt.NDArray[np.datetime64]) -> Floats:
    """How much older than the newest each of (n,) days is, in years; NaN for NaT."""
    days = taken_on.astype("datetime64[D]")
    ages = np.full(len(days), np.nan)
    dated = ~np.isnat(days)
    if dated.any():
        ages[dated] = (days[dated].max() - days[dated]).astype(np.float64) / DAYS_A_YEAR
    return ages


def age_weights(taken_on: npt.NDArray[np.datetime64], half_life_years: float) -> Floats:
    """How much each of (n,) photos counts, 1 for the newest.

    Args:
        taken_on: days; NaT where unknown, and such a photo counts as much as those of known days do
            on average.
        half_life_years: years in which a photo comes to count half as much; 0: all count 1.
    """
    if not half_life_years:
        return np.ones(len(taken_on))
    weights = np.exp2(-ages_years(taken_on) / half_life_years)
    unknown = np.isnan(weights)
    weights[unknown] = 1.0 if unknown.all() else weights[~unknown].mean()
    return weights
