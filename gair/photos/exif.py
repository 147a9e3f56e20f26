"""EXIF tags of a photo: orientation, and the place that they disclose.

Tags that are broken count as absent: they must not cost the photo.
"""

from __future__ import annotations

import math
from typing import Any

from PIL import ExifTags, Image

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


def _angle_deg(parts: Any, ref: Any, letters: str, limit_deg: float) -> float | None:  # noqa: ANN401
    """Degrees from (degrees, minutes, seconds) and a hemisphere letter; None if malformed."""
    if isinstance(ref, bytes):
        ref = ref.decode("ascii")
    letter = ref.strip(" \0").upper()
    degrees, minutes, seconds = (float(part) for part in parts)  # x/0 is nan here
    if math.isnan(seconds):
        seconds = 0.0
    angle = degrees + minutes / 60 + seconds / 3600
    sound = min(degrees, minutes, seconds) >= 0 and math.isfinite(angle) and angle <= limit_deg
    return _SIGN[letter] * angle if sound and letter and letter in letters else None


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return Image.Exif()
