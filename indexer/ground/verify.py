"""Verifies the reference photos of an index: every byte, and what the bytes say."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np

from gair.errors import GairError, IndexCorruptError
from indexer.ground.manifest import (
    AGAIN,
    PHOTO_TABLE_FILE,
    POINTER_FILE,
    PROTOTYPES_FILE,
    SET_MANIFEST_FILE,
    VECTORS_FILE,
)
from indexer.ground.photo_table import read_columns, read_rows
from indexer.ground.reference_photos import (
    ReferencePhotos,
    check_set_file,
    current_set,
    open_reference_photos,
    read_set_manifest,
)
from indexer.ground.write import content_of_set
from indexer.index.verify import SAMPLE, Finding, hashed, vector_problem


def check_reference_photos(index_folder: Path, seed: int = 0) -> Iterator[Finding]:
    """Look at every file of the set that serves; at nothing where there is none.

    Args:
        index_folder: of the index.
        seed: chooses the rows whose vectors are looked at.

    Yields:
        A finding a file, as soon as it was looked at.
    """
    pointer = index_folder / POINTER_FILE
    try:
        current = current_set(index_folder)
    except IndexCorruptError as error:
        yield Finding(pointer, str(error))
        return
    if current is None:
        return
    yield Finding(pointer, "", f"set {current[0]}")
    path = index_folder / current[0]
    try:
        manifest = read_set_manifest(path, current[1])
    except IndexCorruptError as error:
        yield Finding(path / SET_MANIFEST_FILE, str(error))
        return
    yield Finding(path / SET_MANIFEST_FILE, "", f"as {POINTER_FILE} has it")
    sound = True
    for name in sorted(manifest.files):
        finding = hashed(path / name, manifest, partial(check_set_file, anew=True))
        sound = sound and not finding.problem
        yield finding
    if sound:  # FAISS must not see a byte that nobody vouches for
        yield from _inside(index_folder, path, seed)


def _inside(index_folder: Path, path: Path, seed: int) -> Iterator[Finding]:
    """What the files say, now that their bytes are right."""
    try:
        references = open_reference_photos(index_folder)
    except GairError as error:
        yield Finding(path, str(error))
        return
    if references is None:  # removed meanwhile
        return
    yield Finding(
        path / PHOTO_TABLE_FILE,
        _row_problem(references),
        f"{len(references):,} photos of {references.manifest.places:,} places",
    )
    count = min(SAMPLE, len(references))
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(references), count, replace=False))
    problem = vector_problem(references.store, rows)
    yield Finding(path / VECTORS_FILE, problem, f"{count:,} vectors of length 1")
    if references.prototypes is not None:
        yield _prototypes_finding(path, references, seed)


def _prototypes_finding(path: Path, references: ReferencePhotos, seed: int) -> Finding:
    """Whether prototypes are of length 1, each of one cell, and none more than a cell may have."""
    prototypes = references.prototypes
    assert prototypes is not None
    cells = read_columns(path / PHOTO_TABLE_FILE, 'SELECT h3 FROM photos ORDER BY "row"')["h3"]
    pairs = np.unique(
        np.stack([prototypes.of_photo.astype(np.uint64), cells.to_numpy()], axis=1), axis=0
    )
    most = np.unique(pairs[:, 1], return_counts=True)[1].max()
    count = min(SAMPLE, len(prototypes))
    rows = np.sort(np.random.default_rng(seed).choice(len(prototypes), count, replace=False))
    problem = vector_problem(prototypes.store, rows)
    if len(pairs) != len(prototypes):
        problem = f"a prototype stands for photos of several cells: {AGAIN}"
    elif most > references.manifest.prototypes:
        problem = f"a cell has {most} prototypes: {AGAIN}"
    about = f"{len(prototypes):,} prototypes, at most {most} a cell"
    return Finding(path / PROTOTYPES_FILE, problem, about)


def _row_problem(references: ReferencePhotos) -> str:
    """What is wrong with the photo table; empty for nothing."""
    manifest = references.manifest
    rows = read_rows(references.path / PHOTO_TABLE_FILE)
    hashes, resolution = rows["content_sha256"].to_pylist(), manifest.h3_resolution
    cells = rows["h3"].to_numpy()
    sample = cells[:: max(len(cells) // SAMPLE, 1)]
    content = content_of_set(manifest.files, rows)
    wanted = {
        "a photo is there more than once": len(set(hashes)) == len(hashes),
        "a photo's place is not on Earth": bool(
            (np.abs(references.lonlat_deg) <= [180.0, 90.0]).all()
        ),
        f"a cell is not of H3 resolution {resolution}": all(
            h3.is_valid_cell(cell) and h3.get_resolution(cell) == resolution for cell in sample
        ),
        "its rows are not those of the manifest": content == manifest.content_sha256,
    }
    wrong = [text for text, right in wanted.items() if not right]
    return f"{'; '.join(wrong)}: {AGAIN}" if wrong else ""
