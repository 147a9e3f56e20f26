"""Verdicts on a claimed place, with their error rates.

Two questions are asked of a claim (:mod:`indexer.probability.claims`).

* **If the photo was taken elsewhere in the index, how often would a claim do this well?**
  ``p_elsewhere`` is the share of places that do. ``p_false`` is the share of random false claims
  that did, about photos whose place is known; without calibration, a bound on it.
* **If the claim is true, how often would it do this badly?** ``p_true`` is the share of true claims
  about such photos that did. A true claim puts its point anywhere in the disc around the place,
  so the point was drawn at random there.

A claim is *consistent* where the first answer is "hardly ever" (below 5 %) and the second is not,
*unlikely* where the second is and the first is not. Both rates are conformal p-values: for photos
like those that were calibrated on, at most 5 % of true claims are called unlikely and at most 5 %
of random false ones consistent, whatever the model. A false claim that somebody chose because it
looks right is not random: there the second rate says nothing.

Calibration knows the radii of :data:`indexer.probability.claims.RADII_M`. A claim between two of
them is tested at the next larger one: within 300 m implies within 500 m, so to refuse the latter is
to refuse the former, and the rate of true claims holds. A claim beyond the largest is never called
unlikely.

Beside the verdict stands the evidence (:mod:`indexer.probability.evidence`): likelihood ratios
against stated alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Ints
from gair.coordinates.text import check_lonlat
from gair.errors import UsageError
from gair.geo import HALF_GLOBE_M
from indexer.probability.basis import Basis
from indexer.probability.calibration import Calibration
from indexer.probability.cautions import Caution, coded
from indexer.probability.claim_context import Context
from indexer.probability.claims import (
    RADII_M,
    Background,
    Standing,
    calibrated_radius_m,
    disc_points,
    masses_elsewhere,
    places_compared,
    share_as_bad,
    share_as_good,
    standing,
)
from indexer.probability.evidence import Evidence, no_ratio, weighed
from indexer.probability.likelihood_ratios import RANDOM
from indexer.probability.out_of_index import Membership
from indexer.regions.cell_field import CellField

SCHEMA_VERSION = 2
"""Of :meth:`Verdict.to_dict`. Raised when a field changes its meaning or goes away."""

LEVEL = 0.05
"""Below this a share counts as hardly ever."""

CONSISTENT = "consistent"
UNLIKELY = "unlikely"
CANNOT_TELL = "cannot tell"
OUTSIDE = "not in this index"


RATES = ("true_unlikely", "true_consistent", "false_consistent", "false_unlikely")
"""What calibration measures of verdicts, at each radius: :func:`rate_name`."""


class Ground(Protocol):
    """Cells that a claim is tested on; :class:`indexer.search.space.SearchSpace` is one."""

    @property
    def field(self) -> CellField:
        """The cells."""

    @property
    def calibration(self) -> Calibration | None:
        """What claims look like; None where nobody calibrated."""

    def cell_row(self, lonlat_deg: Floats) -> Ints:
        """The cell that holds each of (Q, 2) points; -1 outside the index."""

    def background(self, radius_m: float) -> Background:
        """The discs that claims of a radius are compared with."""


@dataclass(frozen=True)
class Verdict:
    """What can be said of a claimed place."""

    verdict: str
    """consistent, unlikely, cannot tell or not in this index."""
    sentence: str
    """The same in words, with its numbers and error rates."""
    lon_deg: float
    lat_deg: float
    radius_m: float
    mass: float
    """Posterior mass of the claim's disc: a score to compare places by, no calibrated chance."""
    rank: int | None
    """1 if none of the other places does as well."""
    compared: int
    """How many other places were looked at."""
    percentile: float | None
    """How many of them, in percent, do worse."""
    p_elsewhere: float | None
    """Share of places elsewhere in the index that do at least as well."""
    p_false: float | None
    """Share of random false claims that do at least as well; a bound without calibration."""
    p_true: float | None
    """Share of true claims that do as badly; None where that is not known."""
    level: float
    """Below this a share counts as hardly ever."""
    tested_radius_m: float | None
    """The calibrated radius behind ``p_false``, ``p_true`` and the rates."""
    rates: dict[str, float]
    """Measured shares of true and of random false claims that get each verdict."""
    warnings: tuple[str, ...] = ()
    """Sentences to show beside it; in JSON each is an object of ``code`` and ``text``."""
    membership: Membership | None = None
    """Whether the photo is from the index; None where that was not tested."""
    unlike: tuple[str, ...] = ()
    """Conditions in which the photo is unlike the calibration photos: then it tests no claim."""
    calibration: Basis | None = None
    """How many photos of how many places the rates were measured on, and when; None where the index
    is not calibrated, or the radius."""
    distinct_as_good: int = 0
    """Of about so many distinct places elsewhere that do at least as well ..."""
    distinct_compared: int = 0
    """... among about so many: the places above overlap each other."""
    rim_share: float = 0.0
    """Share of the claim's disc that lies outside the index, of which nothing is known."""
    likelihood_ratio: float | None = None
    """How many times as probable the score is if the photo was taken there as if it was taken
    somewhere else in the index; None where that was not calibrated."""
    evidence: tuple[Evidence, ...] = ()
    """The same against each alternative, with words and odds."""
    evidence_sentence: str = ""
    """The evidence in words, or why there is none."""
    prior_odds: float | None = None
    """Of the claim, as the reader gave them."""
    own_place: bool = False
    """Whether the claim is one of the answer's own places, which is no test of the answer."""
    own_place_rank: int | None = None
    """Which of them."""
    claim_number: int = 1
    """Which claim on the photo this is, as far as was said."""
    photos: tuple[str, ...] = ()
    """What the photos were called by who asked."""
    photo_sha256: tuple[str, ...] = ()
    """SHA-256 of the bytes of each of these files, hexadecimal; empty for one given as pixels."""
    masses_elsewhere: Floats | None = field(default=None, repr=False, compare=False)
    """(``compared``,) posterior mass of each other place; not part of the JSON."""

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON types, with ``schema_version``."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        values["warnings"] = coded(self.warnings)
        values["calibration"] = None if self.calibration is None else asdict(self.calibration)
        values["evidence"] = [asdict(one) for one in self.evidence]
        values["membership"] = None if self.membership is None else asdict(self.membership)
        return {"schema_version": SCHEMA_VERSION, **values}


def verify_claim(
    ground: Ground,
    p: Floats,
    lonlat_deg: npt.ArrayLike,
    radius_m: float = 500.0,
    *,
    each: Floats | None = None,
    context: Context | None = None,
) -> Verdict:
    """Test one claim about one photo, or about several of one place.

    Args:
        ground: the index.
        p: (N,) posterior under the area prior, as calibration had it; of all photos together.
        lonlat_deg: (2,) the claimed point.
        radius_m: how far from it the photo may have been taken.
        each: (M, N) posteriors of the photos one by one, where there are several. Calibration knows
            single photos only: ``p_true`` is then the least of theirs times M (Bonferroni), and
            ``p_false`` the bound that needs no calibration.
        context: what the asker knows beside them.

    Raises:
        UsageError: the point is not on Earth, the radius makes no sense, or the odds or the number
            of the claim do not.
    """
    check_claim(lonlat_deg, radius_m)
    context = context or Context()
    context.check()
    point = np.asarray(lonlat_deg, dtype=np.float64).reshape(1, 2)
    row = ground.cell_row(point)
    if row[0] < 0 and ground.field.nearest(point)[1][0] > radius_m:
        nothing = _Shares(None, None, None, None, {})
        verdict = _verdict(OUTSIDE, point[0], radius_m, None, nothing, 0.0)
        verdict = replace(verdict, warnings=exchanged_cautions(ground, point))
        return _in_context(verdict, context)
    among = ground.background(radius_m)
    together = standing(p[None], ground.field, point, row, among)
    shares = _shares(ground, p[None] if each is None else each, point, row, radius_m, together)
    word = verdict_of(shares.p_elsewhere, shares.p_false, shares.p_true)
    calibration = ground.calibration
    places = places_compared(ground.field, point, among)
    verdict = _verdict(word, point[0], radius_m, together, shares, places)
    outside = ground.cell_row(disc_points(point, radius_m)) < 0
    verdict = replace(verdict, rim_share=float(outside.mean()))
    verdict = replace(verdict, masses_elsewhere=masses_elsewhere(p, point, among))
    if calibration is not None and shares.p_true is not None:
        verdict = replace(verdict, calibration=calibration.basis, warnings=calibration.cautions)
    evidence, sentence = weighed(
        calibration, radius_m, shares.tested_radius_m, shares.scores, context.prior_odds
    )
    ratios = {one.alternative: one.likelihood_ratio for one in evidence}
    verdict = replace(
        verdict,
        likelihood_ratio=ratios.get(RANDOM),
        evidence=evidence,
        evidence_sentence=sentence,
    )
    return _in_context(verdict, context)


def _in_context(verdict: Verdict, context: Context) -> Verdict:
    """With what must be said of the claim itself."""
    point = np.array([verdict.lon_deg, verdict.lat_deg])
    rank = context.own_rank(point, verdict.radius_m)
    return replace(
        verdict,
        prior_odds=context.prior_odds,
        own_place=rank is not None,
        own_place_rank=rank,
        claim_number=context.claim_number,
        warnings=(*verdict.warnings, *context.cautions(rank, verdict.rim_share, LEVEL)),
    )


def of_photo(
    verdict: Verdict,
    membership: Membership | None,
    unlike: tuple[str, ...],
    against: Sequence[Caution],
) -> Verdict:
    """The verdict that a photo can give: one to which no calibrated rate applies tests no claim.

    Args:
        verdict: as if the photo were like the calibration photos.
        membership: whether it is of the index; None where that was not tested.
        unlike: conditions in which it is unlike the calibration photos.
        against: why no rate applies, each in a clause; empty where they do.
    """
    verdict = replace(verdict, membership=membership, unlike=unlike)
    if not against:
        return verdict
    cautions = (Caution(f"{why}, so it cannot test the claim", why.code) for why in against)
    why = "; ".join(against)
    verdict = replace(
        verdict,
        warnings=(*cautions, *verdict.warnings),
        likelihood_ratio=None,
        evidence=(),
        evidence_sentence=no_ratio(why),
    )
    if verdict.verdict == OUTSIDE:
        return verdict
    within = f"within {verdict.radius_m:,.0f} m of this place"
    sentence = f"Whether the photo was taken {within} cannot be told: {why}."
    return replace(verdict, verdict=CANNOT_TELL, sentence=sentence)


def verdict_of(p_elsewhere: float | None, p_false: float | None, p_true: float | None) -> str:
    """The verdict for three shares; None where one is not known."""
    elsewhere = p_elsewhere is None or p_elsewhere >= LEVEL
    elsewhere |= p_false is not None and p_false >= LEVEL
    true = p_true is None or p_true >= LEVEL
    if elsewhere == true:
        return CANNOT_TELL
    return CONSISTENT if true else UNLIKELY


def rate_name(rate: str, radius_m: float) -> str:
    """Where ``Calibration.measured`` keeps one of :data:`RATES` for a radius."""
    return f"{rate}_{radius_m:g}m"


@dataclass(frozen=True)
class _Shares:
    p_elsewhere: float | None
    p_false: float | None
    p_true: float | None
    tested_radius_m: float | None
    rates: dict[str, float]
    scores: Floats | None = None
    """(M,) of the claim at the tested radius, by each photo."""


def _shares(
    ground: Ground, each: Floats, point: Floats, row: Ints, radius_m: float, together: Standing
) -> _Shares:
    """Against calibration, where it knows the radius."""
    count = len(each)
    elsewhere, bound = float(together.p_elsewhere[0]), float(together.p_false[0])
    tested = calibrated_radius_m(radius_m)
    calibration = ground.calibration
    if calibration is None or tested is None or tested not in calibration.claims:
        return _Shares(elsewhere, bound, None, None, {})
    wider = together
    if tested != radius_m or count > 1:
        points, rows = np.repeat(point, count, axis=0), np.repeat(row, count)
        wider = standing(each, ground.field, points, rows, ground.background(tested))
    as_bad = share_as_bad(wider.p_elsewhere, calibration.claims[tested])
    p_true = min(1.0, count * float(as_bad.min()))
    if count > 1:
        return _Shares(elsewhere, bound, p_true, tested, {}, wider.log_ratio)
    p_false = float(share_as_good(wider.p_elsewhere, calibration.false_claims[tested])[0])
    names = {rate: rate_name(rate, tested) for rate in RATES}
    measured = calibration.measured
    rates = {rate: measured[name] for rate, name in names.items() if name in measured}
    return _Shares(elsewhere, p_false, p_true, tested, rates, wider.log_ratio)


def check_claim(lonlat_deg: npt.ArrayLike, radius_m: float) -> None:
    """Refuse a claim that makes no sense.

    Raises:
        UsageError: the point is not on Earth, or the radius is not above 0, or reaches around it.
    """
    check_lonlat(*(float(v) for v in np.asarray(lonlat_deg, dtype=np.float64).reshape(2)))
    if not (math.isfinite(radius_m) and radius_m > 0):
        raise UsageError(f"a claim's radius is {radius_m:g} m: it must be more than 0")
    if radius_m > HALF_GLOBE_M:
        raise UsageError(
            f"a claim's radius is {radius_m:,.0f} m: no place is farther than {HALF_GLOBE_M:,.0f} "
            "m from another"
        )


def exchanged_cautions(ground: Ground, point: Floats) -> tuple[Caution, ...]:
    """What to say of a (1, 2) point outside the index whose numbers make one inside, exchanged."""
    lat_deg, lon_deg = (float(v) for v in point[0])
    if abs(lat_deg) > 90 or ground.cell_row(point[:, ::-1])[0] < 0:
        return ()
    return (
        Caution(
            "the claim lies in the index with latitude and longitude exchanged: latitude "
            f"{lat_deg:g}, longitude {lon_deg:g}?",
            "exchanged",
        ),
    )


def _verdict(
    word: str,
    point: Floats,
    radius_m: float,
    claim: Standing | None,
    shares: _Shares,
    places: float,
) -> Verdict:
    as_good, compared = (int(claim.as_good[0]), int(claim.compared[0])) if claim else (0, 0)
    distinct = max(1, round(places)) if compared else 0
    # As many of the distinct places as of those that overlap; one at least where there are any.
    distinct_as_good = max(1, round(distinct * as_good / compared)) if as_good else 0
    return Verdict(
        verdict=word,
        sentence=_sentence(word, radius_m, distinct_as_good, distinct, shares),
        lon_deg=float(point[0]),
        lat_deg=float(point[1]),
        radius_m=float(radius_m),
        mass=float(claim.mass[0]) if claim else 0.0,
        rank=1 + as_good if claim else None,
        compared=compared,
        percentile=100 * (1 - as_good / compared) if compared else None,
        p_elsewhere=shares.p_elsewhere,
        p_false=shares.p_false,
        p_true=shares.p_true,
        level=LEVEL,
        tested_radius_m=shares.tested_radius_m,
        rates=shares.rates,
        distinct_as_good=distinct_as_good,
        distinct_compared=distinct,
    )


def _sentence(word: str, radius_m: float, as_good: int, distinct: int, shares: _Shares) -> str:
    within = f"within {radius_m:,.0f} m of this place"
    if word == OUTSIDE:
        return f"No cell of the index lies {within}: the index cannot say anything about it."
    parts = [
        {
            CONSISTENT: f"The photo is consistent with having been taken {within}.",
            UNLIKELY: f"The photo is unlikely to have been taken {within}.",
            CANNOT_TELL: f"Whether the photo was taken {within} cannot be told.",
        }[word],
        f"{places_in_words(as_good, distinct)} at least as well."
        if distinct
        else "The index has no other place as large as this to compare it with.",
    ]
    if shares.p_true is None:
        beyond = calibrated_radius_m(radius_m) is None
        why = (
            f"radii above {RADII_M[-1]:,.0f} m are not calibrated"
            if beyond
            else "the index is not calibrated"
        )
        parts.append(f"How true claims do is not known ({why}), so none is called unlikely.")
        parts.append(f"Of random false ones, at most {LEVEL:.0%} are called consistent.")
        return " ".join(parts)
    at = (
        f" (tested at {shares.tested_radius_m:,.0f} m)"
        if shares.tested_radius_m != radius_m
        else ""
    )
    parts.append(f"{shares.p_true:.1%} of true claims do as badly{at}.")
    return " ".join([*parts, *_rates_in_words(shares.rates)])


def places_in_words(as_good: int, distinct: int) -> str:
    """``About 2 of 64 distinct places elsewhere in the index do``."""
    first = f"About {as_good:,}" if as_good else "None"
    about = "" if as_good else "about "
    do = "do" if as_good > 1 else "does"
    return f"{first} of {about}{distinct:,} distinct places elsewhere in the index {do}"


def _rates_in_words(rates: dict[str, float]) -> list[str]:
    if len(rates) < len(RATES):
        return [
            f"Of true claims, at most {LEVEL:.0%} are called unlikely; of random false ones, at "
            f"most {LEVEL:.0%} consistent."
        ]
    return [
        f"Of true claims, at most {LEVEL:.0%} are called unlikely and "
        f"{rates['true_consistent']:.0%} consistent (measured); of random false ones, at most "
        f"{LEVEL:.0%} ({rates['false_consistent']:.1%} measured) are called consistent and "
        f"{rates['false_unlikely']:.0%} unlikely."
    ]
