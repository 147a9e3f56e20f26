"""Numbers and sentences as people read them: coordinates, distances, shares, counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.search.answer import Candidate


def coordinates(lon_deg: float, lat_deg: float) -> str:
    """Latitude and longitude as people paste them into maps: ``51.50735, -0.12776``.

    Five decimals are about a metre. Latitude comes first here, as everywhere outside the code.
    """
    return f"{lat_deg:.5f}, {lon_deg:.5f}"


def distance(metres: float) -> str:
    """``420 m`` below a kilometre, ``3.4 km`` above."""
    if metres < 1000:
        return f"{metres:.0f} m"
    return f"{metres / 1000:.1f} km"


def radius(radius_m: float) -> str:
    """A radius as it was chosen: ``200 m``, ``2.5 km``."""
    return f"{radius_m:g} m" if radius_m < 1000 else f"{radius_m / 1000:g} km"


def counted(count: int, noun: str) -> str:
    """``1 cell``, ``2,400 cells``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def signed(value: float) -> str:
    """Three decimals, with a minus sign as wide as a digit."""
    return f"{value:.3f}".replace("-", "−")


def share(value: float) -> str:
    """A probability as people read it: ``34 %``, ``3.4 %``, ``0.034 %``."""
    percent = 100 * value
    if percent == 0 or percent >= 10:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if percent >= 0.001 else "under 0.001 %"


def shown_lonlat_deg(candidate: Candidate) -> tuple[float, float]:
    """Longitude, latitude that a place is shown at: refined where it was, else its cell's."""
    return candidate.shown_lonlat_deg


def sentence(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def is_grave(warning: str) -> bool:
    """Whether a warning takes the meaning out of every answer."""
    return "untrained" in warning.lower()
