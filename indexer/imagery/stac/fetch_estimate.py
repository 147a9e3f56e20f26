"""Estimate of the bytes that a plan of frames will fetch from a catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import shapely

from gair.geo import Footprint
from indexer.imagery.source import Download
from indexer.imagery.stac.assets import MASK
from indexer.imagery.stac.cache import WindowPlace
from indexer.imagery.stac.query import StacQuery
from indexer.imagery.stac.scenes import StacScene
from indexer.imagery.stac.tile import Extent, Tile
from indexer.imagery.stac.windows import BANDS, STEP, Windows, window_pixels
from indexer.imagery.warping import outline_of
from indexer.regions.antimeridian import polygons_of, unwrapped, wrapped

_BYTES_A_PIXEL, _BYTES_A_CLASS = 1.3, 0.1  # where an item does not tell the size of its files


def estimate_fetch(
    tiles: Iterable[Tile], query: StacQuery, windows: Windows, footprints: Iterable[Footprint]
) -> Download:
    """What must be fetched to read some frames; asks nobody.

    Args:
        tiles: those that may show the frames, the preferred one first.
        query: how many dates each place is made from.
        windows: whose cache may hold some of it.
        footprints: of the frames.
    """
    missing = cached = total_bytes = 0
    for tile, places in _touched(tiles, footprints).items():
        for place in places:
            days = tile.days_at(place)[: query.dates_a_place]
            for scene in (scene for day in days for scene in day):
                if windows.cache.holds(scene, place):
                    cached += 1
                else:
                    missing += 1
                    total_bytes += round(_window_bytes(scene, place))
    return Download(total_bytes, missing, cached)


def _touched(
    tiles: Iterable[Tile], footprints: Iterable[Footprint]
) -> dict[Tile, set[WindowPlace]]:
    """Windows that frames are read from: of the first tile that shows all of a frame, if any."""
    touched: dict[Tile, set[WindowPlace]] = defaultdict(set)
    outlines = {tile: tile.outline for tile in tiles}
    for outline in outlines.values():
        shapely.prepare(outline)
    for footprint in footprints:
        ground = polygons_of(wrapped(unwrapped(outline_of(footprint))))
        for tile, outline in outlines.items():
            if not outline.intersects(ground):
                continue
            touched[tile].update(_places(tile, tile.extent_of(footprint)))
            if outline.covers(ground):
                break
    return touched


def _places(tile: Tile, extent: Extent) -> Iterator[WindowPlace]:
    for kind in STEP:
        for place in tile.places(kind, extent):
            yield place
            if kind == "fine":  # its clouds are in the coarse window around it
                yield WindowPlace("coarse", place.row // 2, place.column // 2)


def _window_bytes(scene: StacScene, place: WindowPlace) -> float:
    top, left, bottom, right = window_pixels(scene.grid, place)
    pixels = (bottom - top) * (right - left)
    step = STEP[place.kind]
    whole = -(-scene.grid.height // step) * -(-scene.grid.width // step)
    total_bytes = 0.0
    for name in BANDS[place.kind]:
        file_bytes = scene.bands[name].bytes
        guess = _BYTES_A_CLASS if name == MASK else _BYTES_A_PIXEL
        # A file is fetched in proportion to the window's share of it, overviews and header aside.
        total_bytes += file_bytes * pixels / whole if file_bytes else pixels * guess
    return total_bytes
