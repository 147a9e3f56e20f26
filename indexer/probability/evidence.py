"""Evidence weighs a claim: likelihood ratios with their words, and a reader's prior odds.

A likelihood ratio says how many times as probable the claim's score is if the photo was taken there
as if an alternative is true. It is not how likely the claim is: for that it takes the odds that
somebody gives the claim before the photo is looked at, which are theirs to say. Words for ratios
are those of the ENFSI guideline for evaluative reporting in forensic science (2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.probability.calibration import AGAIN, Calibration
from indexer.probability.likelihood_ratios import ALTERNATIVES, RatioCurve

SCALE = (
    (2.0, "no support"),
    (10.0, "weak support"),
    (100.0, "moderate support"),
    (1e3, "moderately strong support"),
    (1e4, "strong support"),
    (1e6, "very strong support"),
    (math.inf, "extremely strong support"),
)
"""Ratios below each number, above the one before, and what they are called."""
WELL_CALIBRATED = 1.1
"""Cost of calibrated ratios, at most, in units of the least that it could be."""


@dataclass(frozen=True)
class Evidence:
    """How a claim weighs against one alternative."""

    alternative: str
    """random, lookalike or elsewhere: what else may be true of the photo."""
    against: str
    """The same in words: it was taken ..."""
    likelihood_ratio: float
    """P(score | taken there) / P(score | the alternative), as measured by calibration."""
    limit: float
    """The largest ratio that calibration can show, and one over the smallest."""
    support: str
    """The ratio in words, after the ENFSI scale, and for which side."""
    posterior_odds: float | None
    """Of the claim against the alternative, after the photo; None where no prior was given."""
    posterior_probability: float | None
    """The same odds as a probability, if nothing but the two can be true."""
    sentence: str
    """All of it in words."""


def weigh(
    curves: Mapping[str, Mapping[float, RatioCurve]],
    radius_m: float,
    scores: Floats,
    prior_odds: float | None = None,
) -> tuple[Evidence, ...]:
    """The evidence of a claim, one an alternative that calibration measured at the radius.

    Args:
        curves: of a calibration.
        radius_m: one that was calibrated.
        scores: (M,) of the claim, by each photo of one place alone. The logarithms of their ratios
            are averaged: photos of one place repeat each other, so all count as one.
        prior_odds: of the claim against the alternative, before the photos; None for not given.
    """
    return tuple(
        _evidence(name, curves[name][radius_m], scores, prior_odds)
        for name in ALTERNATIVES
        if radius_m in curves.get(name, {})
    )


def weighed(
    calibration: Calibration | None,
    radius_m: float,
    tested_radius_m: float | None,
    scores: Floats | None,
    prior_odds: float | None,
) -> tuple[tuple[Evidence, ...], str]:
    """The evidence of a claim and a sentence of all of it, or none and why.

    Args:
        calibration: of the index; None where there is none.
        radius_m: of the claim.
        tested_radius_m: the calibrated one that it is tested at; None beyond the last.
        scores: (M,) at that radius, by each photo; None where there are none.
        prior_odds: as for :func:`weigh`.
    """
    if calibration is None:
        return (), no_ratio("the index is not calibrated")
    curves = calibration.likelihood_ratios
    if not curves:
        return (), no_ratio(f"the calibration is from before claims were weighed; {AGAIN}")
    evidence: tuple[Evidence, ...] = ()
    withheld: list[str] = []
    if tested_radius_m is not None and scores is not None:
        measured = calibration.measured
        withheld = [name for name in curves if ill_calibrated(measured, name, tested_radius_m)]
        kept = {name: of for name, of in curves.items() if name not in withheld}
        evidence = weigh(kept, tested_radius_m, scores, prior_odds)
    told = [
        f"No ratio is given against its being taken {ALTERNATIVES[name]}: on held-out places such "
        "ratios were not calibrated."
        for name in withheld
    ]
    if not evidence or scores is None:
        why = no_ratio(f"calibration has none for a radius of {radius_m:,.0f} m")
        return (), " ".join(told) or why
    words = [one.sentence for one in evidence] + told
    if tested_radius_m != radius_m:
        words.append(f"The ratios are of a radius of {tested_radius_m:,.0f} m.")
    if len(scores) > 1:
        words.append("Of several photos they are the geometric mean: all count as one.")
    return evidence, " ".join(words)


def ill_calibrated(measured: Mapping[str, float], alternative: str, radius_m: float) -> bool:
    """Whether ratios cost surely more, on held-out places, than :data:`WELL_CALIBRATED` allows.

    Args:
        measured: of a calibration; what it does not have is not held against it.
        alternative: of the ratios.
        radius_m: of the claims.
    """
    name = f"{alternative}_{radius_m:g}m"
    low, least = measured.get(f"cllr_low_{name}"), measured.get(f"least_cllr_{name}")
    return low is not None and least is not None and low > WELL_CALIBRATED * least


def no_ratio(why: str) -> str:
    """The sentence that stands in the place of evidence."""
    return f"No likelihood ratio: {why}."


def _evidence(name: str, curve: RatioCurve, scores: Floats, prior_odds: float | None) -> Evidence:
    ratio = float(np.exp(curve.log_ratio(scores).mean()))
    odds = None if prior_odds is None else prior_odds * ratio
    support = support_in_words(ratio)
    sentence = f"{_compared(ratio, curve.limit)} if it was taken {ALTERNATIVES[name]}: {support}."
    if prior_odds is not None and odds is not None:
        sentence += (
            f" Prior odds of {odds_in_words(prior_odds)} become {odds_in_words(odds)} "
            f"({odds / (1 + odds):.2g} as a probability)."
        )
    return Evidence(
        alternative=name,
        against=ALTERNATIVES[name],
        likelihood_ratio=ratio,
        limit=curve.limit,
        support=support,
        posterior_odds=odds,
        posterior_probability=None if odds is None else odds / (1 + odds),
        sentence=sentence,
    )


def _compared(ratio: float, limit: float) -> str:
    times = max(ratio, 1 / ratio)
    more = "more" if ratio >= 1 else "less"
    claim = "if the photo was taken there"
    if times < 1.05:
        return f"This score is as probable {claim} as"
    if times > limit * (1 - 1e-9):
        size = f"at least {ratio_in_words(limit)} times {more} probable"
        return f"This score is {size} (as far as the calibration reaches) {claim} than"
    return f"This score is about {ratio_in_words(times)} times {more} probable {claim} than"


def support_in_words(ratio: float) -> str:
    """``moderate support for the claim``: the words for a likelihood ratio, and for which side."""
    times = max(ratio, 1 / ratio)
    strength = next(words for below, words in SCALE if times < below)
    if strength == SCALE[0][1]:
        return "no support for either"
    return f"{strength} for {'the claim' if ratio > 1 else 'the alternative'}"


def ratio_in_words(ratio: float) -> str:
    """Two digits: ``1.3``, ``45``, ``4,500``."""
    digits = 1 - math.floor(math.log10(ratio))
    return f"{round(ratio, digits):,.{max(0, digits)}f}".removesuffix(".0")


def odds_in_words(odds: float) -> str:
    """``12 to 1``, ``1 to 99``."""
    if odds >= 1:
        return f"{ratio_in_words(odds)} to 1"
    return f"1 to {ratio_in_words(1 / odds)}"


def prior_odds_of(odds: float | None, probability: float | None) -> float | None:
    """A reader's prior as odds, given as odds or as a probability; None for neither.

    Raises:
        UsageError: both are given, or one makes no sense.
    """
    if odds is not None and probability is not None:
        raise UsageError("`prior_odds` and `prior_probability` say the same: give one of them")
    if probability is not None:
        if not 0 < probability < 1:
            raise UsageError(
                f"`prior_probability` is {probability:g}: it must be between 0 and 1, for example "
                "0.1"
            )
        return probability / (1 - probability)
    if odds is not None and not (math.isfinite(odds) and odds > 0):
        raise UsageError(f"`prior_odds` is {odds:g}: it must be more than 0, for example 0.01")
    return odds
