"""JPEG bytes that a data set keeps of a photo: upright, small, without metadata.

A JPEG that is upright and small enough keeps its compressed pixels; metadata (EXIF with GPS, XMP,
IPTC, comments, previews, second pictures) is cut out around them. A file without any is kept byte
for byte. Everything else is decoded and written anew.

Markers and segments: ITU-T T.81, annex B, https://www.w3.org/Graphics/JPEG/itu-t81.pdf.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gair.errors import PhotoError
from gair.files import read_file
from gair.photos.exif import upright_transpose
from gair.photos.photo import Photo, open_photo

QUALITY = 90
"""JPEG quality of photos that are written anew."""
MAX_FILE_BYTES = 256 << 20
"""Larger files are refused before they are read."""

_SOI, _EOI, _SOS, _APP0, _APP14, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE, 0xFE
_SHAPES_PIXELS = {_APP0: b"JFIF\0", _APP14: b"Adobe"}  # application data a decoder goes by
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # neither stuffing nor restart nor fill


@dataclass(frozen=True)
class PhotoBytes:
    """A photo as a data set keeps it."""

    jpeg: bytes
    gps_lonlat_deg: tuple[float, float] | None
    """What the original's tags said; the bytes no longer do."""


def photo_bytes(path: Path, name: str, max_px: int) -> PhotoBytes:
    """Read a photo for a data set.

    Args:
        path: the file.
        name: what to call it in errors.
        max_px: longest side; larger photos are shrunk to it.

    Raises:
        PhotoError: It is missing, no image, broken or too large.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PhotoError(f"{name} has more than {MAX_FILE_BYTES >> 20} MB; shrink it")
        content = read_file(path)
    except OSError as error:
        raise PhotoError(f"cannot read {name}: {error.strerror}; make it readable") from error
    photo = open_photo(content, name=name)
    return PhotoBytes(kept_bytes(content, photo, max_px), photo.gps_lonlat_deg)


def kept_bytes(content: bytes, photo: Photo, max_px: int) -> bytes:
    """The JPEG bytes that a data set keeps of a photo.

    Args:
        content: its file.
        photo: the same, opened.
        max_px: longest side; larger photos are shrunk to it.
    """
    kept = _without_metadata(content) if _keeps_its_pixels(content, max_px) else None
    return kept or _encoded(photo.rgb, max_px)


def _keeps_its_pixels(content: bytes, max_px: int) -> bool:
    """Whether a photo that could be opened is a plain, upright and small JPEG."""
    if not content.startswith(bytes((0xFF, _SOI))):
        return False
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        return (
            image.mode in ("RGB", "L")
            and max(image.size) <= max_px
            and upright_transpose(image) is None
        )


def _encoded(rgb: Image.Image, max_px: int) -> bytes:
    if max(rgb.size) > max_px:
        scale = max_px / max(rgb.size)
        size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
        rgb = rgb.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _without_metadata(jpeg: bytes) -> bytes | None:
    """A JPEG up to its end marker, less the segments no decoder needs; None if it is odd."""
    parts = [jpeg[:2]]
    position = 2
    while True:
        start = position
        if jpeg[position : position + 1] != b"\xff":
            return None
        while jpeg[position : position + 1] == b"\xff":  # fill bytes may come before a marker
            position += 1
        marker = jpeg[position] if position < len(jpeg) else 0
        if marker == _EOI:
            return b"".join([*parts, b"\xff\xd9"])
        if not 0xC0 <= marker <= _COMMENT or 0xD0 <= marker <= 0xD7:
            return None
        length = int.from_bytes(jpeg[position + 1 : position + 3], "big")
        end = position + 1 + length
        if length < 2 or end > len(jpeg):
            return None
        body = jpeg[position + 3 : end]
        if marker == _SOS:  # compressed pixels follow, up to the next marker
            following = _NEXT_MARKER.search(jpeg, end)
            if following is None:
                return None
            end = following.start()
        is_application = 0xE0 <= marker <= 0xEF
        needed = marker in _SHAPES_PIXELS and body.startswith(_SHAPES_PIXELS[marker])
        if marker != _COMMENT and (needed or not is_application):
            parts.append(jpeg[start:end])
        position = end
