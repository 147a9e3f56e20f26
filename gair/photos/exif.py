"""EXIF tags of a photo: orientation, place, heading, date of capture and focal length.

The tags are those of EXIF 2.32, section 4.6 (``DateTimeOriginal``, ``OffsetTimeOriginal``,
``GPSImgDirection``, ``FocalLengthIn35mmFilm``). What is broken or malformed counts as not given: it
must not cost the photo.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from gair.files import open_file
from gair.photos.heif import can_read_heif

_SIGN = {"N": 1, "S": -1, "E": 1, "W": -1}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_PATTERN = "%Y:%m:%d %H:%M:%S"
_REDUCED = re.compile(r"\d{4}(-\d{2})?")  # a year, or a year and a month
_EPOCH_MS = re.compile(r"\d{12,13}(\.0)?")  # as Mapillary gives it; 1973 and later


def upright_transpose(image: Image.Image) -> Image.Transpose | None:
    """What turns the stored pixels upright; None if they are (orientation 1, absent or broken).

    EXIF 2.32, tag 0x0112, values 1 to 8. Pillow applies the orientation of a TIFF file by itself
    while it reads the pixels, so ask after they are loaded.
    """
    value = _exif(image).get(ExifTags.Base.Orientation)
    return _UPRIGHT.get(value) if isinstance(value, int) else None


def gps_lonlat_deg(image: Image.Image) -> tuple[float, float] | None:
    """The coordinates in the GPS tags, as longitude, latitude in degrees.

    EXIF 2.32, section 4.6.6: degrees, minutes, seconds as three unsigned rationals, and a letter
    for the hemisphere. None unless both are complete, finite and in range. Seconds of 0/0 count as
    none: some cameras (Nikon D5000) write degrees and decimal minutes that way.
    """
    try:
        tags = _exif(image).get_ifd(ExifTags.IFD.GPSInfo)
        gps = ExifTags.GPS
        lon = _angle_deg(tags.get(gps.GPSLongitude), tags.get(gps.GPSLongitudeRef), "EW", 180)
        lat = _angle_deg(tags.get(gps.GPSLatitude), tags.get(gps.GPSLatitudeRef), "NS", 90)
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None
    return None if lon is None or lat is None else (lon, lat)


def gps_without_letters_deg(image: Image.Image) -> tuple[float, float] | None:
    """Longitude and latitude of GPS tags that lack a hemisphere, degrees without a sign.

    None where the tags are whole, absent or malformed.
    """
    if gps_lonlat_deg(image) is not None:
        return None
    try:
        tags = _exif(image).get_ifd(ExifTags.IFD.GPSInfo)
        lon = _size_deg(tags.get(ExifTags.GPS.GPSLongitude), 180)
        lat = _size_deg(tags.get(ExifTags.GPS.GPSLatitude), 90)
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None
    return None if lon is None or lat is None else (lon, lat)


def _angle_deg(parts: Any, ref: Any, letters: str, limit_deg: float) -> float | None:  # noqa: ANN401
    """Degrees from (degrees, minutes, seconds) and a hemisphere letter; None if malformed."""
    if isinstance(ref, bytes):
        ref = ref.decode("ascii")
    letter = ref.strip(" \0").upper()
    size = _size_deg(parts, limit_deg)
    return None if size is None or not letter or letter not in letters else _SIGN[letter] * size


def _size_deg(parts: Any, limit_deg: float) -> float | None:  # noqa: ANN401
    """Degrees from (degrees, minutes, seconds); None if out of range."""
    degrees, minutes, seconds = (float(part) for part in parts)  # x/0 is nan here
    if math.isnan(seconds):
        seconds = 0.0
    angle = degrees + minutes / 60 + seconds / 3600
    sound = min(degrees, minutes, seconds) >= 0 and math.isfinite(angle) and angle <= limit_deg
    return angle if sound else None


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return Image.Exif()


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
            can_read_heif()
            opened = open_file(path) if isinstance(path, Path) else contextlib.nullcontext(path)
            with opened as file, Image.open(file) as image:
                return Tags(
                    gps_lonlat_deg(image), _heading_deg(image), captured_at(image), image.size
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


def captured_at(image: Image.Image) -> str | None:
    """When the photo was taken, ISO 8601; with an offset from UTC where the camera wrote one."""
    try:
        tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        when = parse_date(tags[ExifTags.Base.DateTimeOriginal])
        offset = str(tags.get(ExifTags.Base.OffsetTimeOriginal, ""))
        with_offset = parse_date(f"{when}{offset}")
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None
    return with_offset or when


def focal_length_mm(image: Image.Image) -> float | None:
    """The focal length as on a frame of 36 x 24 mm; None where the camera did not write it."""
    try:
        tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        length_mm = float(tags[ExifTags.Base.FocalLengthIn35mmFilm])
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None
    return length_mm if 1 <= length_mm <= 5000 else None  # 0 stands for unknown; NaN fails, too
