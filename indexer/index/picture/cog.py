"""Files of pictures: Cloud-Optimized GeoTIFF, 8 bits, JPEG, with a mask and overviews.

Writer and reader of ``picture.tif``, and of ``picture-2.tif`` and so on where an index has several.
Pixels are those of map tiles (:mod:`.grid`), the mask says where there is imagery, and the tags
whose it is: ``TIFFTAG_COPYRIGHT`` the credit, ``TIFFTAG_IMAGEDESCRIPTION`` what is shown and when,
``LICENCE`` the terms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from gair.errors import IndexCorruptError
from gair.files import disk_errors
from indexer.index.picture.grid import TILE_PX, PictureGrid
from indexer.index.picture.paint import STRIP_PX, Strip
from indexer.index.picture.shades import Stretch

PICTURE_FILE = "picture.tif"
BYTES_A_PIXEL = 0.4
"""With its overviews and mask: 0.34 of a real scene, more of what is full of detail."""
INDEX, DATE = "index", "date"
"""What an entry ``shows``: what the index was made from, or one day of its imagery."""
QUALITY = 85
_BANDS = ("Red", "Green", "Blue", "Alpha")


def picture_file(number: int) -> str:
    """Name of the first (0), second and further pictures of a build."""
    return PICTURE_FILE if number == 0 else f"picture-{number + 1}.tif"


@dataclass(frozen=True)
class About:
    """What a picture shows, and whose it is."""

    shows: str
    """:data:`INDEX` or :data:`DATE`."""
    dates: tuple[str, ...]
    """Days of the imagery in it, ascending; none where nothing says."""
    attribution: str
    licence: str

    @property
    def description(self) -> str:
        """In words, for the file's tags."""
        return f"True colours of satellite imagery, {said_dates(self.dates)}"

    def entry(self, number: int, grid: PictureGrid, stretch: Stretch | None) -> dict[str, Any]:
        """What a manifest says of the picture of that number; :func:`open_picture` reads it."""
        return {
            "file": picture_file(number),
            **asdict(self),
            "dates": list(self.dates),
            "grid": asdict(grid),
            "stretch": stretch.to_json() if stretch else None,
        }


def expected_bytes(frames: int, frame_m: float, grids: Sequence[PictureGrid]) -> int:
    """About what the picture of some frames takes.

    Args:
        frames: how many.
        frame_m: side of what no other frame shows, EPSG:3857 metres.
        grids: of the picture.
    """
    pixels = [grid.width_px * grid.height_px for grid in grids]
    side_px = frame_m / min((grid.pixel_m for grid in grids), default=math.inf)
    return int(BYTES_A_PIXEL * min(sum(pixels), frames * side_px**2))


def said_dates(dates: Sequence[str]) -> str:
    """Days in words: one, or the first and the last of several."""
    if not dates:
        return "date unknown"
    first, last = min(dates), max(dates)
    return first if first == last else f"{first} to {last}"


def write_picture(path: Path, grid: PictureGrid, strips: Iterable[Strip], about: About) -> bool:
    """Write a picture; equal pictures are equal bytes.

    Args:
        path: of a new file.
        grid: its pixels.
        strips: as :func:`indexer.index.picture.paint.painted` gives them.
        about: what its tags say.

    Returns:
        Whether there is one: nothing is written where no pixel shows imagery.

    Raises:
        StorageError: the disk refused.
    """
    raw, seen = path.with_name(f".{path.name}.raw"), False
    try:
        # What GDAL cannot write it may only mention: both files are written by Python.
        with disk_errors(path):
            with raw.open("wb") as file:
                for strip in strips:
                    seen = seen or bool(strip[..., 3].any())
                    file.write(np.ascontiguousarray(strip).data)
            if seen:
                path.write_bytes(_cog_of(raw, grid, about))
    finally:
        raw.unlink(missing_ok=True)
    return seen


def _cog_of(raw: Path, grid: PictureGrid, about: About) -> bytes:
    settings = {"GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE": "ALL", "GDAL_NUM_THREADS": "1"}
    with rasterio.Env(**settings), MemoryFile(ext=".tif") as memory:
        rasterio.shutil.copy(
            _raw_raster(raw, grid, about),
            memory.name,
            driver="COG",
            compress="JPEG",
            quality=QUALITY,
            overview_quality=QUALITY,
            blocksize=TILE_PX,
            overview_resampling="average",
            bigtiff="if_safer",
        )
        return bytes(memory.getbuffer())


def _raw_raster(raw: Path, grid: PictureGrid, about: About) -> str:
    """Uncompressed pixels as a raster that GDAL reads: a VRT, which is a text."""
    west, _, _, north = grid.bounds_wsen_m
    tags = {
        "TIFFTAG_IMAGEDESCRIPTION": about.description,
        "TIFFTAG_COPYRIGHT": about.attribution,
        "LICENCE": about.licence,
    }
    said = "".join(f'<MDI key="{key}">{escape(text)}</MDI>' for key, text in tags.items() if text)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band + 1}" subClass="VRTRawRasterBand">'
        f"<ColorInterp>{colour}</ColorInterp>"
        f'<SourceFilename relativeToVRT="0">{escape(str(raw.resolve()))}</SourceFilename>'
        f"<ImageOffset>{band}</ImageOffset><PixelOffset>4</PixelOffset>"
        f"<LineOffset>{4 * grid.width_px}</LineOffset></VRTRasterBand>"
        for band, colour in enumerate(_BANDS)
    )
    return (
        f'<VRTDataset rasterXSize="{grid.width_px}" rasterYSize="{grid.height_px}">'
        f"<SRS>EPSG:3857</SRS><GeoTransform>{west!r}, {grid.pixel_m!r}, 0, {north!r}, 0, "
        f"{-grid.pixel_m!r}</GeoTransform><Metadata>{said}</Metadata>{bands}</VRTDataset>"
    )


@dataclass(frozen=True)
class Picture:
    """Read access to a picture; safe to share between threads and processes."""

    path: Path
    grid: PictureGrid
    entry: Mapping[str, Any]
    """What the manifest says of it: ``dates``, ``attribution``, ``licence`` and more."""

    def tile(self, zoom: int, x: int, y: int) -> Strip | None:
        """A map tile, (256, 256, 4) with 255 where there is imagery; None where there is none.

        Args:
            zoom: at most the grid's, from which on tiles are as fine as they get.
            x: column from the west.
            y: row from the north.

        Raises:
            IndexCorruptError: the file cannot be read.
        """
        shift = self.grid.zoom - zoom
        side = TILE_PX << shift
        return self.square(x * side - self.grid.left_px, y * side - self.grid.top_px, side, TILE_PX)

    def square(self, left_px: int, top_px: int, side_px: int, out_px: int) -> Strip | None:
        """A square of pixels, (out_px, out_px, 4); None where none of it shows imagery.

        Args:
            left_px: its first column; it may lie outside, where nothing is shown.
            top_px: its first row.
            side_px: its side in pixels of the picture, ``out_px`` or a power of two times that.
            out_px: its side in pixels of what is returned.

        Raises:
            IndexCorruptError: the file cannot be read.
        """
        scale = side_px // out_px
        right = min(left_px + side_px, self.grid.width_px)
        bottom = min(top_px + side_px, self.grid.height_px)
        left, top = max(left_px, 0), max(top_px, 0)
        if left >= right or top >= bottom:
            return None
        window = Window(left, top, right - left, bottom - top)
        height, width = -(-(bottom - top) // scale), -(-(right - left) // scale)
        try:
            with rasterio.Env(GDAL_NUM_THREADS="1"), rasterio.open(self.path) as file:
                rgb = file.read((1, 2, 3), window=window, out_shape=(3, height, width))
                mask = file.read_masks(1, window=window, out_shape=(height, width))
        except RasterioError as error:
            raise IndexCorruptError(
                f"{self.path} is not a readable picture: rebuild the index"
            ) from error
        if not mask.any():
            return None
        square = np.zeros((out_px, out_px, 4), dtype=np.uint8)
        row, column = (top - top_px) // scale, (left - left_px) // scale
        part = square[row : row + height, column : column + width]
        part[..., :3], part[..., 3] = rgb.transpose(1, 2, 0), np.where(mask > 0, 255, 0)
        return square

    def strips(self, part: PictureGrid) -> Iterable[Strip]:
        """A part of it, strip by strip from the north.

        Args:
            part: a grid of the same zoom that lies within its own.
        """
        left, top = part.left_px - self.grid.left_px, part.top_px - self.grid.top_px
        with rasterio.Env(GDAL_NUM_THREADS="1"), rasterio.open(self.path) as file:
            for down in range(0, part.height_px, STRIP_PX):
                height = min(STRIP_PX, part.height_px - down)
                window = Window(left, top + down, part.width_px, height)
                rgb = file.read((1, 2, 3), window=window)
                mask = file.read_masks(1, window=window)[None]
                alpha = np.where(mask > 0, np.uint8(255), np.uint8(0))
                yield np.concatenate([rgb, alpha]).transpose(1, 2, 0)


def open_picture(folder: Path, entry: Mapping[str, Any]) -> Picture:
    """The picture that an entry of a manifest names.

    Raises:
        IndexCorruptError: the file is no picture, or not the one that the entry describes.
    """
    path, grid = folder / str(entry["file"]), PictureGrid(**entry["grid"])
    try:
        with rasterio.open(path) as file:
            bounds, size, bands = tuple(file.bounds), (file.width, file.height), file.count
    except RasterioError as error:
        raise IndexCorruptError(f"{path} is not a readable picture: rebuild the index") from error
    fits = np.allclose(bounds, grid.bounds_wsen_m, rtol=0, atol=grid.pixel_m / 100)
    if not fits or size != (grid.width_px, grid.height_px) or bands != 3:
        raise IndexCorruptError(f"{path} is not the picture of the manifest: rebuild the index")
    return Picture(path, grid, entry)
