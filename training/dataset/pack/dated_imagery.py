"""Frames of imagery by footprint and day: the protocol, and local files in layers by day.

A :class:`FrameSource` knows on which days it may show a footprint, and reads it as of a day;
:class:`FewDays` takes a few of them, far apart in time, so that a data set has several dates and
not all there are. Local imagery makes one layer for each day it was acquired on. Scenes whose day
nothing tells make one layer together; where they overlap, the first by name is on top.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gair.errors import UsageError
from gair.geo import Footprint
from indexer.build.frames import frame_shape_px
from indexer.imagery.digital_numbers import Scaling, SceneScaling
from indexer.imagery.files import LocalImagery, offset_of
from indexer.imagery.provenance import attribution
from indexer.imagery.rasters import ClosingLru
from indexer.imagery.scenes import Scene, find_rasters, find_scenes
from indexer.imagery.source import FramePixels
from indexer.regions.antimeridian import cut
from training.dataset.pack.options import ImageryOptions

UNKNOWN_DAY = ""
"""Stands for the day of scenes that do not tell it."""

SYNTHETIC_ATTRIBUTION = "Synthetic imagery, seen by no satellite"

_MUCH_OVERLAP = 1.5  # neighbouring Sentinel-2 tiles, 10 km in common, come to 1.2 at most
_OPEN_LAYERS = 8  # a layer keeps up to 120 files open
_DAY = re.compile(r"(?<!\d)(\d{4})([-_]?)(\d{2})\2(\d{2})(?!\d)")


class FrameSource(Protocol):
    """Sentinel-2 frames by footprint and day; a context manager."""

    @property
    def coverage(self) -> BaseGeometry:
        """Where there is imagery on any day, longitude and latitude in degrees."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences a user should read."""
        ...

    def days_over(self, footprint: Footprint) -> list[str]:
        """ISO dates, ascending, that may show a footprint; always the same for the same source."""
        ...

    def read(self, day: str, footprint: Footprint) -> FramePixels:
        """The pixels of a footprint on a day.

        Raises:
            ImageryError: they cannot be read.
        """
        ...

    def attribution(self, day: str) -> str:
        """The credit line of a day's imagery."""
        ...

    def describe(self) -> list[dict[str, Any]]:
        """What it is, in plain JSON types and without paths."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class DatedImagery:
    """Scenes on disk in layers by day of acquisition.

    Few layers are open at a time: reading footprints of one area one after the other is fast.
    Close it, or use it in a ``with`` block.
    """

    def __init__(self, paths: Sequence[str | Path], options: ImageryOptions) -> None:
        """Find scenes and look at each.

        Raises:
            BandError: Bands are missing or unnamed.
            ImageryError: Files are missing, broken, not georeferenced, or hold no digital numbers.
            UsageError: An option cannot work.
        """
        self._scaling = Scaling(options.dn_scale, options.dn_offset)
        rasters = find_rasters([Path(path) for path in paths])
        scenes = find_scenes(rasters, options.bands, force_bands=options.force_bands)
        by_day: defaultdict[str, list[Scene]] = defaultdict(list)
        for scene in scenes:
            by_day[day_of(scene, options.date_from_name)].append(scene)
        self._scenes = dict(sorted(by_day.items()))
        self._open: ClosingLru[str, LocalImagery] = ClosingLru(_OPEN_LAYERS)
        self._outlines: list[BaseGeometry] = []
        self._scalings: dict[str, tuple[SceneScaling, ...]] = {}
        warnings: dict[str, None] = {}
        for day in self._scenes:
            layer = self._layer(day)
            warnings.update(dict.fromkeys(layer.warnings))
            self._scalings[day] = layer.scalings
            self._outlines.append(layer.coverage)
        if overlapping(self._scenes.get(UNKNOWN_DAY, [])):
            warnings[
                "Scenes of unknown day overlap, so only the first by name is seen there: put the "
                "day into the file names and pass --date-from-name."
            ] = None
        self.warnings = tuple(warnings)
        self.coverage = shapely.union_all(self._outlines)
        self._tree = shapely.STRtree(self._outlines)

    @property
    def days(self) -> tuple[str, ...]:
        """ISO dates in order; :data:`UNKNOWN_DAY` comes first."""
        return tuple(self._scenes)

    def days_over(self, footprint: Footprint) -> list[str]:
        """The days that may show a footprint; their imagery may still be nodata there."""
        corners = footprint.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        hits = self._tree.query(cut(shapely.Polygon(corners)), predicate="intersects")
        return [self.days[layer] for layer in sorted(hits)]

    def read(self, day: str, footprint: Footprint) -> FramePixels:
        """The pixels of a footprint on a day, at about the imagery's own resolution.

        Where the day has no imagery, pixels are filled in from around, as for an index.

        Raises:
            ImageryError: A file cannot be read.
        """
        layer = self._layer(day)
        return layer.read(footprint, frame_shape_px(footprint, layer.resolution_m))

    def attribution(self, day: str) -> str:
        """The credit line of a day's imagery."""
        return attribution([datetime.fromisoformat(day)] if day else [])

    def describe(self) -> list[dict[str, Any]]:
        """The layers, in plain JSON types and without paths."""
        return [
            {
                "day": day,
                "scenes": [
                    {
                        "name": scene.name,
                        "level": scene.provenance.level,
                        **offset_of(scaling),
                        "resolution_m": round(scene.resolution_m, 2),
                    }
                    for scene, scaling in zip(scenes, self._scalings[day], strict=True)
                ],
            }
            for day, scenes in self._scenes.items()
        ]

    def close(self) -> None:
        """Close all files."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _layer(self, day: str) -> LocalImagery:
        if day not in self._open:
            self._open[day] = LocalImagery(self._scenes[day], self._scaling)
        return self._open[day]


def day_of(scene: Scene, from_name: bool) -> str:
    """The ISO date of a scene (UTC), or :data:`UNKNOWN_DAY`.

    Args:
        scene: the scene.
        from_name: look into its name first; metadata may hold the day of an export.
    """
    if from_name:
        for year, _, month, day in _DAY.findall(scene.name):
            try:
                return date(int(year), int(month), int(day)).isoformat()
            except ValueError:
                continue
    acquired = scene.provenance.acquired
    return acquired.date().isoformat() if acquired else UNKNOWN_DAY


def overlapping(scenes: Sequence[Scene]) -> bool:
    """Whether scenes show the same ground, more than the edges of neighbouring tiles do."""
    outlines = [scene.outline for scene in scenes]
    shown_once = shapely.union_all(outlines).area
    return bool(sum(outline.area for outline in outlines) > _MUCH_OVERLAP * shown_once)


class FewDays:
    """A source that shows at most some days of each footprint, spread over those there are."""

    def __init__(self, source: FrameSource, most: int) -> None:
        """Take ``most`` days of each footprint.

        Raises:
            UsageError: that is none.
        """
        if most < 1:
            raise UsageError(f"`dates_per_footprint` {most} is below 1: a data set needs imagery")
        self._source = source
        self._most = most

    @property
    def coverage(self) -> BaseGeometry:
        """See :class:`FrameSource`."""
        return self._source.coverage

    @property
    def warnings(self) -> tuple[str, ...]:
        """See :class:`FrameSource`."""
        return self._source.warnings

    def days_over(self, footprint: Footprint) -> list[str]:
        """See :class:`FrameSource`."""
        days = self._source.days_over(footprint)
        if len(days) <= self._most:
            return days
        ends = (0, len(days) - 1) if self._most > 1 else (len(days) // 2,) * 2
        return [days[round(at)] for at in np.linspace(*ends, self._most).tolist()]

    def read(self, day: str, footprint: Footprint) -> FramePixels:
        """See :class:`FrameSource`."""
        return self._source.read(day, footprint)

    def attribution(self, day: str) -> str:
        """See :class:`FrameSource`."""
        return self._source.attribution(day)

    def describe(self) -> list[dict[str, Any]]:
        """See :class:`FrameSource`."""
        return self._source.describe()

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.__exit__(kind, error, trace)
