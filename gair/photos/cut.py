"""Cut of a picture: a view out of a panorama, or the picture without its black bars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gair.errors import PhotoError
from gair.photos.bars import has_bars, without_bars
from gair.photos.notes import Note
from gair.photos.panorama import cut_view, has_panorama_shape, looks_like_panorama


@dataclass(frozen=True)
class Cut:
    """Which part of a picture is the photo: all of it, unless more is said."""

    heading_deg: float | None = None
    """Of an equirectangular panorama the view in this direction, degrees to the right of its
    middle (:mod:`gair.photos.panorama`)."""
    bars: bool = False
    """Whether black bars around the picture are cut off (:mod:`gair.photos.bars`)."""

    def of(self, rgb: Image.Image, name: str) -> Image.Image:
        """The part of an upright picture.

        Raises:
            PhotoError: a view is asked for of what is no panorama.
        """
        if self.bars:
            rgb = without_bars(rgb)
        if self.heading_deg is None:
            return rgb
        if not has_panorama_shape(rgb.size):
            raise PhotoError(
                f"{name} is {rgb.width} x {rgb.height} pixels: a heading is for 360-degree "
                "panoramas, twice as wide as high; leave it out"
            )
        return Image.fromarray(cut_view(np.asarray(rgb), self.heading_deg))

    def notes(self, whole: Image.Image, *, equirectangular: bool) -> Iterator[Note]:
        """What to know of a picture that was not cut."""
        if not self.bars and has_bars(whole):
            said = "it has black bars, which the model sees too: --cut-bars (cut_bars) cuts them"
            yield Note("photo_bars", said)
        if self.heading_deg is None and (equirectangular or looks_like_panorama(whole.size)):
            said = "its tags call it" if equirectangular else "it is twice as wide as high, like"
            yield Note(
                "photo_panorama",
                f"{said} a 360-degree panorama, which the model sees squeezed: --heading DEGREES "
                "(heading_deg) cuts a view out",
            )
