"""Reads place, heading and date of capture from the tags of photos.

The tags are those of EXIF 2.32, section 4.6 (``DateTimeOriginal``, ``OffsetTimeOriginal``,
``GPSImgDirection``). Whatever is malformed counts as not given.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image

from gair.photos.exif import gps_lonlat_deg

_EXIF_PATTERN = "%Y:%m:%d %H:%M:%S"
_REDUCED = re.compile(r"\d{4}(-\d{2})?")  # a year, or a year and a month
_EPOCH_MS = re.compile(r"\d{12,13}(\.0)?")  # as Mapillary gives it; 1973 and later


@dataclass(frozen=True)
class Tags:
    """What a photo's tags say."""

    lonlat_deg: tuple[float, float] | None
    heading_deg: float | None
    captured_at: str | None
    """ISO 8601, with an offset from UTC only where the camera wrote one."""
    size_px: tuple[int, int]
    """Width and height as stored, before it is turned upright."""


def read_tags(path: Path | BinaryIO) -> Tags | None:
    """A photo's tags, without decoding its pixels; None if it is no image that can be opened.

    Args:
        path: A file, or where one lies.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            with Image.open(path) as image:
                return Tags(
                    gps_lonlat_deg(image), _heading_deg(image), _captured_at(image), image.size
                )
        except Exception:  # Pillow raises a dozen kinds over broken headers
            return None


def parse_heading_deg(value: object) -> float | None:
    """Degrees in [0, 360) clockwise from north; None for what is no finite number."""
    try:
        heading = float(str(value))
    except ValueError:
        return None
    return heading % 360.0 if math.isfinite(heading) else None


def parse_date(value: object) -> str | None:
    """A date or a moment as ISO 8601.

    Args:
        value: A date or datetime, ISO 8601 text, a year, a year and a month, an EXIF date, or
            milliseconds since 1970.
    """
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    text = str(value).strip()
    if _REDUCED.fullmatch(text):
        return text
    with contextlib.suppress(ValueError, OverflowError, OSError):
        if _EPOCH_MS.fullmatch(text):
            return datetime.fromtimestamp(int(float(text)) / 1000, UTC).isoformat()
    with contextlib.suppress(ValueError):
        return date.fromisoformat(text).isoformat()
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text).isoformat()
    with contextlib.suppress(ValueError):
        return datetime.strptime(text, _EXIF_PATTERN).isoformat()
    return None


def _heading_deg(image: Image.Image) -> float | None:
    try:
        return parse_heading_deg(
            float(image.getexif().get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSImgDirection])
        )
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None


def _captured_at(image: Image.Image) -> str | None:
    try:
        tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        when = parse_date(tags[ExifTags.Base.DateTimeOriginal])
        offset = str(tags.get(ExifTags.Base.OffsetTimeOriginal, ""))
        with_offset = parse_date(f"{when}{offset}")
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None
    return with_offset or when
