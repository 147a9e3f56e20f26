"""Opens an index: checks every file, maps the vectors, reads the cells.

A server may open one whose large files are checked later (:mod:`indexer.index.later_checks`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gair.errors import IndexCorruptError, IndexNotFoundError, SearchIndexError
from gair.files import read_file
from gair.inputs.documents import json_of
from indexer.index.chips import CHIPS_FILE, Chips
from indexer.index.default_folder import ENVIRONMENT, folder_of_indexes
from indexer.index.ivf import GpuLists, InvertedLists, Shortlists, list_files, open_shortlists
from indexer.index.known_files import known_sha256
from indexer.index.later_checks import LaterChecks
from indexer.index.manifest import MANIFEST_FILE, FileRecord, Manifest
from indexer.index.picture.cog import Picture, open_picture
from indexer.index.storage import (
    CURRENT_FILE,
    LOCATION_FILE,
    REGION_FILE,
    RS_FILE,
    TABLE_FILE,
    TOKENS_FILE,
    BuildLock,
    hold,
    index_names,
    read_current,
)
from indexer.index.table import CellRows, FrameRows, read_table
from indexer.index.token_maps import TokenMaps
from indexer.index.vectors import FaissStore, VectorStore


@dataclass(frozen=True)
class Index:
    """One build of an index, ready to be searched; it never changes.

    It is verified, but for what :attr:`later` says.
    """

    path: Path
    manifest: Manifest
    cells: CellRows
    rs: VectorStore
    """Remote-sensing vectors; row i belongs to row i of ``cells``."""
    location: VectorStore
    """Location vectors; row i belongs to row i of ``cells``."""
    outline: dict[str, Any]
    """GeoJSON feature of the region that was indexed."""
    frames: FrameRows
    """The frames that cells were sampled from; ``cells.frame`` are rows of it."""
    tokens: TokenMaps | None
    """Token maps, a row a frame; None where the build did not keep them."""
    shortlists: Shortlists | None = None
    """What finds the cells that a search scores; None where it scores all."""
    held: BuildLock | None = None
    """Keeps the build from being pruned while it is open."""
    chips: Chips | None = None
    """A picture of each frame, in builds from before there were :attr:`pictures`; else None."""
    pictures: tuple[Picture, ...] = ()
    """Of the region: what it was made from, then single days of the imagery."""
    later: LaterChecks | None = field(default=None, repr=False, compare=False)
    """Files that are checked while it is open; None where all were before."""

    @property
    def name(self) -> str:
        """Name of the index."""
        return self.manifest.name

    def require_sound(self) -> None:
        """Refuse to go on with an index of which a file was found to be damaged.

        Raises:
            IndexCorruptError: one was, after the index was opened; it is named.
        """
        if self.later is not None:
            self.later.require()


def find_index(index: str | Path | None, indexes_dir: str | Path | None = None) -> Path:
    """The folder of an index, by name or path; without a name, the only one there is.

    Args:
        index: name or path.
        indexes_dir: folder of all indexes; :func:`folder_of_indexes` says which if not given.

    Raises:
        IndexNotFoundError: there is none of that name, or the choice is not clear.
    """
    home = folder_of_indexes(indexes_dir)
    names = index_names(home)
    if index is None:
        if len(names) == 1:
            return home / names[0]
        if not names:
            raise no_index(home)
        raise IndexNotFoundError(
            f"which index? In {str(home)!r} there are: {', '.join(names)}; name one (the newest is "
            f"{newest_index(home)})"
        )
    for folder in (home / index, Path(index)):
        if folder.is_dir():
            return folder
    there = f"there are: {', '.join(names)}" if names else "there is none"
    raise IndexNotFoundError(
        f"no index {str(index)!r}; in {str(home)!r} {there}: build it with python -m indexer build"
    )


def no_index(home: Path) -> IndexNotFoundError:
    """The error for a folder without an index."""
    return IndexNotFoundError(
        f"no index in {str(home.resolve())!r}: make one, for example with python -m indexer build "
        f"--region london, or say where yours are with --indexes or {ENVIRONMENT}"
    )


def newest_index(home: Path) -> str:
    """The name of the index whose serving build was finished last.

    Args:
        home: a folder with one index or several; those that cannot be read count as old.
    """

    def finished(name: str) -> str:
        try:
            build, digest = read_current(home / name)
            return read_manifest(home / name / build, digest).created_utc
        except SearchIndexError:
            return ""

    return max(index_names(home), key=finished)


def open_index(folder: str | Path, *, later: LaterChecks | None = None) -> Index:
    """Open the serving build of an index folder.

    Args:
        folder: of the index.
        later: takes large files of rows, to be checked while the index is open; without it all are
            checked first.

    Raises:
        IndexNotFoundError: the folder has no finished build.
        IndexCorruptError: a file is missing or differs from what was built; it is named.
    """
    folder = Path(folder)
    build, manifest_sha256 = read_current(folder)
    path = folder / build
    held = hold(path)
    manifest = read_manifest(path, manifest_sha256)
    kept = [TOKENS_FILE] if manifest.tokens else []
    kept += [CHIPS_FILE] if CHIPS_FILE in manifest.files else []
    kept += list_files(manifest.search)
    kept += [str(entry.get("file")) for entry in manifest.pictures]
    for name in (RS_FILE, LOCATION_FILE, TABLE_FILE, REGION_FILE, *kept):
        if not _waits(path / name, manifest, later):
            check_file(path / name, manifest)
    cells, frames = read_table(path / TABLE_FILE)
    index = Index(
        path=path,
        manifest=manifest,
        cells=cells,
        rs=FaissStore(path / RS_FILE),
        location=FaissStore(path / LOCATION_FILE),
        outline=json_of((path / REGION_FILE).read_bytes()),
        frames=frames,
        tokens=TokenMaps(path / TOKENS_FILE) if manifest.tokens else None,
        shortlists=open_shortlists(path, manifest.search),
        held=held,
        chips=Chips(path / CHIPS_FILE) if CHIPS_FILE in kept else None,
        pictures=tuple(open_picture(path, entry) for entry in manifest.pictures),
        later=later,
    )
    _check_rows(index)
    return index


def read_manifest(path: Path, manifest_sha256: str) -> Manifest:
    """The manifest of a build, checked against the pointer's hash."""
    file = path / MANIFEST_FILE
    pointer = path.parent / CURRENT_FILE
    try:
        text = read_file(file)
    except FileNotFoundError:
        raise IndexCorruptError(
            f"{file}, which {pointer} names, is missing: rebuild the index"
        ) from None
    except OSError as error:
        raise _unreadable(file, error) from error
    if hashlib.sha256(text).hexdigest() != manifest_sha256:
        raise IndexCorruptError(f"{file} and {pointer} do not fit together: rebuild the index")
    return Manifest.from_json(text, file)


def _waits(file: Path, manifest: Manifest, later: LaterChecks | None) -> bool:
    """Whether a file is left to be checked later."""
    if later is None or file.name not in (RS_FILE, LOCATION_FILE, TOKENS_FILE):
        return False
    record = manifest.files.get(file.name)
    return later.take(file, record, lambda go_on: check_file(file, manifest, between=go_on))


def check_file(
    file: Path,
    manifest: Manifest,
    *,
    anew: bool = False,
    between: Callable[[], None] | None = None,
) -> None:
    """Compare a file with its record; FAISS must not see a byte that nobody vouches for.

    A file that was read before and is as it was then is read again only ``anew``
    (:mod:`indexer.index.known_files`).
    """
    record = manifest.files.get(file.name)
    try:
        measured = FileRecord(known_sha256(file, anew=anew, between=between), file.stat().st_size)
    except FileNotFoundError:
        raise IndexCorruptError(f"{file} is missing: rebuild the index {manifest.name!r}") from None
    except OSError as error:
        raise _unreadable(file, error) from error
    if measured != record:
        raise IndexCorruptError(
            f"{file} differs from what was built: rebuild the index {manifest.name!r}"
        )


def _unreadable(file: Path, error: OSError) -> IndexCorruptError:
    return IndexCorruptError(
        f"cannot read {file}: {error.strerror}: make it readable, or rebuild the index"
    )


def _check_rows(index: Index) -> None:
    counts = {
        TABLE_FILE: len(index.cells),
        RS_FILE: index.rs.count,
        LOCATION_FILE: index.location.count,
        MANIFEST_FILE: index.manifest.cells_indexed,
    }
    if index.shortlists is not None:
        pairs = zip(
            list_files(index.manifest.search),
            (index.shortlists.rs, index.shortlists.location),
            strict=True,
        )
        counts |= {name: s.count for name, s in pairs if isinstance(s, InvertedLists | GpuLists)}
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name} has {count:,}" for name, count in counts.items())
        raise IndexCorruptError(f"{index.path}: the rows do not match: {listed}")
    frames, tokens = len(index.frames.bounds_wsen_m), index.tokens
    if tokens is not None and (tokens.count, tokens.dim) != (frames, index.rs.dim):
        raise IndexCorruptError(
            f"{index.path}: the frames do not match: {TABLE_FILE} has {frames:,}, and "
            f"{TOKENS_FILE} has {tokens.count:,} of {tokens.dim} dimensions, not {index.rs.dim}"
        )
