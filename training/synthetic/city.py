"""Synthetic city on the globe: where it lies, and its scenes as GeoTIFFs.

The cities float in the North Atlantic around 38 degrees north, where there is no land, so nobody
takes one for a real place. There a zoom-15 map tile is about 960 m wide: 96 pixels of Sentinel-2.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyproj

from gair.arrays import DigitalNumbers, Floats
from gair.bands import GAIR_BANDS
from gair.files import disk_errors, make_folder
from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M
from training.synthetic.drawing import draw_world
from training.synthetic.globe import centre_lonlat_deg
from training.synthetic.sentinel import FINE, Scene, draw_scenes, observe
from training.synthetic.world import PIXEL_M, World

FOOTPRINT_MERCATOR_M = WEB_MERCATOR_CIRCUMFERENCE_M / 2**15
"""Side of a zoom-15 tile."""
LICENCE = "CC0-1.0 (synthetic)"
"""Of the photos and scenes: nobody's rights are touched."""
ATTRIBUTION = "Synthetic city of GAIR Geolocator, no place on Earth"
"""Stands where real imagery has its credit."""


@dataclass(frozen=True)
class City:
    """A city and its place on the globe."""

    seed: int
    side_m: float

    @property
    def name(self) -> str:
        """``city-`` and the seed."""
        return f"city-{self.seed}"

    @property
    def centre_lonlat_deg(self) -> tuple[float, float]:
        """Where it floats: seeds that differ by less than 480 never share a place."""
        return centre_lonlat_deg(self.seed)

    @property
    def crs(self) -> str:
        """The UTM zone of its centre."""
        return f"EPSG:{32601 + int((self.centre_lonlat_deg[0] + 180) // 6)}"

    @property
    def west_north_m(self) -> tuple[float, float]:
        """The north-west corner in its CRS, on whole tens of metres."""
        x, y = _transform("OGC:CRS84", self.crs).transform(*self.centre_lonlat_deg)
        return round(x - self.side_m / 2, -1), round(y + self.side_m / 2, -1)

    def lonlat_deg(self, x_m: npt.ArrayLike, y_m: npt.ArrayLike) -> Floats:
        """City coordinates (metres to the east and south of its corner) to (N, 2) degrees."""
        west, north = self.west_north_m
        east_m, south_m = np.asarray(x_m, np.float64), np.asarray(y_m, np.float64)
        lon, lat = _transform(self.crs, "OGC:CRS84").transform(west + east_m, north - south_m)
        return np.stack([np.asarray(lon), np.asarray(lat)], axis=-1)

    def xy_m(self, lonlat_deg: Floats) -> tuple[Floats, Floats]:
        """(N, 2) degrees to city coordinates, metres to the east and south of its corner."""
        west, north = self.west_north_m
        to_crs = _transform("OGC:CRS84", self.crs)
        east, up = to_crs.transform(lonlat_deg[:, 0], lonlat_deg[:, 1])
        return np.asarray(east) - west, north - np.asarray(up)

    def draw(self) -> World:
        """Its world."""
        return draw_world(self.seed, self.side_m)

    def write_scenes(self, world: World, folder: Path, dates: int = 2) -> list[Path]:
        """Sentinel-2-like GeoTIFFs, of different seasons, oldest first."""
        make_folder(folder)
        rng = self.generator("scenes")
        paths: list[Path] = []
        for scene in draw_scenes(rng, dates):
            paths.append(folder / f"{self.name}_{scene.acquired:%Y%m%d}.tif")
            self._write_scene(paths[-1], scene, observe(world, scene, rng))
        return paths

    def _write_scene(self, path: Path, scene: Scene, dn: DigitalNumbers) -> None:
        """A scene as a GeoTIFF with named bands, as a real one would be handed over.

        Credit and licence are where readers of imagery look for them, and mark it as synthetic.
        """
        import rasterio

        from indexer.imagery.provenance import SYNTHETIC_TAG

        pixel_m = PIXEL_M * FINE
        with (
            disk_errors(path),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                width=dn.shape[2],
                height=dn.shape[1],
                count=dn.shape[0],
                dtype="uint16",
                crs=self.crs,
                transform=rasterio.transform.from_origin(*self.west_north_m, pixel_m, pixel_m),
                nodata=0,
                tiled=True,
                compress="deflate",
                predictor=2,
                zlevel=1,
            ) as raster,
        ):
            raster.write(dn)
            raster.descriptions = GAIR_BANDS
            raster.update_tags(
                TIFFTAG_DATETIME=scene.acquired.strftime("%Y:%m:%d 10:30:00"),
                TIFFTAG_IMAGEDESCRIPTION=ATTRIBUTION,
                TIFFTAG_COPYRIGHT=LICENCE,
                **{SYNTHETIC_TAG: ATTRIBUTION},
            )

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator of this city's own for one purpose, the same on every machine."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])


@functools.cache
def _transform(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
