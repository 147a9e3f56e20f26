"""Prepared photos keep the street-view encoder's input alone: a photo's pixels take far more.

Which recipe made the input, torch's or NumPy's, is for whoever has the encoder to choose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import PIL.Image

from gair.arrays import Floats32
from gair.photos.photo import Photo, conditions_of

_NOTHING = PIL.Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class PreparedPhoto(Photo):
    """A photo of which only the model's input is kept: a decoded one is a thousand times larger."""

    pixels: Floats32 | None = None
    """(3, S, S), as :func:`gair.preprocess.street_view_pixels` or
    :func:`gair.photos.squares.photo_squares` makes them; None for none."""


def prepared(photo: Photo, pixels: Floats32, content: str) -> PreparedPhoto:
    """A photo without its own pixels, ready for the street-view encoder.

    Args:
        photo: decoded.
        pixels: (3, S, S) what the encoder gets of it.
        content: a hash that tells it from other photos.
    """
    measured = {"content": content, "conditions": conditions_of(photo)}
    facts = {**vars(photo), "rgb": _NOTHING, **measured}
    return PreparedPhoto(**facts, pixels=pixels)


def pixels_of(photo: Photo) -> Floats32 | None:
    """(3, S, S) the encoder's input of a prepared photo; None of any other."""
    return photo.pixels if isinstance(photo, PreparedPhoto) else None


def bare(photo: Photo) -> Photo:
    """A photo without input of the model."""
    return replace(photo, pixels=None) if isinstance(photo, PreparedPhoto) else photo
