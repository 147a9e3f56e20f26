"""Pictures inside the page, and facts of the photo files: without metadata, fetched from nowhere.

What a photo's tags say is told and never used.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.views.templates import data_uri, render

if TYPE_CHECKING:
    from PIL import Image

    from indexer.search.ground_picture import Chip


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
    return data_uri(buffer.getvalue())


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
    return render("facts.html", photos=photos)


def comparison_html(first: str, second: str, cosine: float) -> str:
    """How alike two photos are to the model."""
    return render("comparison.html", first=first, second=second, cosine=cosine)
