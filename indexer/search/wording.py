"""Wording of an answer's numbers: the same for the terminal, the page, the report and files.

A chance is said in whole percent with its interval, and coordinates with as many digits as the
expected error is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.ground.nearby import GroundPhoto
    from indexer.probability.decisions import Decision
    from indexer.probability.open_world import Elsewhere
    from indexer.search.answer import Answer, Candidate, Confidence


def percent(chance: float) -> str:
    """A chance: ``34 %``; ``under 1 %`` and ``over 99 %`` at the ends, which are never reached."""
    if chance < 0.005:
        return "under 1 %"
    return "over 99 %" if chance > 0.995 else f"{chance:.0%}".replace("%", " %")


def square_km(km2: float) -> str:
    """An area: ``84 km²``, ``1.3 km²``, ``0.04 km²``; never a rounded 0 that is none."""
    for least, digits in ((9.95, 0), (0.995, 1), (0.00995, 2)):
        if km2 >= least:
            return f"{km2:,.{digits}f} km²"
    return f"{km2:.2g} km²"


def percents(interval: tuple[float, float]) -> str:
    """An interval of a chance: ``28 to 41 %``."""
    low, high = (f"{100 * end:.0f}" for end in interval)
    return f"{low} to {high} %"


def by_luck(chance_level: float) -> str:
    """A chance level: two digits, however small."""
    return f"{100 * chance_level:.2g} %"


def shown_at(answer: Answer, candidate: Candidate) -> str:
    """Latitude and longitude of a place, in the digits that the answer's error is worth."""
    return latitude_longitude(candidate.shown_lonlat_deg, answer.decimals)


def latitude_longitude(lonlat_deg: tuple[float, float], decimals: int) -> str:
    """Coordinates as people paste them into maps: ``51.507, -0.128``, latitude first."""
    lon_deg, lat_deg = lonlat_deg
    return f"{lat_deg:.{decimals}f}, {lon_deg:.{decimals}f}"


def near_said(near: Confidence, distance: str) -> str:
    """How likely the best guess is near enough, with its interval and what luck would do."""
    return (
        f"{percent(near.probability)} within {distance} ({percents(near.interval)}; "
        f"any place {by_luck(near.chance_level)})"
    )


def photo_said(photo: GroundPhoto) -> str:
    """A reference photo near a place, with what is known of it."""
    looks = None if photo.heading_deg is None else f"looking to {photo.heading_deg:.0f} deg"
    facts = (photo.taken_on, looks, photo.source, photo.licence, photo.attribution, photo.link)
    told = "".join(f", {fact}" for fact in facts if fact)
    return f"{photo.distance_m:,.0f} m off, cosine {photo.cosine:.3f}{told}"


def elsewhere_said(elsewhere: Elsewhere) -> str:
    """How likely the photo is from elsewhere."""
    most = "at most " if elsewhere.basis == "bound" else ""
    return (
        f"{most}{percent(elsewhere.probability)} that it was not taken in this index "
        f"(before looking: {percent(elsewhere.prior)})"
    )


def decision_kind(decision: Decision, distance: Callable[[float], str]) -> str:
    """What was decided: ``within 500 m``, ``larger disc, within 2 km``, ``region`` or ``none``.

    Args:
        decision: of an answer.
        distance: writes metres.
    """
    if decision.radius_m is None:
        return decision.kind
    larger = "larger disc, " if decision.kind == "larger_disc" else ""
    return f"{larger}within {distance(decision.radius_m)}"


def decision_said(decision: Decision) -> str:
    """Why a photo is answered so, with the size of the region that is answered with."""
    region = decision.region
    size = "" if region is None else f"{square_km(region['km2'])} in {region['cells']:,} cells; "
    return size + decision.reason


def likely_means(answer: Answer, distance: str) -> str:
    """What the chances of places are chances of."""
    return f"Likely = taken within {distance} of the place, {answer.given}."
