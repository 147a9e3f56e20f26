"""HTML building blocks: escaped text, numbers as people read them, notices and lists of facts.

Whatever comes from a file, a model or a photo goes through :func:`esc`.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.search.answer import Candidate


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


def shown_lonlat_deg(candidate: Candidate) -> tuple[float, float]:
    """Longitude, latitude that a place is shown at: refined where it was, else its cell's."""
    return candidate.refined_lonlat_deg or (candidate.lon_deg, candidate.lat_deg)


def rows_html(rows: Iterable[tuple[str, str]]) -> str:
    """Names and plain values as a list of facts."""
    items = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in rows if v)
    return f'<dl class="gair-rows">{items}</dl>'


def notice_html(kind: str, text: str) -> str:
    """One line with an icon. ``kind`` is "grave", "warning" or "info"; ``text`` is plain."""
    sign = "i" if kind == "info" else "!"
    return (
        f'<div class="gair-notice gair-notice-{kind}"><span class="gair-sign" aria-hidden="true">'
        f"{sign}</span><span>{esc(text)}</span></div>"
    )


def warnings_html(warnings: list[str]) -> str:
    """A list of warnings, those about untrained models first and loudest; nothing for none."""
    if not warnings:
        return ""
    ordered = sorted(warnings, key=is_grave, reverse=True)
    return f'<ul class="gair-notices">{"".join(map(_warning_html, ordered))}</ul>'


def is_grave(warning: str) -> bool:
    """Whether a warning takes the meaning out of every answer."""
    return "untrained" in warning.lower()


def _warning_html(warning: str) -> str:
    kind = "grave" if is_grave(warning) else "warning"
    return f"<li>{notice_html(kind, warning[:1].upper() + warning[1:])}</li>"
