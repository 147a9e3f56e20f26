"""Verifies a whole index: every byte against its hash, and what the bytes say.

Opening an index compares hashes, too, of files that changed since they were last read; this reads
every file, goes on where that stops at the first damage, and looks inside: rows and frames must fit
together, cells be what the manifest says, and vectors be finite and of unit length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import h3.api.numpy_int as h3
import numpy as np

from gair.arrays import Ints
from gair.errors import GairError, IndexCorruptError, IndexInUseError
from indexer.index.index import Index, check_file, open_index, read_manifest
from indexer.index.manifest import MANIFEST_FILE, FileRecord, Manifest
from indexer.index.picture.cog import said_dates
from indexer.index.storage import (
    CURRENT_FILE,
    LOCATION_FILE,
    RS_FILE,
    TABLE_FILE,
    TOKENS_FILE,
    read_current,
)
from indexer.index.vectors import VectorStore
from indexer.probability.calibration import calibration_path, load_calibration

SAMPLE = 4096
"""Rows of a kind whose vectors are looked at, chosen at random."""
_FRAMES = 64
"""Token maps that are looked at."""
_OFF_UNIT = 2e-3
"""Of the length of a vector: rounding to halves changes it by less than half of this."""


class HasRecords(Protocol):
    """A manifest that records files."""

    @property
    def files(self) -> Mapping[str, FileRecord]:
        """By name."""


Recorded = TypeVar("Recorded", bound=HasRecords)


@dataclass(frozen=True)
class Finding:
    """What was found about one file."""

    file: Path
    problem: str
    """Empty for a sound file."""
    note: str = ""
    """What was looked at."""
    in_use: bool = False
    """True where a program keeps the file from being looked at: it may be sound."""

    @property
    def line(self) -> str:
        """For a terminal."""
        word = "IN USE" if self.in_use else "DAMAGED" if self.problem else "ok"
        return f"{word:<8} {self.file}  {self.problem or self.note}"


def check_index(folder: Path, seed: int = 0) -> Iterator[Finding]:
    """Look at every file of the serving build, and at its calibration.

    Args:
        folder: of the index.
        seed: chooses the rows whose vectors are looked at.

    Yields:
        A finding a file, as soon as it was looked at.

    Raises:
        IndexNotFoundError: the folder has no finished build.
    """
    try:
        build, digest = read_current(folder)
    except IndexCorruptError as error:
        yield Finding(folder / CURRENT_FILE, str(error))
        return
    yield Finding(folder / CURRENT_FILE, "", f"build {build}")
    path = folder / build
    try:
        manifest = read_manifest(path, digest)
    except IndexCorruptError as error:
        yield Finding(path / MANIFEST_FILE, str(error))
        return
    yield Finding(path / MANIFEST_FILE, "", f"as {CURRENT_FILE} has it")
    sound = True
    for file in sorted(manifest.files):
        finding = hashed(path / file, manifest, partial(check_file, anew=True))
        sound = sound and not finding.problem
        yield finding
    if sound:  # FAISS must not see a byte that nobody vouches for
        yield from _inside(folder, manifest, seed)
    yield from _calibration(folder, manifest)


def hashed(file: Path, manifest: Recorded, check: Callable[[Path, Recorded], None]) -> Finding:
    """What comparing a file with its record finds.

    Args:
        file: that the manifest records.
        manifest: of a build, or of a set beside one.
        check: compares, and raises what is wrong.
    """
    try:
        check(file, manifest)
    except GairError as error:
        return Finding(file, str(error))
    record = manifest.files[file.name]
    return Finding(file, "", f"{record.size_bytes:,} bytes, {record.sha256[:12]}")


def _inside(folder: Path, manifest: Manifest, seed: int) -> Iterator[Finding]:
    """What the files say, now that their bytes are right."""
    path = folder / manifest.build
    try:
        index = open_index(folder)
    except GairError as error:
        yield Finding(path, str(error), in_use=isinstance(error, IndexInUseError))
        return
    problem = _cell_problem(index)
    yield Finding(
        path / TABLE_FILE,
        problem,
        f"{len(index.cells):,} cells, {len(index.frames.valid_fraction):,} frames",
    )
    rng = np.random.default_rng(seed)
    count = min(SAMPLE, len(index.cells))
    rows = np.sort(rng.choice(len(index.cells), count, replace=False))
    for name, store in ((RS_FILE, index.rs), (LOCATION_FILE, index.location)):
        yield Finding(path / name, vector_problem(store, rows), f"{count:,} vectors of length 1")
    for picture in index.pictures:
        grid = picture.grid
        said = f"{grid.width_px:,} x {grid.height_px:,} pixels of zoom {grid.zoom}"
        yield Finding(picture.path, "", f"{said}, {said_dates(picture.entry['dates'])}")
    if index.tokens is not None and not problem:
        used = np.unique(index.cells.frame)
        frames = rng.choice(used, min(_FRAMES, len(used)), replace=False)
        finite = bool(np.isfinite(index.tokens.frame(frames).numpy()).all())
        problem = "" if finite else "a token map holds values that are not finite: rebuild it"
        yield Finding(path / TOKENS_FILE, problem, f"{len(frames)} token maps are finite")


def _cell_problem(index: Index) -> str:
    """What is wrong with the cell table; empty for nothing."""
    cells, frames = index.cells, len(index.frames.bounds_wsen_m)
    ascending = bool((cells.h3[1:] > cells.h3[:-1]).all())
    resolution = index.manifest.h3_resolution
    wanted = {
        "its cells are not in ascending order": ascending,
        "a cell refers to a frame that is not there": bool(
            ((cells.frame >= 0) & (cells.frame < frames)).all()
        ),
        "a cell's centre is not on Earth": bool((np.abs(cells.lonlat_deg) <= [180.0, 90.0]).all()),
        f"a cell is not of H3 resolution {resolution}": all(
            h3.is_valid_cell(cell) and h3.get_resolution(cell) == resolution
            for cell in cells.h3[:: max(len(cells) // SAMPLE, 1)]
        ),
    }
    wrong = [text for text, right in wanted.items() if not right]
    return f"{'; '.join(wrong)}: rebuild it" if wrong else ""


def vector_problem(store: VectorStore, rows: Ints) -> str:
    """What is wrong with vectors; empty for nothing."""
    length = np.linalg.norm(store.vectors(rows), axis=1)
    if not np.isfinite(length).all():
        first = int(rows[~np.isfinite(length)][0])
        return f"row {first:,} is not finite: rebuild it"
    off = np.abs(length - 1) > _OFF_UNIT
    if off.any():
        return f"row {int(rows[off][0]):,} has length {length[off][0]:.4f}, not 1: rebuild it"
    return ""


def _calibration(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    file = calibration_path(folder, manifest.build)
    try:
        calibration = load_calibration(folder, manifest.build, manifest.model.fingerprint)
    except GairError as error:
        yield Finding(file, str(error))
        return
    if calibration is not None:
        yield Finding(file, "", f"{calibration.photos:,} photos")
