"""Scenes read from STAC items: which asset is which band, on which grid, and how it is scaled.

All of it comes from an item's metadata; nothing is opened, and nothing is derived from a date.
Understood are the projection extension (``proj:code`` or ``proj:epsg``, ``proj:transform``,
``proj:shape``) and the scale and offset of the raster extension, on assets or their bands:
https://github.com/stac-extensions/projection, https://github.com/stac-extensions/raster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape

from gair.bands import GAIR_BANDS, canonical_band
from gair.errors import BandError, ImageryError
from gair.geo import LONLAT, transformer
from indexer.imagery.stac.query import cloud_percent
from indexer.regions.antimeridian import polygons_of, unwrapped, wrapped

if TYPE_CHECKING:
    from pystac import Asset, Item

FINE_BANDS = ("B2", "B3", "B4", "B8")
"""Taken at 10 m."""
COARSE_BANDS = ("B5", "B6", "B7", "B8A", "B11", "B12")
"""Taken at 20 m, as the scene classification is."""
MASK = "SCL"
_EDGE_POINTS = 16


@dataclass(frozen=True)
class TileGrid:
    """The pixels that scenes of one tile share: a square of one UTM zone."""

    crs: str
    west: float
    north: float
    pixel: float
    """Side of a 10 m pixel in the units of the CRS; a 20 m pixel is twice as wide."""
    height: int
    width: int
    """In 10 m pixels."""

    @cached_property
    def outline(self) -> Polygon | MultiPolygon:
        """The tile on the ground, longitude and latitude, cut at the antimeridian."""
        return self.area((0, 0, self.height, self.width))

    def area(self, rows_columns: tuple[int, int, int, int]) -> Polygon | MultiPolygon:
        """Rows and columns of 10 m pixels (top, left, bottom, right), longitude and latitude."""
        top, left, bottom, right = rows_columns
        along = np.linspace(0, 1, _EDGE_POINTS, endpoint=False)
        start, end = np.zeros_like(along), np.ones_like(along)
        x = left + np.concatenate([along, end, 1 - along, start]) * (right - left)
        y = top + np.concatenate([start, along, end, 1 - along]) * (bottom - top)
        to_lonlat = transformer(self.crs, LONLAT)
        lon, lat = to_lonlat(self.west + x * self.pixel, self.north - y * self.pixel)
        ring = np.stack([np.unwrap(lon, period=360), lat], axis=1)
        return wrapped(Polygon(ring))


@dataclass(frozen=True)
class StacBand:
    """One band of a scene."""

    name: str
    key: str
    """Of the asset."""
    href: str
    scale: float
    offset: float
    """Reflectance = stored value x scale + offset."""
    stated: bool
    """Whether the item says so; where it is silent, 0.0001 and 0 are taken."""
    bytes: int | None
    """Size of the file, where the item says it."""


@dataclass(frozen=True, eq=False)
class StacScene:
    """Ten bands and the scene classification of one tile on one date."""

    name: str
    item: Item
    acquired: datetime
    cloud_percent: float
    outline: Polygon | MultiPolygon
    """Where it has pixels, longitude and latitude."""
    grid: TileGrid
    bands: dict[str, StacBand]
    """By Sentinel-2 name, and :data:`MASK`."""

    @property
    def solar_day(self) -> date:
        """The day at the place itself: scenes of one pass are of one day, whatever UTC says."""
        return (self.acquired + timedelta(hours=self.outline.centroid.x / 15)).date()


def scenes_of(items: Iterable[Item]) -> list[StacScene]:
    """Read items; sorted by clouds, then by name.

    Raises:
        BandError: An item lacks a band or the scene classification.
        ImageryError: An item does not say where its pixels lie.
    """
    scenes = [scene_of(item) for item in items]
    return sorted(scenes, key=lambda scene: (scene.cloud_percent, scene.name))


def scene_of(item: Item) -> StacScene:
    """Read one item; errors as in :func:`scenes_of`."""
    bands = {name: _band(name, key, asset) for name, (key, asset) in _assets(item).items()}
    missing = [name for name in (*GAIR_BANDS, MASK) if name not in bands]
    if missing:
        raise BandError(
            f"scene {item.id} lacks {', '.join(missing)} (its assets: "
            f"{', '.join(sorted(item.assets))}): pass a `collection` of Sentinel-2 Level-2A"
        )
    if item.datetime is None:
        raise ImageryError(f"scene {item.id} has no date: pass another `collection`")
    grid = _grid(item, {name: item.assets[band.key] for name, band in bands.items()})
    return StacScene(
        name=item.id,
        item=item,
        acquired=item.datetime,
        cloud_percent=cloud_percent(item),
        outline=_outline(item, grid),
        grid=grid,
        bands=bands,
    )


def _assets(item: Item) -> dict[str, tuple[str, Asset]]:
    """Which asset holds which band, by its own name, else by its band's."""
    assets: dict[str, tuple[str, Asset]] = {}
    for key, asset in item.assets.items():
        name = MASK if key.upper() == MASK else canonical_band(key)
        described = _bands_member(asset)
        if name is None and len(described) == 1:
            name = canonical_band(str(described[0].get("name", "")))
        if name in (*FINE_BANDS, *COARSE_BANDS, MASK) and asset.media_type != "image/jp2":
            assets.setdefault(str(name), (key, asset))
    return assets


def _bands_member(asset: Asset) -> list[dict[str, Any]]:
    for member in ("bands", "eo:bands"):
        if isinstance(listed := asset.extra_fields.get(member), list):
            return listed
    return []


def _band(name: str, key: str, asset: Asset) -> StacBand:
    places = [asset.extra_fields]
    for member in ("raster:bands", "bands"):
        listed = asset.extra_fields.get(member)
        places += listed[:1] if isinstance(listed, list) else []
    scale = _first(places, ("scale", "raster:scale"))
    offset = _first(places, ("offset", "raster:offset"))
    size = asset.extra_fields.get("file:size")
    return StacBand(
        name=name,
        key=key,
        href=asset.get_absolute_href() or asset.href,
        scale=1e-4 if scale is None else scale,
        offset=0.0 if offset is None else offset,
        stated=scale is not None,
        bytes=int(size) if size else None,
    )


def _first(places: list[dict[str, Any]], names: tuple[str, ...]) -> float | None:
    values = (place.get(name) for place in places for name in names)
    return next((float(value) for value in values if value is not None), None)


def _grid(item: Item, assets: dict[str, Asset]) -> TileGrid:
    """The grid that all bands agree on."""
    crs, west, north, pixel, height, width = _placed(item, assets[FINE_BANDS[0]])
    for name, asset in assets.items():
        size = 1 if name in FINE_BANDS else 2
        rows, columns = -(-height // size), -(-width // size)
        if _placed(item, asset) != (crs, west, north, pixel * size, rows, columns):
            raise ImageryError(
                f"scene {item.id}: {name} does not lie on the grid of {FINE_BANDS[0]}, 10 m and "
                "20 m pixels from one corner: pass a `collection` of Sentinel-2 Level-2A"
            )
    return TileGrid(crs, west, north, pixel, height, width)


def _placed(item: Item, asset: Asset) -> tuple[str, float, float, float, int, int]:
    """(crs, west, north, pixel, rows, columns) of an asset."""

    def said(name: str) -> Any:  # noqa: ANN401 (any JSON)
        return asset.extra_fields.get(name, item.properties.get(name))

    code = said("proj:code") or (f"EPSG:{epsg}" if (epsg := said("proj:epsg")) else None)
    transform, rows_columns = said("proj:transform"), said("proj:shape")
    try:
        if code is None:
            raise ValueError("no proj:code")
        a, b, west, d, e, north = (float(v) for v in transform[:6])
        rows, columns = (int(v) for v in rows_columns)
        if b or d or a <= 0 or e != -a:
            raise ValueError(f"proj:transform {transform} is not north-up")
    except (TypeError, ValueError) as error:
        raise ImageryError(
            f"scene {item.id} does not say where its pixels lie ({error}): its catalogue lacks "
            "proj:code, proj:transform or proj:shape; pass another `collection`"
        ) from error
    return str(code), west, north, a, rows, columns


def _outline(item: Item, grid: TileGrid) -> Polygon | MultiPolygon:
    """The footprint that an item tells, as far as it lies in its tile."""
    if item.geometry is None:
        return grid.outline
    told = polygons_of(shapely.make_valid(unwrapped(polygons_of(shape(item.geometry)))))
    return polygons_of(shapely.intersection(wrapped(told), grid.outline))
