"""Which files of a path are rasters, in an order that does not depend on the disk."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gair.errors import ImageryError
from indexer.imagery.rasters import RasterFile, read_header

SUFFIXES = (".tif", ".tiff", ".jp2")
"""File names that are looked at, in any case."""


def find_rasters(paths: Sequence[Path]) -> list[RasterFile]:
    """The headers of all rasters under some files and folders.

    Args:
        paths: Files, or folders to search with all their subfolders; what is hidden is passed over.

    Returns:
        Headers sorted by name; each file once, however often it was named.

    Raises:
        ImageryError: A path is missing or unreadable, there is no raster, or one cannot be opened.
    """
    found: dict[Path, tuple[str, Path]] = {}
    for path in paths:
        prefix = f"{path.resolve().name}/" if len(paths) > 1 and path.is_dir() else ""
        for file in _files_of(path):
            # A link is kept as it is: what it points to may be named by its hash.
            found.setdefault(file.resolve(), (prefix + _name_in(file, path), file))
    return [read_header(file, name) for name, file in sorted(found.values())]


def _files_of(path: Path) -> list[Path]:
    if not path.exists():
        raise ImageryError(f"no file or folder {path}: check the path")
    if path.is_file():
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

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, file) for file in files if not file.startswith(".")]
    return found


def _summary(files: list[Path]) -> str:
    """What a folder holds, for example ``3 .csv files and 1 .txt file``."""
    kinds = Counter(file.suffix.lower() or "suffixless" for file in files)
    parts = [f"{n} {kind} file{'s' if n > 1 else ''}" for kind, n in kinds.most_common(5)]
    if len(kinds) > 5:
        parts.append("others")
    return ", ".join(parts[:-2] + [" and ".join(parts[-2:])]) or "no files"


def _name_in(file: Path, root: Path) -> str:
    return file.name if file == root else file.relative_to(root).as_posix()
