"""Templates of the page, its report and its KML, with the words that they use for numbers."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from app.views import wording
from gair.templates import environment
from indexer.probability.evidence import ratio_in_words
from indexer.search.weights import SAID
from indexer.search.wording import by_luck, latitude_longitude, percent, percents, square_km

if TYPE_CHECKING:
    from PIL import Image

_HERE = Path(__file__).parent


def data_uri(jpeg: bytes) -> str:
    """A JPEG file as a data: address."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


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


def _xml(value: str) -> str:
    """Text of an XML document, without the characters that XML has no way to write."""
    return "".join(c for c in value if c in "\t\n" or ord(c) >= 32)


ENVIRONMENT = environment(
    _HERE,
    _HERE.parent / "static",  # style of the report
    functions={
        "coordinates": lambda lonlat_deg: wording.coordinates(*lonlat_deg),
        "counted": wording.counted,
        "data_uri": data_uri,
        "distance": wording.distance,
        "by_luck": by_luck,
        "latitude_longitude": latitude_longitude,
        "percent": percent,
        "percents": percents,
        "jpeg_uri": jpeg_uri,
        "lonlat_deg": wording.shown_lonlat_deg,
        "radius": wording.radius,
        "ratio": ratio_in_words,
        "sentence": wording.sentence,
        "share": wording.share,
        "signed": wording.signed,
        "square_km": square_km,
        "weights_by": lambda source: SAID.get(source, source),
        "xml": _xml,
    },
    tests={"grave": wording.is_grave},
)


def render(name: str, **values: object) -> str:
    """A document, or a piece of one.

    Args:
        name: File of the template, in this folder.
        values: What the template names; it escapes all of them.
    """
    return ENVIRONMENT.get_template(name).render(values)
