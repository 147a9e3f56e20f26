"""Imagery from local files: GeoTIFF, cloud-optimised GeoTIFF and JPEG 2000, in any CRS.

::

    with open_imagery("S2B_MSIL2A_20240101T160509.SAFE") as imagery:
        pixels = imagery.read(Footprint.web_mercator_square((-75.6, 37.7), 2446), (193, 193))

Scenes of one day that overlap are laid over each other by name, the first one on top. Where several
days show a place, it is the median of the days that do (``composite="median"``), or all scenes are
laid over each other (``"best"``).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gair.arrays import Bools, DigitalNumbers, Floats32
from gair.bands import GAIR_BANDS
from gair.errors import ImageryError
from gair.files import sha256_of
from gair.geo import Footprint
from indexer.imagery.days import LEAST_DN, MISSING, MOST_DN, combine
from indexer.imagery.digital_numbers import Scaling, SceneScaling, Why, scaling_of
from indexer.imagery.options import Composite
from indexer.imagery.provenance import terms
from indexer.imagery.rasters import FilePool, OpenFiles, RasterFile
from indexer.imagery.scenes import Scene, find_rasters, find_scenes
from indexer.imagery.source import FramePixels
from indexer.imagery.warping import Grid, filled, outline_of, warp_scene

_SEEN_TWICE = 0.01
"""Share of all days' areas that must overlap for days to be kept by themselves."""
_NAMED_SCENES = 20
"""Scenes that a sentence names at most."""


class LocalImagery:
    """Scenes on disk, as an :class:`~indexer.imagery.source.ImagerySource`.

    Made by :func:`open_imagery`. Close it, or use it in a ``with`` block.
    """

    def __init__(
        self, scenes: Sequence[Scene], scaling: Scaling, composite: Composite = "median"
    ) -> None:
        self._scenes = tuple(scenes)
        self._days = _overlapping_days(self._scenes)
        """Numbers of the scenes of each day; empty unless a place was seen on two."""
        self._layers = {"": list(range(len(scenes)))}
        """Numbers of scenes that are laid over each other; of these layers the median is taken. By
        day, or all together under ``""``."""
        if composite == "median" and self._days:
            self._layers = self._days
        self._scaling = scaling
        self._coverage = shapely.union_all([scene.outline for scene in scenes])
        self._pool = FilePool()
        with self._pool.borrowed() as files:
            self._scalings = tuple(scaling_of(scene, scaling, files) for scene in self._scenes)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The scenes, the top one first."""
        return self._scenes

    @property
    def scalings(self) -> tuple[SceneScaling, ...]:
        """How each scene's stored values become digital numbers, and why."""
        return self._scalings

    @property
    def coverage(self) -> BaseGeometry:
        """Union of the scenes' outlines, longitude/latitude in degrees."""
        return self._coverage

    @property
    def resolution_m(self) -> float:
        """Side of the finest pixel on the ground, metres."""
        return min(scene.resolution_m for scene in self._scenes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences a user should read before trusting what is built from this imagery."""
        notes: list[str] = []
        made_up = [scene.name for scene in self._scenes if scene.provenance.synthetic]
        if made_up:
            notes.append(
                f"Synthetic imagery, {_listed(made_up)}: what it shows is no place on Earth."
            )
        top = [scene.name for scene in self._scenes if scene.provenance.level == "L1C"]
        if top:
            notes.append(
                f"{_listed(top)} is Level-1C, top-of-atmosphere reflectance; "
                "GAIR was trained on Level-2A."
            )
        return (*notes, *self._scaling_notes(), *self._unmarked_notes())

    def _scaling_notes(self) -> list[str]:
        """What was decided about offsets and scales, each with the scenes that it is true of."""
        names: dict[str, list[str]] = {}
        for scene, scaling in zip(self._scenes, self._scalings, strict=True):
            for note in scaling.notes:
                names.setdefault(note, []).append(scene.name)
        return [f"{_all_listed(scenes)}: {note}." for note, scenes in names.items()]

    def _unmarked_notes(self) -> list[str]:
        """Which values were taken as missing that no tag marks so, and how many."""
        shares: dict[float, dict[str, float]] = {}
        for scene, scaling in zip(self._scenes, self._scalings, strict=True):
            for value, share in scaling.unmarked.items():
                shares.setdefault(value, {})[scene.name] = share
        return [
            f"{_all_listed(list(scenes))}: {max(scenes.values()):.1%} of the pixels"
            f"{', at most,' if len(scenes) > 1 else ''} hold {value:g}, which no sensor gives and "
            f"no tag marks as missing; they are taken as missing (gdal_edit.py -a_nodata {value:g} "
            "FILE marks them)."
            for value, scenes in shares.items()
        ]

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        """The pixels of a footprint; where no scene has any, they are filled in from around.

        Safe to call from several threads. Reading neighbouring frames one after the other is the
        fast order: GDAL keeps decoded blocks in memory.

        Args:
            footprint: the square on the ground; it need not lie inside the coverage.
            shape: (H, W) pixels over the footprint, row 0 in the north.

        Raises:
            ImageryError: a file cannot be read.
            FootprintError: the footprint's CRS is unknown.
        """
        grid = Grid.of(footprint, shape)
        layers = self._read_layers(self._layers, footprint, grid)
        return _composed(list(layers.values()), grid)

    def read_with_days(
        self, footprint: Footprint, shape: tuple[int, int], days: Collection[str]
    ) -> tuple[FramePixels, dict[str, FramePixels]]:
        """What :meth:`read` gives, and some days by themselves, each file being read once.

        Args:
            footprint: the square on the ground; it need not lie inside the coverage.
            shape: (H, W) pixels over the footprint, row 0 in the north.
            days: of those that :meth:`by_day` names. One that shows nothing here is left out.

        Raises:
            ImageryError: a file cannot be read.
            FootprintError: the footprint's CRS is unknown.
        """
        grid = Grid.of(footprint, shape)
        layers = self._read_layers(self._layers, footprint, grid)
        composite = _composed(list(layers.values()), grid)
        if not self._layers.keys() >= set(days):  # the best scene is no median of days
            of_days = {day: self._days[day] for day in days}
            layers = self._read_layers(of_days, footprint, grid)
        return composite, {day: filled(*layers[day]) for day in days if day in layers}

    def _read_layers(
        self, layers: Mapping[str, Sequence[int]], footprint: Footprint, grid: Grid
    ) -> dict[str, tuple[Floats32, Bools]]:
        """Those of some layers that show any of a footprint: values, and where there are any."""
        ground = outline_of(footprint)
        with self._pool.borrowed() as files:
            return {
                day: layer
                for day, numbers in layers.items()
                if (shown := [n for n in numbers if self._scenes[n].outline.intersects(ground)])
                and (layer := self._laid_over(shown, grid, files))[1].any()
            }

    def _laid_over(
        self, numbers: Sequence[int], grid: Grid, files: OpenFiles
    ) -> tuple[Floats32, Bools]:
        """Scenes laid over each other, the first on top: values, and where there are any."""
        values, valid = _nothing(grid)
        for number in numbers:
            scene, scaling = self._scenes[number], self._scalings[number]
            stored = warp_scene(scene, grid, files, scaling.unmarked)
            new = np.isfinite(stored).all(axis=0) & ~valid
            if new.all():
                values = scaling.apply(stored)
            else:
                values[:, new] = scaling.apply(stored)[:, new]
            valid |= new
            if valid.all():
                break
        return values, valid

    def download(self, footprints: Iterable[Footprint]) -> None:
        """Nothing: all of it is on disk."""

    def describe(self) -> dict[str, Any]:
        """What the imagery is, in plain JSON types; hashes every file, so it reads them all."""
        credit, licence = terms([scene.provenance for scene in self._scenes])
        return {
            "kind": "files",
            **({"composite": "median"} if len(self._layers) > 1 else {}),
            "scenes": [
                _describe(scene, scaling)
                for scene, scaling in zip(self._scenes, self._scalings, strict=True)
            ],
            "resolution_m": round(self.resolution_m, 2),
            "dn_scale": self._scaling.scale,
            "dn_offset": self._scaling.offset,
            "attribution": credit,
            "licence": licence,
            "warnings": list(self.warnings),
        }

    def by_day(self) -> dict[str, LocalImagery]:
        """Its days, each as imagery by itself, where a place was seen on two; close none of them.

        Scenes without a date, and imagery of one day, give nothing.
        """
        return {day: self._of(self._days[day]) for day in sorted(self._days) if day}

    def _of(self, numbers: Sequence[int]) -> LocalImagery:
        """Some of its scenes, read through its own files."""
        part = copy.copy(self)
        part._scenes = tuple(self._scenes[number] for number in numbers)
        part._days, part._layers = {}, {"": list(range(len(numbers)))}
        part._scalings = tuple(self._scalings[number] for number in numbers)
        part._coverage = shapely.union_all([scene.outline for scene in part._scenes])
        return part

    def close(self) -> None:
        """Close the files; ``read`` refuses from now on."""
        self._pool.close()

    def __enter__(self) -> LocalImagery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_imagery(
    path: str | Path | Sequence[str | Path],
    *,
    bands: tuple[str, ...] | None = None,
    force_bands: bool = False,
    dn_offset: float = 0.0,
    dn_scale: float = 1.0,
    composite: Composite = "median",
) -> LocalImagery:
    """Open Sentinel-2 imagery on disk.

    Args:
        path: A raster file, a folder to search with its subfolders, or several of either.
        bands: The order of bands in files that hold several and do not name them, as
            :func:`gair.bands.parse_bands` gives it.
        force_bands: Whether ``bands`` is taken also where a file names its bands otherwise.
        dn_offset: Added to every value after scaling, where neither a file's tags nor the scene's
            product say what is to be added: the -1000 of processing baseline 04.00 and later is
            found by itself, in a product's metadata or name.
        dn_scale: Multiplies every value; 10000 for files that hold reflectance in 0..1.
        composite: What a pixel is where several days show it: ``median`` of these days, or of the
            ``best`` scene, the first by name.

    Raises:
        BandError: Bands are missing or unnamed, or named otherwise than ``bands`` says.
        ImageryError: Files are missing, broken, not georeferenced, or hold no digital numbers.
        UsageError: ``dn_scale`` or ``dn_offset`` cannot work.
    """
    scaling = Scaling(dn_scale, dn_offset)
    paths = [path] if isinstance(path, str | Path) else path
    if not paths:
        raise ImageryError("no imagery was named: give a file or a folder")
    rasters = find_rasters([Path(p) for p in paths])
    return LocalImagery(find_scenes(rasters, bands, force_bands=force_bands), scaling, composite)


def _overlapping_days(scenes: Sequence[Scene]) -> dict[str, list[int]]:
    """Numbers of the scenes of each day; nothing where no place was seen on two.

    Those of scenes without a date come last, under ``""``.
    """
    days: dict[str, list[int]] = {}
    for number, scene in enumerate(scenes):
        if (acquired := scene.provenance.acquired) is not None:
            days.setdefault(acquired.date().isoformat(), []).append(number)
    shown = [shapely.union_all([scenes[n].outline for n in days[day]]) for day in days]
    if shapely.union_all(shown).area > (1 - _SEEN_TWICE) * sum(area.area for area in shown):
        return {}
    undated = [n for n, scene in enumerate(scenes) if scene.provenance.acquired is None]
    return {**days, "": undated} if undated else days


def _nothing(grid: Grid) -> tuple[Floats32, Bools]:
    """A frame's values and where there are any, before the first scene."""
    shape = grid.height, grid.width
    return np.zeros((len(GAIR_BANDS), *shape), dtype=np.float32), np.zeros(shape, dtype=np.bool_)


def _composed(layers: Sequence[tuple[Floats32, Bools]], grid: Grid) -> FramePixels:
    """A frame of the layers that show any of it; a single one is changed in place."""
    if len(layers) > 1:
        return filled(*_median_of(layers))
    return filled(*layers[0]) if layers else filled(*_nothing(grid))


def _median_of(days: Sequence[tuple[Floats32, Bools]]) -> tuple[Floats32, Bools]:
    """Of each band and pixel the median of the days that show it."""
    layers: list[DigitalNumbers] = []
    for values, valid in days:
        layer = np.clip(np.rint(values), LEAST_DN, MOST_DN).astype(np.uint16)
        layer[:, ~valid] = MISSING
        layers.append(layer)
    median = combine(layers, "median")
    return median.astype(np.float32), median[0] != MISSING


def offset_of(scaling: SceneScaling) -> dict[str, Any]:
    """What was added to the digital numbers of a scene, and what says so; empty for neither."""
    if scaling.why is Why.NOTHING:
        return {}
    return {"offset_dn": scaling.offset_dn, "offset_from": scaling.source}


def _describe(scene: Scene, scaling: SceneScaling) -> dict[str, Any]:
    acquired = scene.provenance.acquired
    return {
        "name": scene.name,
        "dates": [acquired.strftime("%Y-%m-%dT%H:%M:%SZ")] if acquired else [],
        "level": scene.provenance.level,
        **offset_of(scaling),
        "crs": scene.bands[0].raster.crs,
        "resolution_m": round(scene.resolution_m, 2),
        "bands": [band.name for band in scene.bands],
        "files": [_describe_file(scene, raster) for raster in scene.rasters],
    }


def _describe_file(scene: Scene, raster: RasterFile) -> dict[str, Any]:
    try:
        size, digest = raster.path.stat().st_size, sha256_of(raster.path)
    except OSError as error:
        raise ImageryError(f"cannot read {raster.path}: {error.strerror}; put it back") from error
    return {
        "name": raster.name,
        "bands": [band.name for band in scene.bands if band.raster.path == raster.path],
        "bytes": size,
        "sha256": digest,
    }


def _all_listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED_SCENES])
    return (
        shown if len(names) <= _NAMED_SCENES else f"{shown} and {len(names) - _NAMED_SCENES} more"
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
