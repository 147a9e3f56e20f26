"""Scenes gathered from raster files: ten bands of one place at one time.

Files are looked for in an order that does not depend on the disk.
A raster with several bands is a scene of its own; its bands are named by its descriptions, or by
the order a user states. Files with one band are gathered by name: what is left of ``s2_B02.tif``
and ``s2_B8A.tif`` without the band is the same ``s2``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

import shapely
from shapely.geometry.base import BaseGeometry

from gair.bands import GAIR_BANDS, LAYOUTS, band_indices, canonical_band
from gair.errors import BandError, ImageryError
from gair.files import check_is_file
from indexer.imagery.provenance import Provenance, read_provenance
from indexer.imagery.rasters import (
    RasterFile,
    check_usable,
    outline_lonlat,
    read_header,
    resolution_m,
)

SUFFIXES = (".tif", ".tiff", ".jp2")
"""File names that are looked at, in any case."""

_WORD = re.compile(r"[^_.\-\s]+")

_POSITION = re.compile(r"(?:band[\s_.-]*)?\d+", re.IGNORECASE)
"""``Band 1``, as many programs call a first band, whichever it is."""

_RESOLUTION = re.compile(r"R?(?:10|20|60)m", re.IGNORECASE)

AnyPath = TypeVar("AnyPath", bound=PurePath)

_SAME_SIZE = 0.99  # pixels whose sides differ by less than this ratio are equally fine


@dataclass(frozen=True)
class SceneBand:
    """One band and where it is stored."""

    name: str
    raster: RasterFile
    index: int
    """Position in the raster, counted from 1."""


@dataclass(frozen=True)
class Scene:
    """Ten bands of one place at one time."""

    name: str
    bands: tuple[SceneBand, ...]
    """In the order of :data:`gair.bands.GAIR_BANDS`."""
    outline: BaseGeometry
    """Where all bands reach; longitude, latitude in degrees."""
    resolution_m: float
    """Side of the finest pixel on the ground."""
    provenance: Provenance

    @property
    def rasters(self) -> tuple[RasterFile, ...]:
        """The files it is read from, each once."""
        return tuple({band.raster.path: band.raster for band in self.bands}.values())


def find_rasters(paths: Sequence[Path]) -> list[RasterFile]:
    """The headers of all rasters under some files and folders.

    Args:
        paths: Files, or folders to search with all their subfolders; what is hidden is passed over.

    Returns:
        Headers sorted by name; each file once, however often it was named.

    Raises:
        ImageryError: A path is missing or unreadable, there is no raster, or one cannot be opened.
    """
    named: dict[Path, tuple[str, Path]] = {}
    for path in paths:
        prefix = f"{path.resolve().name}/" if len(paths) > 1 and path.is_dir() else ""
        for file in _files_of(path):
            # A link is kept as it is: what it points to may be named by its hash.
            named.setdefault(file.resolve(), (prefix + _name_in(file, path), file))
    return [read_header(file, name) for name, file in sorted(named.values())]


def find_scenes(
    rasters: Sequence[RasterFile],
    bands: Sequence[str] | None = None,
    *,
    force_bands: bool = False,
) -> list[Scene]:
    """Gather raster files into scenes.

    Rendered pictures, masks and other rasters without a band's name are passed over where there is
    a scene beside them.

    Args:
        rasters: Headers of the files, in a fixed order.
        bands: The order of bands that a user states for every file with several bands, as
            :func:`gair.bands.parse_bands` gives it; None to go by the files' own names.
        force_bands: Whether that order is taken also where a file names its bands otherwise.

    Returns:
        Scenes, sorted by name.

    Raises:
        BandError: A scene lacks bands, or its bands have no names; no file is a scene; a file's
            names contradict ``bands``.
        ImageryError: A file of a scene is unusable.
    """
    groups: dict[tuple[Path, str], dict[str, list[RasterFile]]] = {}
    stacks: list[RasterFile] = []
    others: list[RasterFile] = []
    for raster in rasters:
        parsed = _parse_name(raster) if raster.count == 1 else None
        if parsed is not None:
            key, band = parsed
            groups.setdefault(key, {}).setdefault(band, []).append(raster)
        elif raster.count == 1 or _is_picture(raster):
            others.append(raster)
        else:
            stacks.append(raster)
    if not groups and not stacks:
        _refuse(others, bands, force_bands)
    if bands is not None and not stacks:
        raise BandError(
            f"an order of {len(bands)} bands was stated, but the files of {rasters[0].path.parent} "
            "have one band each and go by their names: leave the order out"
        )
    scenes = [_stacked(raster, bands, force_bands) for raster in stacks]
    scenes += [_gathered(remainder, files) for (_, remainder), files in groups.items()]
    return sorted(scenes, key=lambda scene: (scene.name, scene.bands[0].raster.path))


def _stacked(raster: RasterFile, stated: Sequence[str] | None, force: bool) -> Scene:
    """The scene of one file with several bands."""
    names = _band_names(raster, stated, force)
    indices = band_indices(names, what=str(raster.path))
    check_usable(raster)
    for band, index in zip(GAIR_BANDS, indices, strict=True):
        if index + 1 in raster.transparency:
            raise ImageryError(
                f"{raster.path} marks {band} as transparency: clear the mark with "
                f"gdal_edit.py -colorinterp_{index + 1} undefined FILE"
            )
    bands = [
        SceneBand(name, raster, index + 1) for name, index in zip(GAIR_BANDS, indices, strict=True)
    ]
    return _scene(raster.name, bands, {canonical_band(name) for name in names if name})


def _gathered(remainder: str, files: dict[str, list[RasterFile]]) -> Scene:
    """The scene of several files with one band each."""
    a_file = next(iter(files.values()))[0]
    folder = a_file.path.parent
    band_indices(
        list(files), what=f"the scene {remainder!r} in {folder}" if remainder else str(folder)
    )
    bands = [SceneBand(name, _finest(name, files[name]), 1) for name in GAIR_BANDS]
    name = (_scene_folder(PurePosixPath(a_file.name)) / remainder).as_posix()
    return _scene(name if name != "." else _scene_folder(a_file.path).name, bands, files)


def _scene(name: str, bands: list[SceneBand], all_bands: Iterable[str | None]) -> Scene:
    rasters = {band.raster.path: band.raster for band in bands}.values()
    outline = shapely.intersection_all([outline_lonlat(raster) for raster in rasters])
    if outline.area == 0:
        raise ImageryError(
            f"the bands of scene {name!r} have no place in common: keep bands of different places "
            "in different folders"
        )
    first = bands[0].raster
    names = {band for band in all_bands if band}
    return Scene(
        name=name,
        bands=tuple(bands),
        outline=outline,
        resolution_m=min(resolution_m(raster) for raster in rasters),
        provenance=read_provenance(first.path, first.tags, names),
    )


def _finest(band: str, files: list[RasterFile]) -> RasterFile:
    """The file with the smallest pixels; two equally fine ones are one too many."""
    for file in files:
        check_usable(file)
    if len(files) == 1:
        return files[0]
    best, second, *_ = sorted(files, key=resolution_m)
    if resolution_m(best) > _SAME_SIZE * resolution_m(second):
        raise BandError(
            f"both {best.path} and {second.path.name} hold {band} of one scene: take one of them "
            "out, or keep scenes in different folders"
        )
    return best


def _parse_name(raster: RasterFile) -> tuple[tuple[Path, str], str] | None:
    """What gathers a one-band file with its scene, and its band; None where it names no band."""
    words = _WORD.findall(raster.path.stem)
    if words[:1] == ["MSK"]:  # quality masks of SAFE products are named by band, too
        return None
    named = [(n, band) for n, word in enumerate(words) if (band := canonical_band(word))]
    if not named:
        return None
    # "B04" says more than "red", and what stands last says more than a folder-like prefix.
    numbered = [(n, band) for n, band in named if words[n][0] in "Bb" and words[n][1:2].isdigit()]
    place, band = (numbered or named)[-1]
    rest = [
        word
        for n, word in enumerate(words)
        if n != place and not (n == place + 1 and _RESOLUTION.fullmatch(word))
    ]
    return (_scene_folder(raster.path), "_".join(rest)), band


def _scene_folder(file: AnyPath) -> AnyPath:
    """The folder of a file; resolutions, as SAFE products sort by them, do not part a scene."""
    return file.parent.parent if _RESOLUTION.fullmatch(file.parent.name) else file.parent


def _is_picture(raster: RasterFile) -> bool:
    """Whether a file with several bands is a rendered picture or a mask beside the real bands."""
    named = {canonical_band(text) for text in raster.descriptions if text}
    return set(raster.dtypes) == {"uint8"} and not named.issuperset(GAIR_BANDS)


def _band_names(
    raster: RasterFile, stated: Sequence[str] | None, force: bool
) -> Sequence[str | None]:
    if stated is None:
        return raster.descriptions
    if len(stated) != raster.count:
        raise BandError(
            f"{raster.path} has {raster.count} bands, but the stated order has {len(stated)} "
            f"({', '.join(stated)}): state {raster.count}, or {', '.join(LAYOUTS)} where one fits"
        )
    if not force and (apart := _contradictions(raster, stated)):
        more = f" and {len(apart) - 3} more" if len(apart) > 3 else ""
        raise BandError(
            f"{raster.path} names its bands otherwise than `bands`: {', '.join(apart[:3])}{more}; "
            "leave `bands` out to go by its names, or pass `force_bands` if these are wrong"
        )
    return stated


def _contradictions(raster: RasterFile, stated: Sequence[str]) -> list[str]:
    """Where a file's own names of its bands say another band than the stated order, in words."""
    if all(
        _POSITION.fullmatch(name or "") and int(_digits(name)) == number
        for number, name in enumerate(raster.descriptions, start=1)
    ):
        return []  # counted, not named
    return [
        f"band {number} is {name!r}, stated as {band}"
        for number, (name, band) in enumerate(zip(raster.descriptions, stated, strict=True), 1)
        if band != "-" and name and canonical_band(name) not in (None, band)
    ]


def _digits(name: str | None) -> str:
    return "".join(filter(str.isdigit, name or ""))


def _refuse(others: Sequence[RasterFile], stated: Sequence[str] | None, force: bool) -> None:
    """Say of files of which none is a scene what the first one lacks."""
    stacks = [raster for raster in others if raster.count > 1]
    if stacks:
        _stacked(stacks[0], stated, force)
    raise BandError(
        f"{others[0].path} has one band and its name says not which: name the files by band, such "
        "as s2_B02.tif, s2_B03.tif"
    )


def _files_of(path: Path) -> list[Path]:
    if not path.exists():
        raise ImageryError(f"no file or folder {path}: check the path")
    if not path.is_dir():
        try:
            check_is_file(path)
        except OSError as error:
            raise ImageryError(f"cannot read {path}: {error.strerror}; name a raster") from error
        if path.suffix.lower() not in SUFFIXES:
            raise ImageryError(
                f"{path} is no {', '.join(SUFFIXES)} file: give Sentinel-2 bands as GeoTIFF or "
                "JPEG 2000"
            )
        return [path]
    everything = _walk(path)
    rasters = [file for file in everything if file.suffix.lower() in SUFFIXES]
    if not rasters:
        raise ImageryError(
            f"no {', '.join(SUFFIXES)} file in {path}: it holds {_summary(everything)}; give the "
            "folder with the Sentinel-2 bands"
        )
    return rasters


def _walk(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise ImageryError(
            f"cannot look into {error.filename}: {error.strerror}; make it readable"
        ) from error

    walked: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        walked += [Path(parent, file) for file in files if not file.startswith(".")]
    return walked


def _summary(files: list[Path]) -> str:
    """What a folder holds, for example ``3 .csv files and 1 .txt file``."""
    kinds = Counter(file.suffix.lower() or "suffixless" for file in files)
    parts = [f"{n} {kind} file{'s' if n > 1 else ''}" for kind, n in kinds.most_common(5)]
    if len(kinds) > 5:
        parts.append("others")
    return ", ".join(parts[:-2] + [" and ".join(parts[-2:])]) or "no files"


def _name_in(file: Path, root: Path) -> str:
    return file.name if file == root else file.relative_to(root).as_posix()
