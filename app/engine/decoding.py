"""Memory that photos take while they are decoded, known from their headers, and kept in bounds.

A file of a few kilobytes may hold a hundred million pixels, and what decoding those takes depends
on the format: a PNG is written into the picture line by line, a WebP is in memory four times before
it is one. So each photo waits until there is room for it, and one that would need more than there
is at all is refused.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from app.engine.admission import Budget
from app.engine.limits import Limits
from app.engine.uploads import FORMATS, Upload
from gair.errors import PhotoSizeError
from gair.photos.heif import can_read_heif
from gair.photos.photo import Photo, halvings_of, open_photo

Made = TypeVar("Made")

_DECODER_BYTES = {"PNG": 4, "GIF": 4, "BMP": 5, "JPEG": 4, "TIFF": 12, "WEBP": 16}
"""Most that decoding takes for each pixel of the header, the finished picture counted: measured
(``bench_operations.py``), and for the widest kind of TIFF strips; 12 for AVIF and HEIF."""
_PICTURE_BYTES = 8
"""For each pixel that is read: the picture in RGB, and once more as it is turned upright."""


@dataclass(frozen=True)
class Cost:
    """What decoding a photo takes; nothing where its header is broken, as that ends it."""

    pixels: int = 0
    """By its header."""
    memory_bytes: int = 0
    """At most, above what the file itself takes."""


def cost_of(upload: Upload, limits: Limits) -> Cost:
    """What decoding a photo would take, by its header.

    No memory for one with more pixels than any may have: it is refused before it is decoded.
    """
    import PIL.Image

    try:
        with (
            warnings.catch_warnings(action="ignore"),
            PIL.Image.open(io.BytesIO(upload.content), formats=_formats()) as image,
        ):
            pixels = image.size[0] * image.size[1]
            shrunk = 4 ** halvings_of(image.size)
            bytes_a_pixel = _PICTURE_BYTES / shrunk + _decoder_bytes(image, shrunk)
    except Exception:  # the decoder says what is wrong
        return Cost()
    return Cost(pixels, int(pixels * bytes_a_pixel) if pixels <= limits.max_pixels else 0)


def _formats() -> list[str]:
    """Those that can be read here."""
    import PIL.Image

    PIL.Image.init()
    can_read_heif()  # Pillow knows it from then on
    return [kind for kind in FORMATS if kind in PIL.Image.OPEN]


def _decoder_bytes(image: Any, shrunk: int) -> float:  # noqa: ANN401 - a Pillow file of any kind
    """Bytes a pixel for the decoder and the picture it gives."""
    kind = image.format or ""
    if kind not in ("JPEG", "MPO"):
        return _DECODER_BYTES.get(kind, 12)
    return _DECODER_BYTES["JPEG"] / shrunk + _coefficient_bytes(image)


def _coefficient_bytes(image: Any) -> float:  # noqa: ANN401 - Pillow's JpegImageFile
    """Bytes a pixel of a JPEG's coefficients, which all have to be there if it is progressive."""
    if not image.info.get("progressive"):
        return 0.0
    factors = [(across, down) for _, across, down, _ in image.layer]
    most = max(across for across, _ in factors) * max(down for _, down in factors)
    return float(2 * sum(across * down for across, down in factors) / most)


def check_costs(uploads: Sequence[Upload], limits: Limits) -> None:
    """Refuse photos of one question that are too large, alone or together.

    Raises:
        PhotoSizeError: they are.
    """
    total = sum(_bearable(upload, limits).pixels for upload in uploads)
    if total > limits.question_pixels and len(uploads) > 1:
        raise PhotoSizeError(
            f"the {len(uploads)} photos have {total:,} pixels together: send fewer at a time, or "
            f"shrink them to {limits.question_pixels:,} or fewer"
        )


def _bearable(upload: Upload, limits: Limits) -> Cost:
    """What decoding a photo takes.

    Raises:
        PhotoSizeError: it is more than there is.
    """
    cost = cost_of(upload, limits)
    if cost.memory_bytes > limits.decoding_mb * 1e6:
        raise PhotoSizeError(
            f"{upload.name} takes {cost.memory_bytes / 1e6:,.0f} MB to decode "
            f"({cost.pixels:,} pixels), {limits.decoding_mb:,.0f} MB are there: shrink it, or "
            "send it as a plain JPEG"
        )
    return cost


class Decoder:
    """Decodes photos as far as there is memory for them; safe to share between threads."""

    def __init__(
        self, limits: Limits, seat: Callable[[float], AbstractContextManager[None]]
    ) -> None:
        """Take the limits, and what gives a seat among the few that may compute, by a deadline."""
        self._limits, self._seat = limits, seat
        self._memory = Budget(limits.decoding_mb * 1e6)

    def made(self, upload: Upload, make: Callable[[Photo], Made], deadline: float) -> Made:
        """What is made of a photo; the photo itself is gone afterwards.

        Args:
            upload: a checked file.
            make: makes something small of it.
            deadline: by ``time.monotonic``.

        Raises:
            PhotoError: it cannot be read.
            TimeoutError: there was no room for it in time.
        """
        memory_bytes = _bearable(upload, self._limits).memory_bytes
        left_s = max(0.0, deadline - time.monotonic())
        # Memory before the seat: who waits for memory must not keep others from computing.
        with (
            self._memory.holding(memory_bytes, left_s),
            self._seat(deadline),
        ):
            most = self._limits.max_pixels
            return make(open_photo(upload.content, max_pixels=most, name=upload.name))
