"""Templates of the page, its report and its KML, with the words that they use for numbers."""

from __future__ import annotations

import base64
from pathlib import Path

from app.views import wording
from gair.templates import environment

_HERE = Path(__file__).parent


def data_uri(jpeg: bytes) -> str:
    """A JPEG file as a data: address."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


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
        "lonlat_deg": wording.shown_lonlat_deg,
        "radius": wording.radius,
        "sentence": wording.sentence,
        "share": wording.share,
        "signed": wording.signed,
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
