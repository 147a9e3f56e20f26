"""Pictures inside the page, and facts of the photo files: without metadata, fetched from nowhere.

What a photo's tags say is told and never used.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.views.markup import coordinates, distance, esc, notice_html, rows_html

if TYPE_CHECKING:
    from PIL import Image

    from indexer.search.ground_picture import Chip

NO_CHIP = "no picture kept"
"""Of a place, where the index was built without pictures."""


@dataclass(frozen=True)
class ChipPicture:
    """What the satellite saw around a place, ready for the page."""

    uri: str
    """A data: address."""
    place_xy: tuple[float, float]
    """Where the place is in it, shares of width and height."""
    side_m: float
    """Its side on the ground."""

    @classmethod
    def of(cls, chip: Chip | None) -> ChipPicture | None:
        """The picture of a chip; None for none."""
        return None if chip is None else cls(jpeg_uri(chip.rgb), chip.place_xy, chip.side_m)


def jpeg_uri(image: Image.Image, most_px: int | None = None, quality: int = 86) -> str:
    """A picture as a data: address, without any metadata.

    Args:
        image: RGB.
        most_px: longest side; larger pictures are made smaller.
        quality: of the JPEG.
    """
    if most_px is not None and max(image.size) > most_px:
        image = image.copy()
        image.thumbnail((most_px, most_px))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=b"")
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def chip_html(chip: ChipPicture | None, name: str) -> str:
    """A chip with a ring around the place, or a square that says that there is none.

    Args:
        chip: the picture.
        name: of the place, in words, for those who cannot see it.
    """
    if chip is None:
        return f'<span class="gair-chip gair-chip-none">{NO_CHIP}</span>'
    x, y = (f"{100 * share:.1f}%" for share in chip.place_xy)
    alt = f"Satellite picture around {name}, {distance(chip.side_m)} wide"
    return (
        f'<span class="gair-chip"><img src="{chip.uri}" alt="{esc(alt)}">'
        f'<i style="left:{x};top:{y}" aria-hidden="true"></i></span>'
    )


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


def comparison_html(first: str, second: str, cosine: float) -> str:
    """How alike two photos are to the model."""
    width = max(0.0, min(1.0, cosine)) * 100
    return (
        '<div class="gair-comparison" role="status">'
        f"<p><b>{cosine:.3f}</b> cosine of {esc(first)} with {esc(second)}</p>"
        f'<span class="gair-meter"><i style="width:{width:.1f}%"></i></span>'
        '<p class="gair-fine">1 for the same picture. It says how alike the model finds them, not '
        "how likely they show one place: that is not calibrated.</p></div>"
    )
