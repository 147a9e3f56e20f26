"""Writing HTML safely: whatever comes from a file, a model or a photo goes through ``esc``."""

from __future__ import annotations

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
