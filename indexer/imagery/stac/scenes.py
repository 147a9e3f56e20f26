"""Scenes read from STAC items: which asset is which band, on which grid, and how it is scaled.

All of it comes from an item's metadata; nothing is opened, and nothing is derived from a date.
Understood are the projection extension (``proj:code`` or ``proj:epsg``, ``proj:transform``,
``proj:shape``; https://github.com/stac-extensions/projection), what :mod:`.assets` knows of bands
and :mod:`.scales` of scale and offset. An item that cannot be read is left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, shape

from gair.errors import FootprintError, ImageryError
from gair.geo import LONLAT, transformer
from indexer.imagery.stac.assets import MASK, band_assets
from indexer.imagery.stac.items import (
    RawItem,
    cloud_percent,
    href_of,
    item_name,
    members,
    number,
)
from indexer.imagery.stac.scales import BandScale, band_scale
from indexer.regions.antimeridian import polygons_of, unwrapped, wrapped

if TYPE_CHECKING:
    from pystac import Item

FINE_BANDS = ("B2", "B3", "B4", "B8")
"""Taken at 10 m."""
COARSE_BANDS = ("B5", "B6", "B7", "B8A", "B11", "B12")
"""Taken at 20 m, as the scene classification is."""
_EDGE_POINTS = 16
_LARGEST_PX = 65_536  # six times a tile of Sentinel-2; the windows of a grid are counted one by one
_UNSTATED_CLOUDS = 100.0
_LONGEST = timedelta(days=1)  # a scene is of one pass


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
    reflectance: BandScale
    """How stored values become reflectance."""
    bytes: int | None
    """Size of the file, where the item says it."""

    @property
    def scale(self) -> float:
        """Reflectance = stored value x scale + offset."""
        return self.reflectance.scale

    @property
    def offset(self) -> float:
        """Of reflectance, added after the scale."""
        return self.reflectance.offset


@dataclass(frozen=True, eq=False)
class StacScene:
    """Ten bands and the scene classification of one tile on one date."""

    name: str
    collection: str
    """Empty where the item does not say."""
    platform: str
    acquired: datetime
    """UTC."""
    cloud_percent: float
    """100 where the item does not say."""
    outline: Polygon | MultiPolygon
    """Where it has pixels, longitude and latitude."""
    grid: TileGrid
    bands: dict[str, StacBand]
    """By Sentinel-2 name, and :data:`~.assets.MASK`."""

    @property
    def solar_day(self) -> date:
        """The day at the place itself: scenes of one pass are of one day, whatever UTC says."""
        return (self.acquired + timedelta(hours=self.outline.centroid.x / 15)).date()

    @property
    def scale(self) -> BandScale:
        """That of the first band; where others differ, the scene is not trusted."""
        return self.bands[FINE_BANDS[0]].reflectance

    @property
    def corrected(self) -> bool:
        """Whether its catalogue vouches that no offset is left in its pixels."""
        return self.scale.basis == "flag"


def scenes_of(
    items: Iterable[RawItem | Item], max_cloud: float = 100.0
) -> tuple[list[StacScene], dict[str, str]]:
    """Read items, and leave out those that cannot be read.

    Args:
        items: as JSON, or of pystac.
        max_cloud: per cent; below 100, items that do not state their clouds are left out.

    Returns:
        Scenes, sorted by clouds, then by name; and why each of the others was left out, by name.

    Raises:
        BandError: All items lack bands or the scene classification; the message is the first's.
        ImageryError: None can be read.
    """
    scenes: list[StacScene] = []
    refusals: dict[str, ImageryError] = {}
    for item in items:
        raw = item if isinstance(item, Mapping) else item.to_dict(transform_hrefs=False)
        try:
            if max_cloud < 100 and cloud_percent(raw) is None:
                raise ImageryError(
                    f"scene {item_name(raw)} does not state its clouds (eo:cloud_cover): pass "
                    "`max_cloud` 100 to take it as it is"
                )
            scenes.append(scene_of(raw))
        except ImageryError as error:
            refusals[item_name(raw)] = error
    if refusals and not scenes:
        first = next(iter(refusals.values()))
        others = f"; nor can {len(refusals) - 1} more be read" if len(refusals) > 1 else ""
        raise type(first)(f"{first}{others}")
    scenes.sort(key=lambda scene: (scene.cloud_percent, scene.name))
    left_out = {name: _reason(name, error) for name, error in refusals.items()}
    return scenes, left_out


def scene_of(item: RawItem | Item) -> StacScene:
    """Read one item.

    Raises:
        BandError: It lacks a band or the scene classification.
        ImageryError: It does not say when it was taken, where its pixels lie, or how they are
            scaled.
    """
    raw = item if isinstance(item, Mapping) else item.to_dict(transform_hrefs=False)
    name = item_name(raw)
    chosen = band_assets(raw)
    grid = _grid(raw, {band: asset for band, (_, asset) in chosen.items()})
    properties = members(raw, "properties")
    collection = raw.get("collection")
    percent = cloud_percent(raw)
    return StacScene(
        name=name,
        collection=collection if isinstance(collection, str) else "",
        platform=str(properties.get("platform") or "unknown platform"),
        acquired=_acquired(name, properties),
        cloud_percent=_UNSTATED_CLOUDS if percent is None else percent,
        outline=_outline(raw, grid),
        grid=grid,
        bands={band: _band(raw, band, key, asset) for band, (key, asset) in chosen.items()},
    )


def _reason(name: str, error: ImageryError) -> str:
    """A refusal without its subject and remedy, for a list of scenes that are left out."""
    text = str(error).removeprefix(f"scene {name} ").removeprefix(f"scene {name}: ")
    for remedy in (": pass ", ": download ", ": its catalogue lacks "):
        text = text.partition(remedy)[0]
    return f"it {text}" if str(error).startswith(f"scene {name} ") else text


def _band(item: RawItem, band: str, key: str, asset: Mapping[str, Any]) -> StacBand:
    size = number(asset.get("file:size"))
    href = href_of(item, asset)
    if not _is_address(href):
        raise ImageryError(
            f"scene {item_name(item)} has no address of {band} but {_cut(href)}: pass another "
            "`collection`"
        )
    # The scene classification is no reflectance; what is stated of it is not asked.
    scale = BandScale(1.0, 0.0, "stated") if band == MASK else band_scale(item, asset)
    return StacBand(
        name=band,
        key=key,
        href=href,
        reflectance=scale,
        bytes=int(size) if size is not None and size >= 1 else None,
    )


def _is_address(href: str) -> bool:
    try:
        return bool(urlsplit(href).path.strip("/ "))
    except ValueError:  # such as a broken IPv6 address
        return False


def _acquired(name: str, properties: Mapping[str, Any]) -> datetime:
    """When a scene was taken: its date, or the middle of its start and end.

    Raises:
        ImageryError: It does not say, or spans more than a day.
    """
    if (taken := _read_date(properties.get("datetime"))) is not None:
        return taken
    start = _read_date(properties.get("start_datetime"))
    end = _read_date(properties.get("end_datetime")) or start
    if start is None or end is None:
        raise ImageryError(
            f"scene {name} has no date (datetime, or start_datetime and end_datetime): pass "
            "another `collection`"
        )
    if not timedelta(0) <= end - start <= _LONGEST:
        raise ImageryError(
            f"scene {name} has no single date, it is from {start:%Y-%m-%d} to {end:%Y-%m-%d}: pass "
            "a `collection` of scenes of one pass"
        )
    return start + (end - start) / 2


def _read_date(value: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    if read is None or not 1990 < read.year < 9000:  # further ones overflow in another zone
        return None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)


def _grid(item: RawItem, assets: Mapping[str, Mapping[str, Any]]) -> TileGrid:
    """The grid that all bands agree on.

    Raises:
        ImageryError: They do not, or do not say it, or it is no place on Earth.
    """
    crs, west, north, pixel, height, width = _placed(item, assets[FINE_BANDS[0]])
    for name, asset in assets.items():
        size = 1 if name in FINE_BANDS else 2
        rows, columns = -(-height // size), -(-width // size)
        if _placed(item, asset) != (crs, west, north, pixel * size, rows, columns):
            raise ImageryError(
                f"scene {item_name(item)}: {name} does not lie on the grid of {FINE_BANDS[0]}, 10 m"
                " and 20 m pixels from one corner: pass a `collection` of Sentinel-2 Level-2A"
            )
    grid = TileGrid(crs, west, north, pixel, height, width)
    try:
        # PROJ answers infinity where a CRS does not reach.
        x, y = grid.west + pixel * np.array([0, width]), grid.north - pixel * np.array([0, height])
        reached = np.isfinite(transformer(crs, LONLAT)(*np.meshgrid(x, y))).all()
    except FootprintError as error:
        raise _misplaced(item, f"proj:code {_cut(crs)} is unknown", stated=True) from error
    if not reached or grid.outline.is_empty:
        corner = f"its corner {west:g}, {north:g} is no place of {_cut(crs)}"
        raise _misplaced(item, corner, stated=True)
    return grid


def _placed(item: RawItem, asset: Mapping[str, Any]) -> tuple[str, float, float, float, int, int]:
    """(crs, west, north, pixel, rows, columns) of an asset."""
    properties = members(item, "properties")

    def said(name: str) -> object:
        value = asset.get(name)
        return properties.get(name) if value is None else value

    code, epsg = said("proj:code"), number(said("proj:epsg"))
    if not isinstance(code, str) or not code.strip():
        if epsg is None or epsg != int(epsg):
            raise _misplaced(item, "no proj:code")
        code = f"EPSG:{int(epsg)}"
    transform, rows_columns = said("proj:transform"), said("proj:shape")
    if transform is None or rows_columns is None:
        raise _misplaced(item, "no proj:transform" if transform is None else "no proj:shape")
    numbers = [*map(number, transform[:6])] if isinstance(transform, list) else []
    if len(numbers) < 6 or None in numbers:
        raise _misplaced(item, f"proj:transform {_cut(transform)} is none", stated=True)
    a, b, west, d, e, north = (value or 0.0 for value in numbers)
    if b or d or a <= 0 or e != -a:
        raise _misplaced(item, f"proj:transform {_cut(transform)} is not north-up", stated=True)
    sides = [*map(number, rows_columns)] if isinstance(rows_columns, list) else []
    if len(sides) != 2 or any(
        side is None or side != int(side) or not 0 < side <= _LARGEST_PX for side in sides
    ):
        raise _misplaced(item, f"proj:shape {_cut(rows_columns)} is none of a tile", stated=True)
    rows, columns = (int(side or 0) for side in sides)
    return code.strip(), west, north, a, rows, columns


def _misplaced(item: RawItem, reason: str, *, stated: bool = False) -> ImageryError:
    lacks = "" if stated else "its catalogue lacks proj:code, proj:transform or proj:shape; "
    return ImageryError(
        f"scene {item_name(item)} does not say where its pixels lie ({reason}): {lacks}pass another"
        " `collection`"
    )


def _cut(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _outline(item: RawItem, grid: TileGrid) -> Polygon | MultiPolygon:
    """The footprint that an item tells, as far as it lies in its tile.

    Raises:
        ImageryError: It cannot be read, has no area, or lies elsewhere.
    """
    geometry = item.get("geometry")
    if geometry is None:
        return grid.outline
    name = item_name(item)
    try:
        told = polygons_of(shape(_in_two_dimensions(geometry)))
        told = polygons_of(shapely.make_valid(unwrapped(told)))
        wrapped_told = wrapped(told) if not told.is_empty else told
    except (
        ShapelyError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        OverflowError,
    ) as error:
        raise ImageryError(
            f"scene {name} has a geometry that cannot be read: pass another `collection`"
        ) from error
    if told.is_empty:
        raise ImageryError(f"scene {name} has a geometry without area: pass another `collection`")
    outline = polygons_of(shapely.intersection(wrapped_told, grid.outline))
    if outline.is_empty:
        raise ImageryError(
            f"scene {name} has a geometry outside of its own pixels: pass another `collection`"
        )
    return outline


def _in_two_dimensions(geometry: object) -> dict[str, Any]:
    """A geometry whose positions are longitude and latitude, whatever else some of them have."""

    def flat(coordinates: Any) -> Any:  # noqa: ANN401 (lists in lists)
        if not isinstance(coordinates, list):
            raise ValueError("no position")
        if coordinates and isinstance(coordinates[0], int | float):
            lon, lat = (float(value) for value in coordinates[:2])
            if not (abs(lon) <= 720 and abs(lat) <= 90):  # also for NaN
                raise ValueError("no longitude and latitude")
            return [lon, lat]
        return [flat(each) for each in coordinates]

    if not isinstance(geometry, Mapping):
        raise ValueError("no geometry")
    if "coordinates" not in geometry:
        return dict(geometry)
    return {**geometry, "coordinates": flat(geometry["coordinates"])}
