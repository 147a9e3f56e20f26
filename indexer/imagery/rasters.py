"""Raster files: headers, places on the ground, what makes one unusable, and files kept open.

A GDAL dataset must not be used by two threads at once, and opening one costs more than reading a
small window from it. So readers borrow a set of open datasets (:class:`FilePool`) and give it back:
there are never more sets than readers at the same moment, whatever threads they run in.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pyproj
import rasterio
import shapely
from affine import Affine
from cachetools import LRUCache
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from shapely.geometry import MultiPolygon, Polygon

from gair.arrays import Floats
from gair.errors import FootprintError, ImageryError
from gair.files import check_is_file
from gair.geo import LONLAT, transformer
from indexer.regions.antimeridian import cut, polygons_of, unwrapped

_DTYPES = ("uint16", "int16", "uint32", "int32", "float32", "float64")
_PARALLEL_MERIDIANS = (
    "Popular Visualisation Pseudo Mercator",
    "Mercator (variant A)",
    "Mercator (variant B)",
    "Equidistant Cylindrical",
)
_EDGE_POINTS = 32  # per side of an outline; a 110 km side then bends less than a metre per piece
_MAX_OPEN = 120  # files a set keeps open, a dozen scenes of ten; well below the usual limit of 1024


@dataclass(frozen=True)
class RasterFile:
    """What a raster's header says."""

    path: Path
    name: str
    """The path inside the folder it was found in, with slashes."""
    width: int
    height: int
    crs: str | None
    """``EPSG:...`` where it has a code, else WKT."""
    transform: Affine
    """Pixel corners to CRS coordinates; the identity when the file has none."""
    dtypes: tuple[str, ...]
    descriptions: tuple[str | None, ...]
    nodata: float | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    """Physical value = stored x scale + offset, per band."""
    transparency: tuple[int, ...]
    """Bands (from 1) marked as an alpha channel."""
    tags: dict[str, str]
    loose_georeferencing: str = ""
    """What else than a geotransform says about where it lies, which is not exact enough here."""

    @property
    def count(self) -> int:
        """How many bands it has."""
        return len(self.dtypes)


@contextlib.contextmanager
def gdal_errors(path: Path) -> Iterator[None]:
    """Work with GDAL on one file; whatever it refuses becomes an :class:`ImageryError`.

    GDAL gets one thread: with more, its JPEG 2000 driver decodes in threads of its own whose errors
    reach nobody, and a truncated file reads as zeros (GDAL 3.10). It was no faster either.
    """
    try:
        with rasterio.Env(GDAL_NUM_THREADS="1"):
            yield
    except (RasterioError, CRSError, CPLE_BaseError, OSError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = " ".join(str(cause).split()).rstrip(".") or type(cause).__name__
        raise ImageryError(
            f"cannot read {path}: {reason}; the file is broken, truncated or no GeoTIFF or "
            "JPEG 2000: fetch it again or take it out"
        ) from error


def read_header(path: Path, name: str) -> RasterFile:
    """Read a raster's header, without judging it.

    Raises:
        ImageryError: GDAL cannot open it.
    """
    with gdal_errors(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        check_is_file(path)  # GDAL waits for what a pipe will say
        with rasterio.open(path) as dataset:
            return RasterFile(
                path=path,
                name=name,
                width=dataset.width,
                height=dataset.height,
                crs=dataset.crs.to_string() if dataset.crs else None,
                transform=dataset.transform,
                dtypes=tuple(dataset.dtypes),
                descriptions=tuple(dataset.descriptions),
                nodata=dataset.nodata,
                scales=tuple(dataset.scales),
                offsets=tuple(dataset.offsets),
                transparency=tuple(
                    index
                    for index, kind in enumerate(dataset.colorinterp, start=1)
                    if kind == ColorInterp.alpha
                ),
                tags=dict(dataset.tags()),
                loose_georeferencing=_loose_georeferencing(dataset),
            )


def _loose_georeferencing(dataset: Any) -> str:  # noqa: ANN401
    points, crs = dataset.gcps
    if points:
        return f"{len(points)} ground control points" + (f" in {crs.to_string()}" if crs else "")
    return "rational polynomial coefficients" if dataset.rpcs else ""


def check_usable(raster: RasterFile) -> None:
    """Refuse a raster that lies nowhere or does not hold digital numbers.

    Raises:
        ImageryError: No CRS, no geotransform, or a pixel type that Sentinel-2 does not come in.
    """
    unplaced = raster.transform.almost_equals(Affine.identity())
    if unplaced and raster.loose_georeferencing:
        raise ImageryError(
            f"{raster.path} is placed by {raster.loose_georeferencing} and has no geotransform: "
            "warp it to a grid, for example with gdalwarp -r bilinear -t_srs EPSG:32618 FILE "
            "warped.tif (the UTM zone of the place)"
        )
    if raster.crs is None:
        raise ImageryError(
            f"{raster.path} has no coordinate reference system: assign its own, for example with "
            "gdal_edit.py -a_srs EPSG:32618 FILE"
        )
    if unplaced:
        raise ImageryError(
            f"{raster.path} has no geotransform, so nothing says where it lies: export it again "
            "with georeferencing"
        )
    wrong = sorted(set(raster.dtypes) - set(_DTYPES))
    if wrong:
        raise ImageryError(
            f"{raster.path} has pixels of type {', '.join(wrong)}; Sentinel-2 digital numbers come "
            f"in {', '.join(_DTYPES)}: use the original bands, not a rendered picture"
        )


def outline_lonlat(raster: RasterFile) -> Polygon | MultiPolygon:
    """The true outline of a raster, its edges followed point by point.

    Returns:
        Longitude and latitude, degrees, cut at 180 where the raster reaches over it.

    Raises:
        ImageryError: Its CRS does not map there.
    """
    along = np.linspace(0.0, 1.0, _EDGE_POINTS, endpoint=False)
    start, end = np.zeros_like(along), np.ones_like(along)
    # Clockwise from the north-west corner, each side without its last point: the next side's first.
    columns = np.concatenate([along, end, 1 - along, start]) * raster.width
    rows = np.concatenate([start, along, end, 1 - along]) * raster.height
    lon, lat = _to_lonlat(raster, columns, rows)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise ImageryError(
            f"{raster.path} reaches outside its CRS {raster.crs}: check its georeferencing"
        )
    # Made valid in one piece: what jumps around the world crosses itself on its way back.
    whole = shapely.make_valid(unwrapped(Polygon(np.stack([lon, lat], axis=1))))
    return cut(polygons_of(whole))


@functools.lru_cache(maxsize=128)
def world_width(crs: str) -> float | None:
    """Units of a CRS from a meridian around the world to itself; None where it does not repeat.

    Only maps whose meridians are parallel do: longitude and latitude, and Mercator.
    """
    definition = pyproj.CRS.from_user_input(crs)
    if definition.is_geographic:
        return 2 * math.pi / definition.axis_info[0].unit_conversion_factor
    operation = definition.coordinate_operation
    if operation is None or operation.method_name not in _PARALLEL_MERIDIANS:
        return None
    x, _ = transformer(LONLAT, crs)(np.array([-60.0, 60.0]), np.array([0.0, 0.0]))
    # One of the two thirds of the world may hold the seam: the shorter way between is whole.
    third = float(x[1] - x[0])
    return 3 * third if third > 0 else -1.5 * third


def resolution_m(raster: RasterFile) -> float:
    """Side of a square as large as the raster's central pixel on the ground, metres."""
    column, row = raster.width / 2, raster.height / 2
    lon, lat = _to_lonlat(
        raster,
        np.array([column, column + 1, column + 1, column]),
        np.array([row, row, row + 1, row + 1]),
    )
    area_m2, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    return float(np.sqrt(abs(area_m2)))


def _to_lonlat(raster: RasterFile, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
    a, b, c, d, e, f = raster.transform[:6]
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    try:
        return transformer(str(raster.crs), LONLAT)(x, y)
    except (FootprintError, pyproj.exceptions.ProjError) as error:
        raise ImageryError(
            f"{raster.path} has a CRS that does not map to longitude and latitude, {raster.crs}: "
            "reproject it, for example with gdalwarp -t_srs EPSG:3857"
        ) from error


class Closable(Protocol):
    """Something open."""

    def close(self) -> None:
        """End its use."""
        ...


Key = TypeVar("Key")
Open = TypeVar("Open", bound=Closable)


class ClosingLru(LRUCache[Key, Open]):
    """Open things by key; the one unused the longest is closed when there are too many."""

    def popitem(self) -> tuple[Key, Open]:
        """Close the one unused the longest; returns it and its key."""
        key, opened = super().popitem()
        opened.close()
        return key, opened

    def close(self) -> None:
        """Close them all."""
        while self:
            self.popitem()


class OpenFiles(ClosingLru[Path | tuple[Path, ...], Any]):
    """Datasets of one reader, by the file that they are, or by the files that they stack."""

    def __init__(self, max_open: int = _MAX_OPEN) -> None:
        super().__init__(max_open)

    @staticmethod
    def getsizeof(value: Any) -> int:  # noqa: ANN401
        """Files that a dataset keeps open: a stack has one a band."""
        return int(value.count) if value.driver == "VRT" else 1

    def dataset(self, path: Path) -> Any:  # noqa: ANN401
        """The open :class:`rasterio.DatasetReader` of a file."""
        if path not in self:
            check_is_file(path)
            self[path] = rasterio.open(path)
        return self[path]


class FilePool:
    """Lends sets of open files, one reader each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[OpenFiles] = []
        self._closed = False

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[OpenFiles]:
        """A set nobody else uses until the ``with`` block ends.

        Raises:
            ImageryError: The pool is closed.
        """
        with self._lock:
            if self._closed:
                raise ImageryError("this imagery was closed: open it again to read from it")
            files = self._idle.pop() if self._idle else OpenFiles()
        try:
            yield files
        except BaseException:
            # What went wrong may be left in a dataset, so none of these is lent again.
            files.close()
            raise
        self._give_back(files)

    def close(self) -> None:
        """Close what is idle now, and what is lent as soon as it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for files in idle:
            files.close()

    def _give_back(self, files: OpenFiles) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(files)
                return
        files.close()
