"""Records of a data set: photos, and frames of imagery around them.

A *footprint* is a square on the ground that a frame covers; it has a frame for each date. A *place*
(a city, or a block of one) is the unit of splitting: all its footprints are in one split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError


@dataclass(frozen=True)
class PhotoRecord:
    """A street photo and where it was taken."""

    photo_id: str
    """Unique in the data set."""
    jpeg: bytes
    """The JPEG file, upright by its EXIF orientation if it has one."""
    lonlat_deg: tuple[float, float]
    """Longitude, latitude of the camera, WGS84 degrees."""
    footprint_id: str
    """The footprint it lies in."""
    place: str
    """The place of that footprint."""
    heading_deg: float | None
    """Where the camera points, clockwise from north; None where unknown."""
    captured_at: str | None
    """ISO 8601; None where unknown."""
    licence: str
    """Licence of the photo, to be shown with it."""
    source: str
    """Where it came from: a collection, a URL, a folder."""
    attribution: str = ""
    """Credit that its licence asks for, with the author's name; empty where none is."""

    def __post_init__(self) -> None:
        lon, lat = self.lonlat_deg
        if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
            raise DatasetError(
                f"photo {self.photo_id!r} has longitude {lon}, latitude {lat}: no such place; "
                "leave it out"
            )
        if self.heading_deg is not None and not math.isfinite(self.heading_deg):
            raise DatasetError(f"photo {self.photo_id!r} has heading {self.heading_deg}: pass None")
        if not self.jpeg.startswith(b"\xff\xd8"):
            raise DatasetError(f"photo {self.photo_id!r} is not a JPEG file: convert it first")


@dataclass(frozen=True)
class FrameRecord:
    """The imagery of a footprint at one date."""

    footprint_id: str
    """Unique in the data set; the dates of a footprint share it."""
    place: str
    """The place it belongs to."""
    acquired: str
    """ISO date of the imagery, "" if unknown."""
    crs: str
    """CRS of the bounds; squares of EPSG:3857 in what this project writes."""
    bounds_wsen: tuple[float, float, float, float]
    """West, south, east, north edge, in the units of ``crs``."""
    dn: npt.NDArray[np.uint16]
    """(10, H, W) reflectance x 10000, bands in the order of ``GAIR_BANDS``. Where the
    imagery has none, what the writer filled in; ``valid_fraction`` says how much that is."""
    valid_fraction: float
    """Share of the frame that has data."""
    attribution: str
    """Credit that the imagery asks for."""

    def __post_init__(self) -> None:
        bands = len(GAIR_BANDS)
        if (
            self.dn.ndim != 3
            or self.dn.shape[0] != bands
            or self.dn.dtype != np.uint16
            or not self.dn.size
        ):
            raise DatasetError(
                f"frame {self.footprint_id!r} has shape {self.dn.shape} and type {self.dn.dtype}; "
                f"expected ({bands}, height, width), uint16, bands {', '.join(GAIR_BANDS)}"
            )
