"""Frames from a STAC catalogue: each footprint on its least cloudy days, a day at a time.

The catalogue is asked once for each place, and its answer is kept beside the build, so that a build
that goes on later chooses from the same scenes. Pixels are fetched window by window by
:mod:`indexer.imagery.stac.imagery`, and kept in its cache.

A day is judged by itself: whether its offset is right (see :mod:`indexer.imagery.stac.offsets`) is
seen less well than among other days.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from gair.bands import GAIR_BANDS
from gair.errors import SceneError, UsageError
from gair.files import disk_errors, write_whole
from gair.geo import Footprint
from gair.inputs.documents import json_of
from indexer.build.frames import frame_shape_px
from indexer.imagery.provenance import attribution
from indexer.imagery.rasters import ClosingLru
from indexer.imagery.source import FramePixels
from indexer.imagery.stac.cache import WindowCache, default_cache
from indexer.imagery.stac.imagery import StacImagery
from indexer.imagery.stac.query import StacQuery, require_packages, search
from indexer.imagery.stac.scenes import StacScene, scenes_of
from indexer.regions.antimeridian import cut
from indexer.regions.region import Region
from training.dataset.pack.options import CatalogueOptions

_OPEN_LAYERS = 8
_LAYER_BYTES = 128 << 20  # in memory; what is more is composed again from the cache
_ALL = 1 - 1e-9


class _OpenLayers(ClosingLru[tuple[str, str], StacImagery]):
    """Layers by place and day, and the warnings of all that were ever open."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.warnings: dict[str, None] = {}

    def popitem(self) -> tuple[tuple[str, str], StacImagery]:
        """Close the layer unused the longest, and keep what it warns of."""
        key, layer = super().popitem()
        self.warnings.update(dict.fromkeys(layer.warnings))
        return key, layer


class StacFrames:
    """A :class:`training.dataset.pack.dated_imagery.FrameSource` that reads a catalogue."""

    def __init__(
        self, places: Mapping[str, BaseGeometry], options: CatalogueOptions, most: int, kept: Path
    ) -> None:
        """Ask the catalogue about all places, or remember what it said.

        Args:
            places: the ground of the footprints by place, longitude and latitude.
            options: what to ask for.
            most: days of a footprint.
            kept: folder for the catalogue's answers.

        Raises:
            ImageryError: packages are missing, or the catalogue refuses or has no such scene.
            UsageError: an option cannot work.
        """
        require_packages()
        self._options = options
        self._most = most
        usual = StacQuery(options.dates)
        self._query = dataclasses.replace(
            usual,
            url=options.url or usual.url,
            collection=options.collection or usual.collection,
            max_cloud=options.max_cloud,
            composite="best",
            dates_a_place=1,
            spare_dates=0,
        )
        self._areas = {name: _polygons(area) for name, area in places.items()}
        self._left_out: dict[str, str] = {}
        self._layers: dict[str, dict[str, list[StacScene]]] = {}
        for name, area in self._areas.items():
            self._layers[name] = self._by_day(name, area, kept)
        self._open: _OpenLayers = _OpenLayers(_OPEN_LAYERS)
        self._names = list(self._areas)
        self._tree = shapely.STRtree(list(self._areas.values()))

    @property
    def coverage(self) -> BaseGeometry:
        """Union of the scenes' outlines."""
        outlines = {s.name: s.outline for days in self._layers.values()
                    for scenes in days.values() for s in scenes}  # fmt: skip
        return shapely.union_all(list(outlines.values()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the scenes that could not be read, and of the layers that were read so far."""
        for layer in self._open.values():
            self._open.warnings.update(dict.fromkeys(layer.warnings))
        unread = [
            f"The scene {n} was left out: {why}." for n, why in sorted(self._left_out.items())
        ]
        return (*unread, *self._open.warnings)

    def days_over(self, footprint: Footprint) -> list[str]:
        """The days of a footprint, ascending: those that show all of it, the least cloudy ones."""
        ground = _ground(footprint)
        ranked = []
        for day, scenes in self._layers[self._place_of(footprint)].items():
            shown = [scene for scene in scenes if scene.outline.intersects(ground)]
            if shown:
                seen = shapely.union_all([scene.outline for scene in shown])
                share = seen.intersection(ground).area / ground.area
                cloud = max(scene.cloud_percent for scene in shown)
                ranked.append((share < _ALL, cloud, day))
        return sorted(day for _, _, day in sorted(ranked)[: self._most])

    def read(self, day: str, footprint: Footprint) -> FramePixels:
        """The pixels of a footprint on a day; clouds are masked, and filled in from around.

        A day whose scenes are not there, or not right, shows nothing; :attr:`warnings` name them.

        Raises:
            ImageryError: they cannot be fetched.
        """
        layer = self._layer(self._place_of(footprint), day)
        shape_px = frame_shape_px(footprint, layer.resolution_m)
        try:
            return layer.read(footprint, shape_px)
        except SceneError:
            nothing = np.zeros((len(GAIR_BANDS), *shape_px), dtype=np.uint16)
            return FramePixels(nothing, np.zeros(shape_px, dtype=np.bool_))

    def attribution(self, day: str) -> str:
        """The credit line of a day's imagery."""
        return attribution([datetime.fromisoformat(day)])

    def describe(self) -> list[dict[str, Any]]:
        """The scenes there are, by day."""
        by_day: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for days in self._layers.values():
            for day, scenes in days.items():
                by_day[day] |= {scene.name: round(scene.cloud_percent, 2) for scene in scenes}
        return [
            {
                "day": day,
                "catalogue": self._query.url,
                "collection": self._query.collection,
                "scenes": [{"name": name, "level": "L2A", "cloud_percent": cloud}
                           for name, cloud in sorted(scenes.items())],
            }
            for day, scenes in sorted(by_day.items())
        ]  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def _by_day(
        self, name: str, area: Polygon | MultiPolygon, kept: Path
    ) -> dict[str, list[StacScene]]:
        """The scenes of a place by the day there, as the catalogue said when it was asked."""
        question = f"{name}\n{self._query!r}\n{area.wkt}"
        path = kept / f"{hashlib.sha256(question.encode()).hexdigest()[:24]}.json"
        if path.is_file():
            items = json_of(path.read_bytes())
        else:
            items = search(self._query, area, name)
            with disk_errors(path):
                kept.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(items).encode())
        by_day: defaultdict[str, list[StacScene]] = defaultdict(list)
        scenes, left_out = scenes_of(items, self._query.max_cloud)
        self._left_out |= left_out
        for scene in scenes:
            if scene.outline.intersects(area):
                by_day[scene.solar_day.isoformat()].append(scene)
        return dict(sorted(by_day.items()))

    def _place_of(self, footprint: Footprint) -> str:
        """The place whose ground a footprint is of."""
        ground = _ground(footprint)
        near = self._tree.query(ground, predicate="intersects")
        if not len(near):
            raise UsageError("a footprint lies outside all places: ask for imagery there, too")
        shared = [self._areas[self._names[i]].intersection(ground).area for i in near]
        return self._names[int(near[shared.index(max(shared))])]

    def _layer(self, place: str, day: str) -> StacImagery:
        key = (place, day)
        if key not in self._open:
            folder = self._options.cache or default_cache()
            self._open[key] = StacImagery(
                self._layers[place][day],
                Region(place, self._areas[place], ""),
                self._query,
                WindowCache(folder),
                _LAYER_BYTES,
            )
        return self._open[key]


def _ground(footprint: Footprint) -> Polygon | MultiPolygon:
    return cut(Polygon(footprint.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]])))


def _polygons(area: BaseGeometry) -> Polygon | MultiPolygon:
    assert isinstance(area, Polygon | MultiPolygon), area.geom_type
    return area
