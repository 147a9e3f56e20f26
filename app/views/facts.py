"""What the photo files themselves say: told, never used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.views.header import notice_html
from app.views.markup import coordinates, distance, rows_html


@dataclass(frozen=True)
class PhotoFacts:
    """One photo file."""

    name: str
    size_bytes: int
    size_px: tuple[int, int] | None
    """Width and height as stored; None where they cannot be read."""
    gps_lonlat_deg: tuple[float, float] | None
    """What its EXIF tags disclose."""
    heading_deg: float | None
    captured_at: str | None
    """When the camera says it was taken, ISO 8601."""
    from_best_m: float | None = None
    """From there to the best guess."""


def facts_html(photos: Sequence[PhotoFacts]) -> str:
    """A note for each photo that carries coordinates, and the facts of all, folded away."""
    notes = "".join(notice_html("info", _disclosed(photo)) for photo in photos if _gps(photo))
    tables = "".join(rows_html(_rows(photo)) for photo in photos)
    name = "Photo facts" if len(photos) == 1 else f"Facts of {len(photos)} photos"
    return (
        f'<section class="gair-facts-of-photo">{notes}<details class="gair-card gair-fold">'
        f"<summary>{name}</summary>{tables}"
        '<p class="gair-fine">From the file, not from the picture. None of it is searched, and '
        "reports and downloads carry none of it but what is said here.</p></details></section>"
    )


def _gps(photo: PhotoFacts) -> bool:
    return photo.gps_lonlat_deg is not None


def _disclosed(photo: PhotoFacts) -> str:
    assert photo.gps_lonlat_deg is not None
    said = f"This photo carries coordinates ({coordinates(*photo.gps_lonlat_deg)}); they were not"
    if photo.from_best_m is None:
        return f"{said} used."
    return f"{said} used. They are {distance(photo.from_best_m)} from the best guess."


def _rows(photo: PhotoFacts) -> list[tuple[str, str]]:
    heading = "" if photo.heading_deg is None else f"{photo.heading_deg:.0f}° from north"
    pixels = "" if photo.size_px is None else f"{photo.size_px[0]} × {photo.size_px[1]} pixels, "
    return [
        ("File", photo.name),
        ("Size", f"{pixels}{photo.size_bytes / 1000:,.0f} kB"),
        ("Camera date", (photo.captured_at or "none").replace("T", " ")),
        (
            "Coordinates",
            coordinates(*photo.gps_lonlat_deg) if photo.gps_lonlat_deg else "none",
        ),
        ("Heading", heading),
    ]
