"""Pictures inside the page itself: small, without metadata, fetched from nowhere."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.views.markup import distance, esc

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


def chip_html(chip: ChipPicture | None, what: str) -> str:
    """A chip with a ring around the place, or a square that says that there is none.

    Args:
        chip: the picture.
        what: the place, in words, for those who cannot see it.
    """
    if chip is None:
        return f'<span class="gair-chip gair-chip-none">{NO_CHIP}</span>'
    x, y = (f"{100 * share:.1f}%" for share in chip.place_xy)
    alt = f"Satellite picture around {what}, {distance(chip.side_m)} wide"
    return (
        f'<span class="gair-chip"><img src="{chip.uri}" alt="{esc(alt)}">'
        f'<i style="left:{x};top:{y}" aria-hidden="true"></i></span>'
    )
