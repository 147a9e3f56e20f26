"""How much of a catalogue's imagery a plan of frames will fetch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import shapely

from gair.geo import Footprint
from indexer.imagery.stac.cache import WindowPlace
from indexer.imagery.stac.scenes import MASK, StacScene
from indexer.imagery.stac.tile import Extent, Tile
from indexer.imagery.stac.windows import BANDS, STEP, window_pixels
from indexer.imagery.warping import outline_of
from indexer.regions.antimeridian import polygons_of, unwrapped, wrapped

if TYPE_CHECKING:
    from indexer.imagery.stac.imagery import StacImagery
from indexer.imagery.stac.tile import extent_in

_BYTES_A_PIXEL, _BYTES_A_CLASS = 1.3, 0.1  # where an item does not tell the size of its files


@dataclass(frozen=True)
class Download:
    """What a build has to fetch before it can read all its frames."""

    bytes: int
    """About; dates that are fetched only where clouds hide the ground come on top."""
    windows: int
    """Windows of scenes, each several requests."""
    cached: int
    """Further windows that were fetched before."""


def download_of(imagery: StacImagery, footprints: Iterable[Footprint]) -> Download:
    """What must be fetched to read some frames; asks nobody."""
    windows = cached = total = 0
    for tile, places in _touched(imagery.tiles, footprints).items():
        for place in places:
            days = tile.days_at(place)[: imagery.query.dates_a_place]
            for scene in (scene for day in days for scene in day):
                if imagery.windows.cache.holds(scene, place):
                    cached += 1
                else:
                    windows += 1
                    total += round(_window_bytes(scene, place))
    return Download(total, windows, cached)


def _touched(
    tiles: Iterable[Tile], footprints: Iterable[Footprint]
) -> dict[Tile, set[WindowPlace]]:
    """Windows that frames are read from: of the first tile that shows all of a frame, if any."""
    found: dict[Tile, set[WindowPlace]] = defaultdict(set)
    outlines = {tile: tile.outline for tile in tiles}
    for outline in outlines.values():
        shapely.prepare(outline)
    for footprint in footprints:
        ground = polygons_of(wrapped(unwrapped(outline_of(footprint))))
        for tile, outline in outlines.items():
            if not outline.intersects(ground):
                continue
            found[tile].update(_places(tile, extent_in(tile, footprint)))
            if outline.covers(ground):
                break
    return found


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
    total = 0.0
    for name in BANDS[place.kind]:
        known = scene.bands[name].bytes
        guess = _BYTES_A_CLASS if name == MASK else _BYTES_A_PIXEL
        total += known * pixels / whole if known else pixels * guess
    return total
