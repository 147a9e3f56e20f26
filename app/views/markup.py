"""Writing HTML safely: whatever comes from a file, a model or a photo goes through ``esc``."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def esc(value: object) -> str:
    """A value as text that is safe between tags and inside quoted attributes."""
    return escape(str(value), quote=True)


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


def map_link(lon_deg: float, lat_deg: float) -> str:
    """The address of a place on openstreetmap.org, ready to be an attribute."""
    lat, lon = f"{lat_deg:.5f}", f"{lon_deg:.5f}"
    return f"https://www.openstreetmap.org/?mlat={lat}&amp;mlon={lon}#map=16/{lat}/{lon}"


def rows_html(rows: Iterable[tuple[str, str]]) -> str:
    """Names and plain values as a list of facts."""
    items = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in rows if v)
    return f'<dl class="gair-rows">{items}</dl>'
