"""Pixels of remote scenes, fetched window by window, each once.

Scenes are cloud-optimised GeoTIFFs whose pixels come in blocks, so they are read in windows that
end where blocks end: 1,024 pixels a side, of the 10 m bands (*fine*) and of the 20 m bands with the
scene classification (*coarse*) alike. A fine window covers a quarter of a coarse one.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from gair.arrays import Bools, DigitalNumbers
from gair.errors import ImageryError, SceneError
from gair.http import Patience
from indexer.imagery.stac.assets import MASK
from indexer.imagery.stac.cache import WindowCache, WindowPlace
from indexer.imagery.stac.scenes import COARSE_BANDS, FINE_BANDS, StacScene, TileGrid

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from pystac import Item

Result = TypeVar("Result")

WINDOW_PX = 1024
"""Side of a window; the blocks of Earth Search's files are of this size."""
BANDS = {"fine": FINE_BANDS, "coarse": (*COARSE_BANDS, MASK)}
STEP = {"fine": 1, "coarse": 2}
"""Size of a pixel, in 10 m pixels."""
MASKED_CLASSES = (0, 1, 3, 8, 9, 10, 11)
"""Of the scene classification: no data, defective, cloud shadow, cloud (medium, high), thin cirrus,
snow. https://sentiwiki.copernicus.eu/web/s2-processing"""
SCENES_AT_ONCE, BANDS_AT_ONCE = 4, 4
"""Scenes fetched at a time, and bands of each."""

_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_GDAL_TRIES = 2  # further ones of GDAL's own, within one try of ours
_NO_RASTER = re.compile(r"not recognized as (?:being in )?a supported (?:file format|dataset)")
_STATUS = re.compile(r"HTTP (?:response code|error code)[: ]+(\d{3})")


def window_pixels(grid: TileGrid, place: WindowPlace) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of a window, in pixels of its own size; cut at the tile's edge."""
    step = STEP[place.kind]
    rows, columns = -(-grid.height // step), -(-grid.width // step)
    top, left = place.row * WINDOW_PX, place.column * WINDOW_PX
    return top, left, min(top + WINDOW_PX, rows), min(left + WINDOW_PX, columns)


def window_extent(grid: TileGrid, place: WindowPlace) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of a window in 10 m pixels."""
    step = STEP[place.kind]
    top, left, bottom, right = window_pixels(grid, place)
    return top * step, left * step, bottom * step, right * step


def clear(stored: DigitalNumbers, classes: DigitalNumbers) -> Bools:
    """Where a scene shows the ground.

    Args:
        stored: (B, H, W) as stored; 0 is no data.
        classes: (H, W) scene classification.
    """
    return np.asarray((stored != 0).all(axis=0) & ~np.isin(classes, MASKED_CLASSES))


class Windows:
    """Fetches windows, or takes them from the cache."""

    def __init__(self, cache: WindowCache, patience: Patience) -> None:
        self.cache = cache
        self.fetched_bytes = 0
        """Size on disk of what this process fetched and kept."""
        self._patience = patience
        # Without a handler of its own, its log lines about each try would go to the terminal.
        logging.getLogger("odc.loader").addHandler(logging.NullHandler())
        self._pool = ThreadPoolExecutor(SCENES_AT_ONCE, thread_name_prefix="stac")
        self._count = threading.Lock()

    def load(self, scenes: list[StacScene], place: WindowPlace) -> list[DigitalNumbers]:
        """The same window of several scenes, as stored, (B, H, W) each; 0 is no data.

        Raises:
            SceneError: A file of a scene is not there, or is no raster.
            ImageryError: A file cannot be fetched, however often it was tried.
            StorageError: The cache's disk refused.
        """
        if len(scenes) == 1:
            return [self._window(scenes[0], place)]
        return list(self._pool.map(lambda scene: self._window(scene, place), scenes))

    def check_fine(self, scene: StacScene) -> None:
        """Check that the files of a scene's 10 m bands are there; no pixel is read.

        Whether a scene is used must not depend on which of its windows is asked for first: its
        coarse files are seen to be there when it is admitted, these would be missed much later.

        Raises:
            SceneError: One is not there, or is no raster.
            ImageryError: A server does not answer, however often it was tried.
        """
        if self.cache.holds_any_fine(scene):
            return

        def open_one(name: str) -> None:
            def opened() -> None:
                with rasterio.open(scene.bands[name].href):
                    pass

            self._patiently(scene, opened)

        list(self._pool.map(open_one, FINE_BANDS))

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _window(self, scene: StacScene, place: WindowPlace) -> DigitalNumbers:
        _check_addresses(scene)
        kept = self.cache.get(scene, place)
        if kept is not None:
            return kept
        box = _geobox(scene.grid, place)
        names = BANDS[place.kind]
        pixels = self._patiently(scene, lambda: _fetch(scene, names, box))
        size = self.cache.put(scene, place, pixels, names, box.transform)
        with self._count:
            self.fetched_bytes += size
        return pixels

    def _patiently(self, scene: StacScene, read: Callable[[], Result]) -> Result:
        pauses = self._patience.pauses_s()
        again = False
        while True:
            try:
                with rasterio.Env(**self._options(scene, again)):
                    return read()
            except (RasterioError, CPLE_BaseError, OSError) as error:
                if _is_gone(error):
                    raise SceneError(f"cannot read scene {_told(scene, error)}") from error
                pause_s = next(pauses, None)
                if pause_s is None:
                    raise self._given_up(scene, error) from error
            time.sleep(pause_s)
            again = True

    def _options(self, scene: StacScene, again: bool) -> dict[str, Any]:
        """GDAL's configuration for reading from a server."""
        silence_s = max(1, round(self._patience.silence_s))
        options: dict[str, Any] = {
            "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
            "GDAL_HTTP_MAX_RETRY": str(_GDAL_TRIES),
            "GDAL_HTTP_RETRY_DELAY": str(self._patience.first_pause_s / 2),
            "GDAL_HTTP_CONNECTTIMEOUT": str(silence_s),
            "GDAL_HTTP_LOW_SPEED_TIME": str(silence_s),
            "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
            "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
            "GDAL_NUM_THREADS": "1",
        }
        if again:
            # GDAL remembers for the rest of the process that a file could not be opened.
            host = urlsplit(scene.bands[MASK].href)
            options["CPL_VSIL_CURL_NON_CACHED"] = f"/vsicurl/{host.scheme}://{host.netloc}"
        return options

    def _given_up(self, scene: StacScene, error: Exception) -> ImageryError:
        told = f"cannot read scene {_told(scene, error)}"
        if _NO_RASTER.search(_reason(error)):
            return SceneError(told)
        return ImageryError(
            f"{told}; tried {self._patience.tries} times. What was fetched is kept in "
            f"{self.cache.folder}: run the same command again to go on from there"
        )


def _fetch(scene: StacScene, names: tuple[str, ...], box: GeoBox) -> DigitalNumbers:
    """One window of some bands, from the server."""
    import odc.stac

    keys = [scene.bands[name].key for name in names]
    loaded = odc.stac.load(
        [_item_of(scene)],
        bands=keys,
        geobox=box,
        groupby="id",
        dtype="uint16",
        pool=BANDS_AT_ONCE,
        fail_on_error=True,
    )
    return np.stack([np.asarray(loaded[key].values[0], dtype=np.uint16) for key in keys])


def _check_addresses(scene: StacScene) -> None:
    """Refuse files whose address counts from one that the item does not give.

    Raises:
        SceneError: There is one.
    """
    for name, band in scene.bands.items():
        if not urlsplit(band.href).scheme and not band.href.startswith("/"):
            raise SceneError(
                f"cannot read scene {scene.name}: the address of {name}, {band.href}, is relative "
                "to none"
            )


def _item_of(scene: StacScene) -> Item:
    """What odc-stac must know of a scene: the catalogue's own item may say odd things besides."""
    from pystac import Asset, Item

    item = Item(
        id=scene.name,
        geometry=None,
        bbox=None,
        datetime=scene.acquired,
        properties={"proj:code": scene.grid.crs},
        stac_extensions=[_PROJECTION],
    )
    for name, band in scene.bands.items():
        step = 1 if name in FINE_BANDS else 2
        pixel = scene.grid.pixel * step
        shape = [-(-scene.grid.height // step), -(-scene.grid.width // step)]
        transform = [pixel, 0.0, scene.grid.west, 0.0, -pixel, scene.grid.north]
        fields = {"proj:shape": shape, "proj:transform": transform, "nodata": 0}
        item.add_asset(band.key, Asset(band.href, media_type="image/tiff", extra_fields=fields))
    return item


def _geobox(grid: TileGrid, place: WindowPlace) -> GeoBox:
    from odc.geo.geobox import GeoBox

    top, left, bottom, right = window_pixels(grid, place)
    pixel = grid.pixel * STEP[place.kind]
    transform = Affine(pixel, 0, grid.west + left * pixel, 0, -pixel, grid.north - top * pixel)
    return GeoBox((bottom - top, right - left), transform, grid.crs)


def _is_gone(error: Exception) -> bool:
    """Whether waiting cannot help, for there is no such file, or not for us."""
    status = _STATUS.search(reason := _reason(error))
    return "No such file" in reason or bool(
        status and status.group(1) in ("400", "401", "403", "404", "409", "410", "451")
    )


def _told(scene: StacScene, error: Exception) -> str:
    """Scene, server and cause, without the file's address, which may be signed."""
    host = urlsplit(scene.bands[MASK].href).netloc or "the disk"
    reason = _reason(error)
    for band in scene.bands.values():
        reason = reason.replace(band.href, urlsplit(band.href).path.rpartition("/")[2])
    return f"{scene.name} from {host}: {reason}"


def _reason(error: BaseException) -> str:
    """What the innermost cause of an error says, in one line."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
