"""Share of a posterior for "not in this index": a prior, and what the look of a photo says.

Before a photo is looked at, it is from elsewhere with a stated prior probability. The test of
:mod:`indexer.probability.out_of_index` gives it a score; the *Bayes factor* is how much more likely
that score is among photos from elsewhere than among those of the index.

* *Measured*: where a calibration had photos from elsewhere, a logistic regression of "elsewhere" on
  the score, with as much weight for either kind, is the log of the Bayes factor.
* *Bound*: where it had none, nobody knows how such photos score, but a p-value p bounds the factor:
  it is at most 1 / (-e p ln p) for p below 1 / e, and taken as 1 above (Sellke, Bayarri and Berger
  2001, Calibration of p Values for Testing Precise Null Hypotheses). The share that follows is "at
  most".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gair.errors import UsageError

if TYPE_CHECKING:
    from gair.arrays import Floats

EVEN = 0.5
"""Default prior: whoever asks an index about a photo and says nothing more may be right or wrong
to ask this one. It states no knowledge either way, so the share shown is the test's own word."""


@dataclass(frozen=True)
class Elsewhere:
    """Whether a photo was taken outside the index, as a probability."""

    probability: float
    """That it was; the most that it can be where the basis is ``bound``."""
    prior: float
    """Before the photo was looked at."""
    bayes_factor: float
    """How much more likely the photo's look is elsewhere than in the index."""
    basis: Literal["measured", "bound"]
    """``measured`` on photos from elsewhere, or a ``bound`` from the p-value alone."""


@dataclass(frozen=True)
class BayesFactor:
    """Log Bayes factor as a straight line of the score, within what was measured."""

    slope: float
    """Nats a unit of score; 0 or less: strange photos have low scores."""
    intercept: float
    most: float
    """Of the factor, either way: no more than there were photos."""

    def at(self, score: float) -> float:
        """How much more likely a score is elsewhere than in the index."""
        limit = math.log(self.most)
        return math.exp(min(max(self.intercept + self.slope * score, -limit), limit))


def check_prior(prior: float) -> None:
    """Refuse a prior that is no probability.

    Raises:
        UsageError: it is not between 0 and 1.
    """
    if not 0 <= prior <= 1:
        raise UsageError(
            f"`elsewhere_prior` {prior:g}: it is a probability, 0 (surely taken in the index) to 1"
        )


def fit_bayes_factor(here: Floats, elsewhere: Floats) -> BayesFactor:
    """The line from scores of (n,) photos of the index and (m,) from elsewhere.

    A weak normal prior around no difference keeps it finite where no score is on both sides.
    """
    import numpy as np  # here, because every command's help imports this file
    from scipy.optimize import minimize

    x = np.concatenate([here, elsewhere])
    scale = float(x.std()) or 1.0
    middle = float(x.mean())
    sign = np.repeat([-1.0, 1.0], [len(here), len(elsewhere)])
    # Each kind weighs as much as the smaller one: the log odds are then the log Bayes factor.
    count = min(len(here), len(elsewhere))
    weight = np.repeat([count / len(here), count / len(elsewhere)], [len(here), len(elsewhere)])
    z = (x - middle) / scale

    def loss(line: Floats) -> tuple[float, Floats]:
        margin = sign * (line[0] * z + line[1])
        pull = -weight * sign / (1 + np.exp(np.clip(margin, -700, 700)))
        value = (weight * np.logaddexp(0, -margin)).sum() + (line**2).sum() / 50
        return float(value), np.array([(pull * z).sum(), pull.sum()]) + line / 25

    optimum = minimize(
        loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(None, 0), (None, None)]
    )
    slope = float(optimum.x[0]) / scale
    return BayesFactor(slope, float(optimum.x[1]) - slope * middle, 1.0 + count)


def bound_of(p_value: float) -> float:
    """The most that a p-value says for the alternative: 1 for p of 1 / e or more."""
    if p_value >= 1 / math.e:
        return 1.0
    return 1 / (-math.e * p_value * math.log(p_value))


def elsewhere_of(prior: float, factor: float, basis: Literal["measured", "bound"]) -> Elsewhere:
    """The share of a prior after a Bayes factor."""
    weighed = prior * factor
    return Elsewhere(weighed / (weighed + (1 - prior)), prior, factor, basis)
