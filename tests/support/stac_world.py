"""A real STAC API on loopback, with scenes as cloud-optimised GeoTIFFs over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import pytest
import rasterio
from file_server import Served, serving
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from toy_city import NORTH_M, WEST_M, write_city

from gair.arrays import DigitalNumbers
from gair.bands import GAIR_BANDS
from gair.geo import Footprint
from gair.http import Patience
from indexer.imagery.stac.imagery import StacImagery, open_stac
from indexer.imagery.stac.query import StacQuery
from indexer.imagery.stac.scenes import FINE_BANDS
from indexer.regions.region import Region, region_from_bbox

COLLECTION = "sentinel-2-c1-l2a"
ASSETS = {
    "B2": "blue", "B3": "green", "B4": "red", "B5": "rededge1", "B6": "rededge2", "B7": "rededge3",
    "B8": "nir", "B8A": "nir08", "B11": "swir16", "B12": "swir22", "SCL": "scl",
}  # fmt: skip
"""As Earth Search calls them."""
VEGETATION, CLOUD = 4, 9


@dataclass(frozen=True)
class FakeScene:
    """A scene to publish."""

    name: str
    acquired: str
    """UTC, as ``2024-06-01T11:06:00Z``."""
    dn: DigitalNumbers
    """(10, H, W) reflectance x 10000, at 10 m; H and W even."""
    classes: npt.NDArray[np.uint8]
    """(H / 2, W / 2) scene classification."""
    crs: str
    west_north_m: tuple[float, float]
    cloud_percent: float = 1.0
    stored_higher: int = 1000
    """Added to what is stored."""
    offset: float = -0.1
    """What the metadata says must be added to reflectance."""
    platform: str = "sentinel-2b"

    @property
    def day(self) -> str:
        return self.acquired[:10]


def clear_classes(dn: DigitalNumbers) -> npt.NDArray[np.uint8]:
    return np.full((dn.shape[1] // 2, dn.shape[2] // 2), VEGETATION, dtype=np.uint8)


def publish(scene: FakeScene, folder: Path, url: str) -> dict[str, Any]:
    """Write a scene's files; returns its STAC item, which says that they are under ``url``."""
    target = folder / scene.name
    target.mkdir(parents=True)
    stored = np.where(scene.dn > 0, scene.dn + scene.stored_higher, 0).astype(np.uint16)
    west, north = scene.west_north_m
    assets = {}
    for name, key in ASSETS.items():
        step = 1 if name in FINE_BANDS else 2
        if name == "SCL":
            pixels = scene.classes
        else:
            pixels = stored[GAIR_BANDS.index(name)]
            if step == 2:
                pixels = pixels[::2, ::2]
        transform = rasterio.transform.from_origin(west, north, 10 * step, 10 * step)
        file = target / f"{name}.tif"
        file.write_bytes(
            _cog(pixels.tobytes(), pixels.dtype.str, pixels.shape, scene.crs, transform)
        )
        asset: dict[str, Any] = {
            "href": f"{url}/{scene.name}/{name}.tif",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "proj:shape": list(pixels.shape),
            "proj:transform": list(transform)[:6],
            "file:size": file.stat().st_size,
        }
        if name != "SCL":
            asset["raster:bands"] = [
                {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": scene.offset}
            ]
        assets[key] = asset
    return _item(scene, assets)


@functools.lru_cache(64)
def _cog(
    content: bytes, dtype: str, shape: tuple[int, int], crs: str, transform: rasterio.Affine
) -> bytes:
    """A cloud-optimised GeoTIFF of one band; most tests publish the same few."""
    with MemoryFile() as file:
        with file.open(
            driver="COG", dtype=dtype, count=1, height=shape[0], width=shape[1], crs=crs,
            transform=transform, nodata=0, blocksize=256, compress="deflate", overviews="none",
        ) as raster:  # fmt: skip
            raster.write(np.frombuffer(content, dtype).reshape(shape), 1)
        return bytes(file.read())


def _item(scene: FakeScene, assets: dict[str, Any]) -> dict[str, Any]:
    (west, north), (_, height, width) = scene.west_north_m, scene.dn.shape
    to_lonlat = pyproj.Transformer.from_crs(scene.crs, "OGC:CRS84", always_xy=True)
    x = [west, west, west + 10 * width, west + 10 * width]
    y = [north, north - 10 * height, north - 10 * height, north]
    ring = np.stack(to_lonlat.transform(x, y), axis=1).tolist()
    lons, lats = [p[0] for p in ring], [p[1] for p in ring]
    if max(lons) - min(lons) > 180:  # RFC 7946: west > east where a box crosses the antimeridian
        edges = [min(v for v in lons if v > 0), max(v for v in lons if v < 0)]
    else:
        edges = [min(lons), max(lons)]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
        ],
        "id": scene.name,
        "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "bbox": [edges[0], min(lats), edges[1], max(lats)],
        "properties": {
            "datetime": scene.acquired,
            "eo:cloud_cover": scene.cloud_percent,
            "proj:code": scene.crs,
            "platform": scene.platform,
        },
        "links": [],
        "assets": assets,
    }


def collection() -> dict[str, Any]:
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": COLLECTION,
        "description": "Scenes of tests",
        "license": "proprietary",
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [["2015-01-01T00:00:00Z", None]]},
        },
        "links": [],
    }


@contextlib.contextmanager
def stac_api(items: Sequence[dict[str, Any]], folder: Path) -> Iterator[str]:
    """The STAC API server of rustac with these items; its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "stac_server.py"  # its main() reads the arguments after the script's name
    program.write_text("from rustac import main\nmain()\n")
    files = [folder / "collection.json", folder / "items.json"]
    files[0].write_text(json.dumps(collection()))
    files[1].write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, str(program), "serve", "--addr", address, *map(str, files)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(f"http://{address}/", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"no STAC server: {log.read_text()}")


REGION = region_from_bbox((-0.115, 51.5, -0.100, 51.51), name="riverside")
FRAME = Footprint.web_mercator_square((-0.1075, 51.505), 2446)
SHAPE = (153, 153)
DATES = "2024-05-01/2024-07-31"
HASTE = Patience(tries=3, first_pause_s=0.05, silence_s=1.0)


@dataclass
class World:
    """Scenes that are published, and how to open them."""

    folder: Path
    files: Served
    url: str

    def query(self, **changes: object) -> StacQuery:
        query = StacQuery(dates=DATES, url=self.url, patience=HASTE)
        return dataclasses.replace(query, **changes)  # type: ignore[arg-type]

    def open(self, cache: Path, region: Region = REGION, **changes: object) -> StacImagery:
        return open_stac(region, self.query(**changes), cache=cache)


@functools.cache
def toy_pixels() -> DigitalNumbers:
    """(10, 400, 400) the made-up city; do not write to it."""
    with tempfile.TemporaryDirectory() as folder:
        with rasterio.open(write_city(Path(folder) / "city.tif")) as raster:
            dn: DigitalNumbers = raster.read()
    dn.setflags(write=False)
    return dn


def scene(name: str, day: str, dn: DigitalNumbers, **changes: object) -> FakeScene:
    made = FakeScene(
        name, f"{day}T11:06:00Z", dn, clear_classes(dn), "EPSG:32630", (WEST_M, NORTH_M)
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def brighter(dn: DigitalNumbers, by: int) -> DigitalNumbers:
    return (dn + by).astype(np.uint16)


@contextlib.contextmanager
def published(folder: Path, scenes: list[FakeScene]) -> Iterator[World]:
    cogs = folder / "cogs"
    cogs.mkdir()
    with serving(cogs) as files:
        items = [publish(each, cogs, files.url) for each in scenes]
        with stac_api(items, folder / "api") as url:
            yield World(folder, files, url)


def resampled(world: World, name: str) -> npt.NDArray[np.float32]:
    """What GDAL gives for the frame from one scene's files: (10, H, W) digital numbers."""
    west, _, east, north = FRAME.bounds_wsen
    pixel = (east - west) / SHAPE[1]
    layers = []
    for band in GAIR_BANDS:
        with (
            rasterio.open(world.folder / "cogs" / name / f"{band}.tif") as raster,
            WarpedVRT(
                raster,
                crs=FRAME.crs,
                transform=rasterio.transform.from_origin(west, north, pixel, pixel),
                height=SHAPE[0],
                width=SHAPE[1],
                resampling=Resampling.bilinear,
                tolerance=1e-6,
                dtype="float32",
            ) as warped,
        ):
            layers.append(warped.read(1) - 1000)
    return np.stack(layers)
