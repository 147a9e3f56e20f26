"""Carries the reference photos of indexes over into one that was merged from or cut out of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Bools, Floats, Floats32, Ints
from gair.files import make_folder
from indexer.ground.manifest import POINTER_FILE
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos, stored_rows
from indexer.ground.write import changing, remove_pointer, write_reference_photos
from indexer.index.manifest import Manifest


@dataclass(frozen=True)
class Carried:
    """What became of the reference photos of the parts of a new index."""

    photos: int = 0
    duplicates: int = 0
    """Photos that came more than once; the first one's row was taken."""
    private: int = 0
    """Left out because they are private and of another index."""
    unwanted: int = 0
    """Left out because none were wanted."""
    outside: int = 0
    """Left out because they were taken outside what was cut."""

    @property
    def lines(self) -> list[str]:
        """Lines for a terminal; none where there were no reference photos."""
        again = f"; {self.duplicates:,} were in more than one" if self.duplicates else ""
        counts = {
            f"  reference photos: {self.photos:,}{again}": self.photos,
            f"  note: {self.private:,} private reference photos were left out": self.private,
            f"  note: {self.unwanted:,} reference photos were left out, as asked": self.unwanted,
            f"  note: {self.outside:,} reference photos were taken elsewhere": self.outside,
        }
        return [line for line, count in counts.items() if count]


@dataclass(frozen=True)
class Parts:
    """The reference photos of the parts of a new index, opened, and where they go."""

    target: Path
    """Folder of the new index, which must be there."""
    sets: tuple[ReferencePhotos, ...]
    wanted: bool
    within: Callable[[Floats], Bools] | None = None
    """Which of (N, 2) places the new index is of; all if not given."""

    def changing(self) -> contextlib.AbstractContextManager[None]:
        """Keep others from changing those of the target, where there are any.

        Raises:
            StorageError: somebody does already.
        """
        if not self.sets and not (self.target / POINTER_FILE).exists():
            return contextlib.nullcontext()
        make_folder(self.target)
        return changing(self.target)

    def carry(self, manifest: Manifest, dim: int, *, quiet: bool) -> Carried:
        """Write them as those of the new index, whose photos of before are replaced.

        Args:
            manifest: of the new index.
            dim: of its vectors.
            quiet: no progress.

        Raises:
            StorageError: the disk refused.
        """
        here = [self._here(references) for references in self.sets]
        taken = [self._taken(part, rows) for part, rows in zip(self.sets, here, strict=True)]
        outside = sum(len(part) for part in self.sets) - sum(map(len, here))
        private = sum(map(len, here)) - sum(map(len, taken))
        count = sum(map(len, taken))
        if not self.wanted or not count:
            remove_pointer(self.target)
            return Carried(private=private, unwanted=0 if self.wanted else count, outside=outside)
        resolution = manifest.h3_resolution
        rows, first = _joined(self.sets, taken, resolution)
        begin = np.cumsum([0, *map(len, taken)])

        def vectors_of(numbers: Ints) -> Floats32:
            joined = first[numbers]
            vectors = np.empty((len(joined), dim), dtype=np.float32)
            for part, kept, start in zip(self.sets, taken, begin, strict=False):
                own = (joined >= start) & (joined < start + len(kept))
                vectors[own] = part.vectors(kept[joined[own] - start])
            return vectors

        written = write_reference_photos(
            self.target,
            rows,
            vectors_of,
            dim=dim,
            model=manifest.model,
            h3_resolution=resolution,
            index_type=str(self.sets[0].manifest.search["wanted"]),
            prototypes=self.sets[0].manifest.prototypes,
            quiet=quiet,
        )
        return Carried(written.photos, count - len(first), private, outside=outside)

    def _here(self, references: ReferencePhotos) -> Ints:
        """Rows of a part that were taken where the new index is."""
        if self.within is None:
            return np.arange(len(references))
        return np.flatnonzero(self.within(references.lonlat_deg))

    def _taken(self, references: ReferencePhotos, rows: Ints) -> Ints:
        """Those of some rows of a part that go over: private ones stay where they are."""
        if references.path.parent.resolve() == self.target.resolve():
            return rows
        return np.intersect1d(rows, references.public_rows())


def open_parts(
    folders: Sequence[Path],
    target: Path,
    *,
    wanted: bool,
    within: Callable[[Floats], Bools] | None = None,
) -> Parts:
    """Open the reference photos of indexes that are to be merged, or that one is cut out of.

    Args:
        folders: of the indexes.
        target: folder of the new one.
        wanted: whether it is to have any.
        within: which of (N, 2) places it is of; all if not given.

    Raises:
        IndexMismatchError: those of a part are not of its model.
        IndexCorruptError: those of a part are damaged.
    """
    opened = (open_reference_photos(folder) for folder in folders)
    return Parts(target, tuple(part for part in opened if part is not None), wanted, within)


def _joined(sets: Sequence[ReferencePhotos], taken: Sequence[Ints], resolution: int) -> Any:  # noqa: ANN401
    """Rows of all parts, each photo once, and (n,) which of the taken ones each is."""
    import pyarrow as pa

    pairs = zip(sets, taken, strict=True)
    every = pa.concat_tables([stored_rows(part, resolution).take(kept) for part, kept in pairs])
    hashes = np.array(every["content_sha256"].to_pylist())
    first = np.sort(np.unique(hashes, return_index=True)[1])
    return every.take(first).combine_chunks(), first
