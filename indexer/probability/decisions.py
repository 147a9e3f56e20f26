"""Decisions: answer, answer more coarsely, or not at all, so that few of the answers are wrong.

Asked for answers *within W metres* of which at most a share *alpha* may be wrong, a rule looks at
how much posterior mass lies around the best guess, and answers in one of three ways:

1. within W, where the disc of W holds at least a mass t1;
2. else within the smallest of the larger calibrated radii whose disc holds at least a mass t2;
3. else with the region of a mass t3.

Where a threshold cannot be had, the rule has no answer of that kind. Thresholds are learnt on
held-out places by *learn then test* (https://arxiv.org/abs/2110.01052): each threshold of a grid
that is fixed beforehand is a hypothesis, "of the answers of this kind more than alpha are wrong",
and is tested by the binomial distribution of the wrong ones among the answered places, one photo of
each.
The grid goes from the surest answers to all of them by the fallback procedure, a fixed sequence in
which every hypothesis has a share of the level of its own and inherits that of those refused before
it; the widest threshold that is refused counts. Thus all three thresholds are right, each for the
photos that the ones before leave over, with a probability of 95 % over the draw of the places.
A later kind is tested for every threshold that an earlier one could have got, so that it matters to
no promise which one that was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gair.arrays import Bools, Floats
from gair.errors import UsageError
from gair.geo import HALF_GLOBE_M

ERROR_RATES = (0.001, 0.5)
"""The least and the largest share of wrong answers that can be asked for."""
SURE = 0.95
"""How often, over the draw of the held-out places, a rule keeps its error rate."""
MASS_GRID = (0.99, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.0)
"""Thresholds of t1 and t2, the surest first; fixed before any photo is looked at."""
REGION_GRID = (0.9995, 0.999, 0.998, 0.995, 0.99, 0.98, 0.97, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Masses of t3, the surest first."""
SHARES = (0.6, 0.2, 0.2)
"""How the doubt that :data:`SURE` leaves is shared out among the three kinds."""

WITHIN, LARGER, REGION, NONE = "within", "larger_disc", "region", "none"
"""Kinds of a decision."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Held-out places that nothing was fitted on, one photo of each."""

    radii_m: tuple[float, ...]
    """R of them, ascending."""
    disc_mass: Floats
    """(n, R) posterior mass within each radius of the best guess that people are shown."""
    miss_m: Floats
    """(n,) from there to where the photo was taken."""
    region_mass: Floats
    """(n,) mass that a region has when it first holds the truth."""

    def __len__(self) -> int:
        return len(self.miss_m)


@dataclass(frozen=True)
class Learnt:
    """A threshold, and what the held-out places say of it."""

    threshold: float
    """The least mass of a disc, or the mass of a region."""
    answered: int
    """Held-out places that get such an answer."""
    wrong: int
    """How many of those answers are wrong."""


@dataclass(frozen=True)
class Decision:
    """What is answered to somebody who can bear so many wrong answers."""

    kind: str
    """within, larger_disc, region or none."""
    max_error_rate: float
    """Share of wrong answers that was asked for."""
    within_m: float
    """Distance that was asked for, metres."""
    radius_m: float | None
    """The disc around the best guess that is answered with; None for a region and for none."""
    mass: float | None
    """Posterior mass of that disc or region; None for none."""
    region: dict[str, Any] | None
    """Of the region that is answered with: level, mass, km2, cells, promised, refused."""
    answered: int
    """Held-out places that would have got an answer of this kind."""
    wrong: int
    """How many of those answers would have been wrong."""
    places: int
    """All held-out places that the rule was learnt on."""
    sure: float
    """How often a rule learnt in this way keeps its error rate."""
    reason: str
    """The decision in words, with its numbers."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


def check_wanted(max_error_rate: float, within_m: float) -> None:
    """Refuse what cannot be asked for.

    Raises:
        UsageError: the rate is out of :data:`ERROR_RATES`, or the distance is not above 0.
    """
    least, most = ERROR_RATES
    if not least <= max_error_rate <= most:
        raise UsageError(
            f"`max_error_rate` {max_error_rate:g}: it is a share of the answers, {least:g} to "
            f"{most:g}"
        )
    if not 0 < within_m <= HALF_GLOBE_M:  # NaN fails, too
        raise UsageError(
            f"`within_m` {within_m:g}: it is a distance in metres, above 0 and at most "
            f"{HALF_GLOBE_M:.0f}, half the way around the globe"
        )


def among_radii(radii_m: Sequence[float], radius_m: float) -> tuple[int, int, float]:
    """Where a radius lies among ascending ones, by its logarithm; beyond them, at the nearest.

    Returns:
        The numbers of the radii below and above, and how far it is from one to the other, 0 to 1.
    """
    place = float(np.interp(np.log(radius_m), np.log(radii_m), np.arange(len(radii_m))))
    return math.floor(place), math.ceil(place), place % 1


def mass_at(disc_mass: Floats, radii_m: Sequence[float], radius_m: float) -> Floats:
    """Mass within a radius: (..., R) at ascending radii to (...), between them by log radius."""
    low, high, share = among_radii(radii_m, radius_m)
    return np.asarray((1 - share) * disc_mass[..., low] + share * disc_mass[..., high])


def binomial_p(wrong: int, answered: int, rate: float) -> float:
    """How likely so few or fewer of the answers are wrong where a share ``rate`` is: 0 to 1."""
    from scipy.special import bdtr

    return float(bdtr(wrong, answered, rate)) if answered else 1.0


def widest(answered: Sequence[int], wrong: Sequence[int], rate: float, level: float) -> int:
    """The last threshold of a sequence at which no more than a share of the answers is wrong.

    The fallback procedure: each of G hypotheses has level / G, and that of the refused ones right
    before it.

    Args:
        answered: (G,) places answered at each threshold.
        wrong: (G,) of those.
        rate: share of wrong answers that is allowed.
        level: how likely any of the thresholds may be taken for good though it is not.

    Returns:
        Its number; -1 for none.
    """
    last, at_hand, own = -1, 0.0, level / len(answered)
    for number, (of, bad) in enumerate(zip(answered, wrong, strict=True)):
        at_hand += own
        if binomial_p(bad, of, rate) <= at_hand:
            last = number
        else:
            at_hand = 0.0
    return last


@dataclass(frozen=True)
class Rule:
    """When to answer, and how."""

    max_error_rate: float
    within_m: float
    radii_m: tuple[float, ...]
    """The calibrated radii, ascending."""
    places: int
    """Held-out places it was learnt on."""
    within: Learnt | None
    """Of answers within ``within_m``; None where no threshold will do."""
    larger: Learnt | None
    """Of answers within a larger radius."""
    region: Learnt | None
    """Of regions."""

    @property
    def larger_m(self) -> tuple[float, ...]:
        """Radii of larger discs, ascending."""
        return tuple(radius_m for radius_m in self.radii_m if radius_m > self.within_m)

    def decide(self, disc_mass: Floats) -> Decision:
        """What is answered about a photo with (R,) masses around its best guess.

        The area of a region is for the caller to add.
        """
        (within,), (larger_m,) = self.answers(disc_mass[None])
        asked = f"at most {self.max_error_rate:.1%} wrong answers within {self.within_m:,.0f} m"
        if self.within is not None and within:
            mass = float(mass_at(disc_mass, self.radii_m, self.within_m))
            return self._decision(WITHIN, self.within, self.within_m, mass, f"{asked}: answered")
        if self.larger is not None and math.isfinite(larger_m):
            radius_m = float(larger_m)
            mass = float(mass_at(disc_mass, self.radii_m, radius_m))
            told = f"{asked} cannot be had for this photo, within {radius_m:,.0f} m it can"
            return self._decision(LARGER, self.larger, radius_m, mass, told)
        if self.region is not None:
            told = f"{asked} cannot be had for this photo, nor in a larger disc; in a region it can"
            return self._decision(REGION, self.region, None, self.region.threshold, told)
        return self.none(
            f"{asked} cannot be had for this photo, nor in a larger disc or a region: the "
            f"{self.places:,} held-out places do not show it"
        )

    def answers(self, disc_mass: Floats) -> tuple[Bools, Floats]:
        """What :meth:`decide` says of many photos with (P, R) masses, but for their regions.

        Returns:
            (P,) which are answered within the radius that was asked for, and (P,) the larger radius
            that others are answered within; NaN for none.
        """
        within = np.zeros(len(disc_mass), dtype=np.bool_)
        if self.within is not None:
            within = mass_at(disc_mass, self.radii_m, self.within_m) >= self.within.threshold
        larger = np.full(len(disc_mass), np.nan)
        if self.larger is not None:
            for radius_m in reversed(self.larger_m):  # the smallest comes last
                mass = mass_at(disc_mass, self.radii_m, radius_m)
                larger[mass >= self.larger.threshold] = radius_m
        larger[within] = np.nan
        return within, larger

    def none(self, reason: str) -> Decision:
        """No answer, and why."""
        return self._decision(NONE, Learnt(math.nan, 0, 0), None, None, reason)

    def _decision(
        self, kind: str, learnt: Learnt, radius_m: float | None, mass: float | None, reason: str
    ) -> Decision:
        if kind != NONE:
            reason += f" ({learnt.wrong:,} of {learnt.answered:,} such held-out answers were wrong)"
        return Decision(
            kind=kind,
            max_error_rate=self.max_error_rate,
            within_m=self.within_m,
            radius_m=radius_m,
            mass=mass,
            region=None,
            answered=learnt.answered,
            wrong=learnt.wrong,
            places=self.places,
            sure=SURE,
            reason=reason,
        )


def learn_rule(trials: Trials, max_error_rate: float, within_m: float) -> Rule:
    """The rule that answers as often as can be without too many wrong answers.

    Args:
        trials: the held-out places.
        max_error_rate: share of the answers of each kind that may be wrong.
        within_m: how near an answer should be, metres.

    Raises:
        UsageError: the rate or the distance makes no sense.
    """
    check_wanted(max_error_rate, within_m)
    levels = [(1 - SURE) * share for share in SHARES]
    many = len(MASS_GRID) + 1  # thresholds that a kind can get, and none
    mass = mass_at(trials.disc_mass, trials.radii_m, within_m)
    accepted = [mass >= threshold for threshold in MASS_GRID]
    within = _learn(MASS_GRID, accepted, trials.miss_m > within_m, max_error_rate, levels[0])
    left = np.ones(len(trials), dtype=np.bool_) if within is None else mass < within.threshold

    radii_m = [radius_m for radius_m in trials.radii_m if radius_m > within_m]
    larger = None
    if radii_m:
        by_radius = np.stack([mass_at(trials.disc_mass, trials.radii_m, r) for r in radii_m], 1)
        missed = trials.miss_m[:, None] > np.array(radii_m)
        enough = [by_radius >= threshold for threshold in MASS_GRID]
        accepted = [left & of.any(axis=1) for of in enough]
        first = [of.argmax(axis=1) for of in enough]  # the smallest radius that will do
        wrong = [np.take_along_axis(missed, column[:, None], 1)[:, 0] for column in first]
        larger = _learn(MASS_GRID, accepted, wrong, max_error_rate, levels[1] / many)
        if larger is not None:
            left &= ~(by_radius >= larger.threshold).any(axis=1)

    outside = [trials.region_mass > reach for reach in REGION_GRID]
    everywhere = [left] * len(REGION_GRID)
    region = _learn(REGION_GRID, everywhere, outside, max_error_rate, levels[2] / many**2)
    return Rule(
        max_error_rate,
        within_m,
        trials.radii_m,
        len(trials),
        within=within,
        larger=larger,
        region=region,
    )


def _learn(
    grid: Sequence[float],
    accepted: Sequence[Bools],
    wrong: Bools | Sequence[Bools],
    rate: float,
    level: float,
) -> Learnt | None:
    """The widest threshold of a grid, tested on what is answered and what is wrong at each."""
    bads = [wrong] * len(grid) if isinstance(wrong, np.ndarray) else wrong
    answered = [int(of.sum()) for of in accepted]
    counts = [int((of & bad).sum()) for of, bad in zip(accepted, bads, strict=True)]
    number = widest(answered, counts, rate, level)
    return None if number < 0 else Learnt(grid[number], answered[number], counts[number])
