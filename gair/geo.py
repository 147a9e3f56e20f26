"""Places on the ground: footprints, frame coordinates and great-circle distances.

Longitude comes first everywhere, in degrees (``lonlat_deg``). Frame coordinates are ``(x, y)`` in
[-1, 1] with x to the right and **y down**, as in an image; (-1, -1) is the north-west corner.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyproj

from gair.arrays import Floats
from gair.errors import FootprintError

EARTH_RADIUS_M = 6371008.8
"""Mean radius of the Earth (IUGG), metres; the sphere of every haversine distance here."""

HALF_GLOBE_M = float(np.pi * EARTH_RADIUS_M)
"""From a place to its antipode, metres: no two places are farther apart."""

WEB_MERCATOR_CIRCUMFERENCE_M = 40075016.68557849
"""Width of the world in EPSG:3857, metres at the equator."""

WEB_MERCATOR_RADIUS_M = WEB_MERCATOR_CIRCUMFERENCE_M / (2 * np.pi)
"""Radius of the sphere of EPSG:3857."""

WEB_MERCATOR_MAX_LATITUDE_DEG = 85.05112877980659
"""Latitude where EPSG:3857 ends."""

LONLAT = "OGC:CRS84"
"""Longitude, latitude in degrees, as a CRS."""


@dataclass(frozen=True)
class Footprint:
    """The rectangle on the ground that a remote-sensing frame covers.

    Its sides are parallel to the axes of ``crs``, so the mapping between longitude/latitude and
    frame coordinates goes through that CRS and is exact in it.
    """

    crs: str
    """Any CRS that PROJ understands, for example ``"EPSG:3857"``, ``"EPSG:32618"``."""
    bounds_wsen: tuple[float, float, float, float]
    """West, south, east, north edge, in the units of ``crs``."""

    def __post_init__(self) -> None:
        west, south, east, north = self.bounds_wsen
        if not (np.isfinite(self.bounds_wsen).all() and west < east and south < north):
            raise FootprintError(
                f"footprint bounds {self.bounds_wsen} (west, south, east, north) enclose no area"
            )

    @classmethod
    def web_mercator_square(cls, lonlat_deg: tuple[float, float], side_m: float) -> Footprint:
        """A square of ``side_m`` Web-Mercator metres around a point.

        On the ground its side is ``side_m * cos(latitude)``, like that of a web map tile.
        """
        x, y = lonlat_to_web_mercator(np.asarray([lonlat_deg], dtype=np.float64))[0]
        half = side_m / 2
        return cls("EPSG:3857", (x - half, y - half, x + half, y + half))

    def frame_xy(self, lonlat_deg: npt.ArrayLike) -> Floats:
        """Where points lie in the frame.

        Args:
            lonlat_deg: (N, 2) longitude, latitude in degrees.

        Returns:
            (N, 2) frame coordinates; inside the frame both are in [-1, 1]. A frame that crosses 180
            degrees, in degrees or Web Mercator, holds the points on both sides of that line.
        """
        points = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
        west, south, east, north = self.bounds_wsen
        px, py = transformer(LONLAT, self.crs)(points[:, 0], points[:, 1])
        px = np.asarray(px)
        period = crs_period(self.crs)
        if period:  # of the places that are one on the ground, the one nearest to the frame
            px = px - period * np.round((px - (west + east) / 2) / period)
        u = (px - west) / (east - west)
        v = (north - np.asarray(py)) / (north - south)  # y grows downwards
        return np.stack([2 * u - 1, 2 * v - 1], axis=1)

    def lonlat_deg(self, frame_xy: npt.ArrayLike) -> Floats:
        """The inverse of :meth:`frame_xy`: (N, 2) frame coordinates to longitude, latitude."""
        xy = np.asarray(frame_xy, dtype=np.float64).reshape(-1, 2)
        west, south, east, north = self.bounds_wsen
        px = west + (xy[:, 0] + 1) / 2 * (east - west)
        py = north - (xy[:, 1] + 1) / 2 * (north - south)
        lon, lat = transformer(self.crs, LONLAT)(px, py)
        return np.stack([np.asarray(lon), np.asarray(lat)], axis=1)


def haversine_m(a_lonlat_deg: npt.ArrayLike, b_lonlat_deg: npt.ArrayLike) -> Floats:
    """Great-circle distance on the mean sphere.

    Args:
        a_lonlat_deg: (..., 2) longitude, latitude in degrees.
        b_lonlat_deg: (..., 2), broadcast against ``a_lonlat_deg``.

    Returns:
        (...) metres.
    """
    a = np.radians(np.asarray(a_lonlat_deg, dtype=np.float64))
    b = np.radians(np.asarray(b_lonlat_deg, dtype=np.float64))
    d_lon, d_lat = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    chord = np.sin(d_lat / 2) ** 2 + np.cos(a[..., 1]) * np.cos(b[..., 1]) * np.sin(d_lon / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0))))


def lonlat_to_web_mercator(lonlat_deg: npt.ArrayLike) -> Floats:
    """(N, 2) degrees to (N, 2) EPSG:3857 metres; latitudes past 85.05 degrees are refused."""
    points = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
    if len(points) and np.abs(points[:, 1]).max() > WEB_MERCATOR_MAX_LATITUDE_DEG:
        worst = points[np.abs(points[:, 1]).argmax()]
        raise FootprintError(
            f"latitude {worst[1]:.4f} is outside Web Mercator, which ends at 85.05 degrees"
        )
    lon, lat = np.radians(points[:, 0]), np.radians(points[:, 1])
    return WEB_MERCATOR_RADIUS_M * np.stack([lon, np.arctanh(np.sin(lat))], axis=1)


def web_mercator_to_lonlat_deg(points_m: npt.ArrayLike) -> Floats:
    """(N, 2) EPSG:3857 metres to (N, 2) degrees."""
    x, y = (np.asarray(points_m, dtype=np.float64).reshape(-1, 2) / WEB_MERCATOR_RADIUS_M).T
    return np.asarray(np.degrees(np.stack([x, np.arcsin(np.tanh(y))], axis=1)))


@functools.lru_cache(maxsize=128)
def crs_period(crs: str) -> float:
    """After how many units of x a CRS is back at the same place; 0 where it never is.

    Degrees of longitude and EPSG:3857 go around the world; other projections are taken to be local.

    Raises:
        FootprintError: the CRS is unknown.
    """
    try:
        read = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise FootprintError(f"unknown CRS {crs!r}: {error}") from error
    if read.is_geographic:
        return 360.0
    return WEB_MERCATOR_CIRCUMFERENCE_M if read.to_epsg() == 3857 else 0.0


Transform = Callable[[Floats, Floats], tuple[Floats, Floats]]


@functools.lru_cache(maxsize=128)
def transformer(source: str, target: str) -> Transform:
    """From one CRS to another, x before y; made once, for making costs more than using it.

    Safe to use in several threads at once.

    Raises:
        FootprintError: a CRS is unknown.
    """
    try:
        proj = pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise FootprintError(f"unknown CRS in {source!r} -> {target!r}: {error}") from error

    def apply(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        out_x, out_y = proj.transform(x, y)
        return np.asarray(out_x), np.asarray(out_y)

    return apply
