"""Places that a photo discloses, in EXIF and in XMP: told, and never used for a score.

XMP writes angles as ``51,30.441N`` or ``51,30,26.46N`` (XMP specification, part 1, GPSCoordinate);
drones of DJI write decimal degrees.
"""

from __future__ import annotations

import re
import warnings
from typing import BinaryIO

from PIL import Image

from gair.geo import haversine_m
from gair.photos.exif import gps_lonlat_deg, gps_without_letters_deg
from gair.photos.heif import can_read_heif
from gair.photos.notes import Note

MOST_XMP = 1 << 20
"""Longest XMP packet that is looked at, characters."""

_TIFF_XMP = 700
_APART_M = 1000.0
_ANGLE = re.compile(r"\s*(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?\s*([NSEW])\s*")
_DEGREES = re.compile(r"\s*([-+]?\d{1,3}(?:\.\d+)?)\s*")
_VALUE = r"(?:\s*=\s*[\"']([^\"'<>]{1,40})[\"']|\s*>([^<]{1,40})<)"
_FIELDS = tuple(
    re.compile(rf"(?:exif|drone-dji):(?:GPS|Gps)?{name}{_VALUE}")
    for name in ("Longt?itude", "Latitude")
)
_PROJECTION = re.compile(rf"GPano:ProjectionType{_VALUE}")


def xmp_of(image: Image.Image) -> str:
    """The XMP packet of an image, cut where it is very long; empty where it has none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not packet:
        packet = getattr(image, "tag_v2", {}).get(_TIFF_XMP, b"")
    if isinstance(packet, tuple):  # of a TIFF that gives it as single bytes
        packet = bytes(packet)
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    return text[:MOST_XMP]


def is_equirectangular(xmp: str) -> bool:
    """Whether an XMP packet calls its picture a 360-degree panorama (Google's Photo Sphere)."""
    projection = _PROJECTION.search(xmp)
    return projection is not None and "equirectangular" in (projection[1] or projection[2])


def disclosed_place(image: Image.Image) -> tuple[tuple[float, float] | None, tuple[Note, ...]]:
    """The place that tags name, and what is odd about it.

    Returns:
        Longitude, latitude in degrees, of EXIF or else of XMP. None where neither says it whole,
        and where it is 0, 0: programs that remove places write that.
    """
    try:
        exif, xmp = gps_lonlat_deg(image), _xmp_lonlat_deg(xmp_of(image))
    except Exception:  # Pillow raises a dozen kinds over broken tags
        return None, ()
    if (0.0, 0.0) in (exif, xmp):
        told = Note(
            "photo_gps_zeroed",
            "its tags name the coordinates 0, 0: they were zeroed, or the receiver had no fix",
        )
        rest = next((place for place in (exif, xmp) if place not in (None, (0.0, 0.0))), None)
        return rest, (told,)
    if exif is not None:
        return exif, () if xmp is None else _apart(exif, xmp)
    if xmp is not None:
        return xmp, (Note("photo_gps_xmp", "its coordinates stand in XMP, not in EXIF"),)
    half = gps_without_letters_deg(image)
    if half is None:
        return None, ()
    text = (
        f"its GPS tags name latitude {half[1]:.5f}, longitude {half[0]:.5f} without saying north "
        "or south, east or west; not used"
    )
    return None, (Note("photo_gps_half", text),)


def place_in(file: BinaryIO) -> tuple[float, float] | None:
    """The same place, of an open file whose pixels are not decoded."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            can_read_heif()
            with Image.open(file) as image:
                return disclosed_place(image)[0]
        except Exception:  # Pillow raises a dozen kinds over broken headers
            return None


def _apart(exif: tuple[float, float], xmp: tuple[float, float]) -> tuple[Note, ...]:
    away_m = float(haversine_m([exif], xmp)[0])
    if away_m < _APART_M:
        return ()
    text = f"its EXIF and its XMP name places {away_m / 1000:,.0f} km apart: one was changed"
    return (Note("photo_gps_xmp", text),)


def _xmp_lonlat_deg(xmp: str) -> tuple[float, float] | None:
    matches = [field.search(xmp) for field in _FIELDS]
    lon, lat = (None if match is None else _angle_deg(match[1] or match[2]) for match in matches)
    if lon is None or lat is None or abs(lon) > 180 or abs(lat) > 90:
        return None
    return lon, lat


def _angle_deg(text: str) -> float | None:
    if angle := _ANGLE.fullmatch(text):
        degrees = int(angle[1]) + float(angle[2]) / 60 + float(angle[3] or 0) / 3600
        return -degrees if angle[4] in "SW" else degrees
    plain = _DEGREES.fullmatch(text)
    return None if plain is None else float(plain[1])
