"""Removes reference photos from an index: those of a list, of a source, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gair.arrays import Bools
from gair.errors import SearchIndexError, UsageError
from gair.fields import nearest
from indexer.ground.listed import link_of, list_photos
from indexer.ground.manifest import PHOTO_TABLE_FILE, UNKNOWN
from indexer.ground.photo_table import read_columns
from indexer.ground.reference_photos import (
    ReferencePhotos,
    open_reference_photos,
    stored_rows,
)
from indexer.ground.write import changing, remove_pointer, write_reference_photos
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import file_digest


@dataclass(frozen=True)
class RemoveReport:
    """What was removed."""

    removed: int | None
    """None where the set could not be opened to count them."""
    left: int
    not_there: int = 0
    """Photos of the list that the index did not have."""

    @property
    def lines(self) -> list[str]:
        """The report for a terminal."""
        if self.removed is None:
            return ["removed all reference photos, which could not be opened"]
        lines = [f"removed {self.removed:,} reference photos; {self.left:,} are left"]
        if self.not_there:
            lines.append(f"  {self.not_there:,} of the list were not in the index")
        return lines


def remove_photos(
    index_folder: Path,
    *,
    photos: str | Path | Sequence[ListedPhoto] | None = None,
    source: str | None = None,
    everything: bool = False,
    quiet: bool = False,
) -> RemoveReport:
    """Remove reference photos; give one of the three.

    The old set's files stay until `prune`, or until nobody has them open.

    Args:
        index_folder: of the index.
        photos: a list as for adding. A photo is known by the bytes of its file or, where the file
            is gone, by its link.
        source: all photos of this source.
        everything: all, also where the set cannot be opened.
        quiet: no progress.

    Raises:
        UsageError: nothing, or more than one thing, is asked for; or there is no such source.
        StorageError: the disk refused, or somebody else is changing the reference photos.
    """
    if sum((photos is not None, source is not None, everything)) != 1:
        raise UsageError("give one of `photos`, `source` and `everything`: what to remove")
    with changing(index_folder):
        if everything:
            return _remove_all(index_folder)
        references = open_reference_photos(index_folder)
        if references is None:
            raise UsageError(f"index {index_folder.name!r} has no reference photos to remove")
        not_there = 0
        if source is not None:
            gone = _of_source(references, source)
        else:
            assert photos is not None
            gone, not_there = _of_list(references, photos)
        left = np.flatnonzero(~gone)
        if not len(left):
            remove_pointer(index_folder)
        elif gone.any():
            kept = stored_rows(references, references.manifest.h3_resolution).take(left)
            write_reference_photos(
                index_folder,
                kept,
                lambda rows: references.vectors(left[rows]),
                dim=references.manifest.dim,
                model=references.manifest.model,
                h3_resolution=references.manifest.h3_resolution,
                index_type=str(references.manifest.search["wanted"]),
                prototypes=references.manifest.prototypes,
                quiet=quiet,
            )
        return RemoveReport(int(gone.sum()), len(left), not_there)


def _remove_all(index_folder: Path) -> RemoveReport:
    """Whatever state the set is in: this is the remedy for one that cannot be opened."""
    try:
        references = open_reference_photos(index_folder)
        count: int | None = 0 if references is None else len(references)
    except SearchIndexError:
        count = None
    remove_pointer(index_folder)
    return RemoveReport(count, 0)


def _of_source(references: ReferencePhotos, source: str) -> Bools:
    """(n,) which photos are of a source."""
    names = list(references.manifest.sources)
    if source not in names:
        raise UsageError(
            f"no reference photo is of `source` {source!r}{nearest(source, names)}: there are "
            f"{', '.join(names)}"
        )
    path, wanted = references.path / PHOTO_TABLE_FILE, "" if source == UNKNOWN else source
    column = read_columns(path, 'SELECT source FROM photos ORDER BY "row"')["source"]
    return np.array([name == wanted for name in column.to_pylist()], dtype=np.bool_)


def _of_list(
    references: ReferencePhotos, photos: str | Path | Sequence[ListedPhoto]
) -> tuple[Bools, int]:
    """(n,) which photos a list names, and how many of the list are none of them."""
    listed, _ = list_photos(photos)
    table = read_columns(
        references.path / PHOTO_TABLE_FILE,
        'SELECT content_sha256, link FROM photos ORDER BY "row"',
    )
    hashes, links = table["content_sha256"].to_pylist(), table["link"].to_pylist()
    stored = set(hashes), set(links) - {""}
    by_hash, by_link, not_there = set(), set(), 0
    for photo in listed:
        digest, link = file_digest(photo.path), link_of(photo)
        if digest in stored[0]:
            by_hash.add(digest)
        elif link in stored[1]:
            by_link.add(link)
        else:
            not_there += 1
    gone = [
        digest in by_hash or link in by_link for digest, link in zip(hashes, links, strict=True)
    ]
    return np.array(gone, dtype=np.bool_), not_there
