"""Imagery from a STAC catalogue: cloud-free composites of Sentinel-2 scenes, fetched as needed.

::

    query = StacQuery(dates="2025-04-01/2025-09-30")
    with open_stac(named_region("london"), query) as imagery:
        pixels = imagery.read(Footprint.web_mercator_square((-0.1, 51.5), 2446), (153, 153))

Opening asks the catalogue which scenes there are and fetches no pixel. Each window of a scene is
fetched once and kept on disk (:mod:`.cache`); a second build needs the network for that one
question only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gair.bands import GAIR_BANDS
from gair.errors import ImageryError
from gair.geo import Footprint
from indexer.imagery.provenance import LICENCE, attribution
from indexer.imagery.source import Download, FramePixels
from indexer.imagery.stac.cache import WindowCache, default_cache
from indexer.imagery.stac.fetch_estimate import estimate_fetch
from indexer.imagery.stac.query import StacQuery, require_packages, search
from indexer.imagery.stac.scenes import StacScene, scenes_of
from indexer.imagery.stac.tile import Store, Tile
from indexer.imagery.stac.windows import Windows
from indexer.imagery.warping import filled, outline_of
from indexer.regions.antimeridian import grown, polygons_of, unwrapped, wrapped
from indexer.regions.region import Region

MARGIN_DEG = 0.025
"""Around a region, that scenes are looked for in: the side of a frame."""

MEMORY_BYTES = 1 << 30
"""Of composites held in memory; others are composed again from the cache on disk."""

_BASES = {
    "flag": "the flag boa_offset_applied",
    "collection": "the name of the collection",
    "baseline": "the processing baseline",
    "nothing": "nothing: none is stated",
}


class StacImagery:
    """Scenes of a catalogue, as an :class:`~indexer.imagery.source.ImagerySource`.

    Made by :func:`open_stac`. Close it, or use it in a ``with`` block.
    """

    def __init__(
        self,
        scenes: Sequence[StacScene],
        region: Region,
        query: StacQuery,
        cache: WindowCache,
        memory_bytes: int = MEMORY_BYTES,
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        """Make it of scenes.

        Args:
            scenes: that show the region.
            region: what will be built.
            query: how many dates a place is made from, and how.
            cache: of windows.
            memory_bytes: composites held in memory, at most.
            left_out: scenes that could not be read, and why.
        """
        self.query = query
        self._left_out = dict(left_out or {})
        self._made_of = (tuple(scenes), region, query, cache, memory_bytes, self._left_out)
        self.windows = Windows(cache, query.patience)
        store = Store(memory_bytes)
        grids = defaultdict(list)
        for scene in scenes:
            grids[scene.grid].append(scene)
        tiles = [Tile(s, region.geometry, query, self.windows, store) for s in grids.values()]
        self.tiles = tuple(sorted(tiles, key=_rank))
        """The one that shows most of the region first."""
        self._coverage = polygons_of(shapely.union_all([tile.outline for tile in self.tiles]))

    @property
    def coverage(self) -> BaseGeometry:
        """Union of the scenes' outlines, longitude/latitude in degrees."""
        return self._coverage

    @property
    def resolution_m(self) -> float:
        """Side of the finest pixel, metres of its UTM zone."""
        return min(tile.grid.pixel for tile in self.tiles)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences a user should read before trusting what is built from this imagery."""
        notes = []
        if synthetic := [s.name for s in self._scenes if not _is_sentinel(s)]:
            notes.append(
                f"{_listed(synthetic)} is not of a Sentinel-2 satellite, says its catalogue."
            )
        by_reason: defaultdict[str, list[str]] = defaultdict(list)
        for scene in self._scenes:
            if scene.scale.why:
                by_reason[scene.scale.why].append(scene.name)
        notes += [f"{_listed(names)} {why}." for why, names in by_reason.items()]
        for name, reason in sorted((self._left_out | self._faults).items()):
            notes.append(f"The scene {name} was left out: {reason}.")
        if any(count for tile in self.tiles for count in tile.hidden.values()):
            # How much is told by the cells that are missing; parts of a build join these sentences.
            notes.append(
                "Clouds or gaps hide a part of the region on all dates that were looked at: widen "
                "--dates or raise --max-cloud to see it."
            )
        return tuple(notes)

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        """The pixels of a footprint; where no date shows the ground, they are filled in.

        Safe to call from several threads. What is missing on disk is fetched first.

        Args:
            footprint: the square on the ground; it may reach over the antimeridian.
            shape: (H, W) pixels over the footprint, row 0 in the north.

        Raises:
            ImageryError: a scene cannot be fetched, or none can be trusted.
            StorageError: the cache's disk refused.
            FootprintError: the footprint's CRS is unknown.
        """
        height, width = shape
        ground = polygons_of(wrapped(unwrapped(outline_of(footprint))))
        values = np.zeros((len(GAIR_BANDS), height, width), dtype=np.float32)
        valid = np.zeros((height, width), dtype=np.bool_)
        for tile in self.tiles:
            if not tile.outline.intersects(ground):
                continue
            seen = tile.frame(footprint, shape)
            new = np.isfinite(seen).all(axis=0) & ~valid
            values[:, new] = seen[:, new]
            valid |= new
            if valid.all():
                break
        return filled(values, valid)

    def read_with_days(
        self, footprint: Footprint, shape: tuple[int, int], days: Collection[str]
    ) -> tuple[FramePixels, dict[str, FramePixels]]:
        """What :meth:`read` gives; no day by itself, see :meth:`by_day`."""
        del days
        return self.read(footprint, shape), {}

    def download(self, footprints: Iterable[Footprint]) -> Download:
        """What must be fetched to read some footprints; asks nobody."""
        return estimate_fetch(self.tiles, self.query, self.windows, footprints)

    def describe(self) -> dict[str, Any]:
        """What the imagery is, in plain JSON types; the same before and after pixels are read.

        Scenes are those that the catalogue gave; clouds in a place decide which of them it is made
        of. Which ones proved wrong is in :attr:`warnings` once they were read.
        """
        real = [scene for scene in self._scenes if _is_sentinel(scene)]
        query = self.query
        credits = [attribution(scene.acquired for scene in real)] if real else []
        credits += sorted({scene.platform for scene in self._scenes if not _is_sentinel(scene)})
        left_out = [{"name": n, "reason": why} for n, why in sorted(self._left_out.items())]
        return {
            "kind": "stac",
            "catalogue": query.url,
            "collection": query.collection,
            "dates": query.dates,
            "max_cloud_percent": query.max_cloud,
            "composite": query.composite,
            "dates_a_place": query.dates_a_place,
            "spare_dates": query.spare_dates,
            "scenes": [_describe(scene) for scene in self._scenes],
            "resolution_m": round(self.resolution_m, 2),
            "attribution": "; ".join(credits),
            "licence": LICENCE if real else "",
        } | ({"left_out": left_out} if left_out else {})

    def by_day(self) -> dict[str, StacImagery]:
        """Nothing: a place is made from several days, and a further one would be fetched anew."""
        return {}

    def opener(self) -> Callable[[], StacImagery]:
        """Opens the same scenes again, in any process, without asking the catalogue; picklable."""
        return partial(StacImagery, *self._made_of)

    def close(self) -> None:
        """Stop fetching."""
        self.windows.close()

    @property
    def _scenes(self) -> list[StacScene]:
        return sorted((s for tile in self.tiles for s in tile.scenes), key=lambda s: s.name)

    @property
    def _faults(self) -> dict[str, str]:
        return {name: why for tile in self.tiles for name, why in tile.admission.faults.items()}

    def __enter__(self) -> StacImagery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_stac(
    region: Region,
    query: StacQuery,
    *,
    cache: Path | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> StacImagery:
    """Ask a catalogue for the imagery of a region.

    Args:
        region: what will be built.
        query: which catalogue, dates and clouds.
        cache: folder of fetched pixels; :func:`.cache.default_cache` unless given.
        memory_bytes: composites held in memory, at most.

    Raises:
        ImageryError: The packages for it are not installed, the catalogue refuses, or it has no
            such scene.
        BandError: All its scenes lack bands.
    """
    require_packages()
    area = grown(region.geometry, MARGIN_DEG)
    scenes, left_out = scenes_of(search(query, area, region.name), query.max_cloud)
    near = [scene for scene in scenes if scene.outline.intersects(area)]
    if not near:
        raise ImageryError(
            f"{query.collection} at {query.url} has scenes around {region.name}, but none shows "
            "it: widen `dates`"
        )
    kept = WindowCache(cache or default_cache())
    return StacImagery(near, region, query, kept, memory_bytes, left_out)


def _rank(tile: Tile) -> tuple[float, str]:
    shown = sum(shapely.intersection(part, tile.outline).area for part in tile.wanted.values())
    return -round(shown, 9), tile.scenes[0].name


def _describe(scene: StacScene) -> dict[str, Any]:
    offsets = {band.offset for name, band in scene.bands.items() if name in GAIR_BANDS}
    basis = scene.scale.basis
    described = {
        "name": scene.name,
        "dates": [scene.acquired.strftime("%Y-%m-%dT%H:%M:%SZ")],
        "level": "L2A",
        "crs": scene.grid.crs,
        "cloud_percent": round(scene.cloud_percent, 2),
        "offset": sorted(offsets),
    }
    return described if basis == "stated" else {**described, "offset_from": _BASES[basis]}


def _is_sentinel(scene: StacScene) -> bool:
    return scene.platform.lower().startswith("sentinel-2")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
