"""Adds photos of known places to an index, as its reference photos.

Only what can be evidence is added: photos that can be read, with a place on Earth, in the index or
near its edge, each content once. The others are counted by reason, and some of them named.

Vectors go to a cache in the index's folder as they are encoded, a block in one transaction. What is
killed at any moment goes on from there, and ends with the same bytes: blocks are cut from the list
of photos as it is given, so each photo passes the encoder in the same company. The set itself is
written when all photos are encoded.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Bools, Floats32, Ints
from gair.errors import PhotoError
from gair.photos.photo import open_photo
from gair.progress import Progress
from indexer.ground.listed import link_of, list_photos, source_of
from indexer.ground.manifest import ReferenceManifest
from indexer.ground.options import AddOptions
from indexer.ground.photo_table import ReferencePhoto, rows_of
from indexer.ground.prototypes import check_prototypes
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos, stored_rows
from indexer.ground.write import changing, write_reference_photos
from indexer.index.index import find_index, open_index
from indexer.photos.encoder import IndexEncoder, load_model
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import (
    IMPOSSIBLE_PLACE,
    NO_PLACE,
    UNREADABLE,
    VectorCache,
    file_digest,
    listed_places,
    vector_cache,
)
from indexer.regions.cell_field import CellField
from indexer.regions.cells import cell_hex, cells_at

if TYPE_CHECKING:
    import pyarrow as pa

    from gair.model import Gair
    from gair.photos.photo import Photo
    from indexer.index.index import Index

EDGE_M = 500.0
"""How far from the nearest cell's centre a photo may be: beyond, it is evidence for no cell."""
OUTSIDE = "not in the index, nor within 500 m of its cells"
REPEATED = "listed more than once"
ALREADY = "in the index already"

WORK = ".ground-work"
"""Folder of vectors that are encoded and not in a set yet."""
_NAMED = 3
"""Photos that are named of each reason to be left out."""
_AT_ONCE = 64
_WRITTEN_AT_ONCE = 512


@dataclass(frozen=True)
class AddReport:
    """What became of the photos of a list."""

    listed: int
    added: int
    encoded: int
    """Of the added ones; the others were encoded by a run that was ended."""
    manifest: ReferenceManifest | None
    """Of the set; None where there is none, because no photo could be added."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many were not added, by reason."""
    named: tuple[str, ...] = ()
    """Some of these, with what is wrong with each."""
    without_licence: int = 0
    """Of those that were added."""

    @property
    def lines(self) -> list[str]:
        """The report for a terminal."""
        resumed = self.added - self.encoded
        lines = [
            f"added {self.added:,} of {self.listed:,} photos"
            + (f"; {resumed:,} of them were encoded already" if resumed else "")
        ]
        lines += [f"  {count:9,}  left out: {why}" for why, count in self.left_out.most_common()]
        lines += [f"  {line}" for line in self.named]
        if self.without_licence:
            lines.append(
                f"  note: {self.without_licence:,} photos name no licence: `licence` gives one"
            )
        if self.manifest is not None:
            lines.append(f"  the index has {self.manifest.photos:,} reference photos now")
        return lines


def add_photos(
    index: str | Path,
    photos: str | Path | Sequence[ListedPhoto],
    *,
    indexes_dir: str | Path | None = None,
    model: Gair | str | None = None,
    options: AddOptions | None = None,
) -> AddReport:
    """Add photos of known places to an index.

    Args:
        index: name or folder of the index.
        photos: a manifest, a folder whose photos have GPS tags, or what was read of one.
        indexes_dir: folder of all indexes.
        model: the index's model, or where it is now; what the index says if not given.
        options: what holds for all of them.

    Raises:
        DatasetError: the list cannot be read.
        UsageError: the number of prototypes makes no sense.
        IndexMismatchError: the model is another, or the reference photos there are of another.
        StorageError: the disk refused, or somebody else is changing the reference photos. The set
            that was there goes on serving.
    """
    options = options or AddOptions()
    check_prototypes(options.prototypes or 0)
    listed, own_name = list_photos(photos)
    opened = open_index(find_index(index, indexes_dir))
    folder = opened.path.parent
    with changing(folder):
        there = open_reference_photos(folder)
        encoder = IndexEncoder(opened, load_model(opened, model))
        fingerprint = opened.manifest.model.fingerprint
        with vector_cache(folder / WORK, fingerprint) as cache:
            adding = _Adding(encoder, listed, there, cache)
            kept = adding.encode(quiet=options.quiet)
            manifest = None if there is None else there.manifest
            chosen: list[ReferencePhoto] = []
            if kept:
                chosen = _references(listed, kept, opened, options, own_name)
                manifest = _written(opened, there, chosen, cache, options)
        shutil.rmtree(folder / WORK, ignore_errors=True)
    return AddReport(
        listed=len(listed),
        added=len(chosen),
        encoded=adding.encoded,
        manifest=manifest,
        left_out=adding.left_out,
        named=tuple(adding.named),
        without_licence=sum(not photo.licence for photo in chosen),
    )


def near_index(index: Index, lonlat_deg: np.ndarray) -> Bools:
    """Which of (P, 2) places are in a cell of an index or within :data:`EDGE_M` of a centre."""
    cells = index.cells
    near = np.zeros(len(lonlat_deg), dtype=np.bool_)
    placed = np.flatnonzero(np.isfinite(lonlat_deg).all(axis=1))
    ids = cells_at(lonlat_deg[placed], index.manifest.h3_resolution)
    near[placed] = cells.rows_of(ids) >= 0
    rest = placed[~near[placed]]
    if len(rest):
        _, away_m = CellField(cells.lonlat_deg, cells.area_m2).nearest(lonlat_deg[rest])
        near[rest] = away_m <= EDGE_M
    return near


class _Adding:
    """Goes through a list of photos, and notes what becomes of each."""

    def __init__(
        self,
        encoder: IndexEncoder,
        listed: Sequence[ListedPhoto],
        there: ReferencePhotos | None,
        cache: VectorCache,
    ) -> None:
        self.left_out: Counter[str] = Counter()
        self.named: list[str] = []
        self.encoded = 0
        self._encoder = encoder
        self._listed = listed
        self._cache = cache
        hashes = [] if there is None else there.content_sha256.tolist()
        self._there = {digest.decode() for digest in hashes}

    def encode(self, *, quiet: bool) -> dict[int, str]:
        """Encode what can be added; returns the content hash of each, by its number in the list."""
        kept: dict[int, str] = {}
        seen: set[str] = set()
        candidates = self._candidates()
        with Progress("encoding", len(candidates), "photo", quiet=quiet) as progress:
            for start in range(0, len(candidates), _AT_ONCE):
                block = candidates[start : start + _AT_ONCE]
                digests: dict[int, str] = {}
                for number in block:
                    digest = file_digest(self._listed[number].path)
                    if digest in self._there or digest in seen:
                        self._leave_out(number, ALREADY if digest in self._there else REPEATED)
                        continue
                    digests[number] = digest
                    seen |= {digest} - {""}
                encoded = self._encode_block(digests)
                kept |= {number: digests[number] for number in encoded}
                progress.advance(len(block))
        return kept

    def _candidates(self) -> list[int]:
        """Numbers of the photos whose place is good, so that no other is even opened."""
        places = listed_places(self._listed)
        near = near_index(self._encoder.index, places)
        candidates = []
        for number, photo in enumerate(self._listed):
            if photo.left_out:
                self._leave_out(number, photo.left_out)
            elif not np.isfinite(places[number]).all():
                self._leave_out(number, IMPOSSIBLE_PLACE if photo.lonlat_deg else NO_PLACE)
            elif not near[number]:
                self._leave_out(number, OUTSIDE)
            else:
                candidates.append(number)
        return candidates

    def _encode_block(self, digests: dict[int, str]) -> list[int]:
        """Numbers of the photos of a block that have a vector in the cache now."""
        cached = self._cache.read([digest for digest in digests.values() if digest])
        photos: dict[int, Photo] = {}
        for number, digest in digests.items():
            if digest in cached:
                continue
            path = self._listed[number].path
            try:
                photo = open_photo(path)
            except PhotoError as error:
                self._leave_out(number, UNREADABLE, str(error))
                continue
            if digest:
                photos[number] = photo
            else:  # it has come while this ran
                self._leave_out(number, UNREADABLE, f"{path} was not there at first: add it again")
        if photos:
            s = self._encoder.embed(list(photos.values()))
            self._cache.write({digests[n]: vector for n, vector in zip(photos, s, strict=True)})
            self.encoded += len(photos)
        return [n for n, digest in digests.items() if digest in cached or n in photos]

    def _leave_out(self, number: int, reason: str, complaint: str = "") -> None:
        self.left_out[reason] += 1
        if self.left_out[reason] <= _NAMED and reason not in (ALREADY, REPEATED):
            self.named.append(complaint or f"{self._listed[number].name}: {reason}")


def _references(
    listed: Sequence[ListedPhoto],
    kept: dict[int, str],
    index: Index,
    options: AddOptions,
    own_name: str,
) -> list[ReferencePhoto]:
    """What is kept of each photo."""
    own = own_name if options.source is None else options.source
    places = listed_places([listed[number] for number in kept])
    cells = cells_at(places, index.manifest.h3_resolution)
    return [
        ReferencePhoto(
            content_sha256=digest,
            lonlat_deg=(float(lon), float(lat)),
            cell=cell_hex(cell),
            heading_deg=listed[number].heading_deg,
            captured_at=listed[number].captured_at or "",
            sequence=listed[number].sequence,
            source=source_of(listed[number], own),
            link=link_of(listed[number]),
            licence=listed[number].licence or options.licence,
            attribution=listed[number].attribution or options.attribution,
            private=options.private,
        )
        for (number, digest), (lon, lat), cell in zip(kept.items(), places, cells, strict=True)
    ]


def _written(
    index: Index,
    there: ReferencePhotos | None,
    chosen: Sequence[ReferencePhoto],
    cache: VectorCache,
    options: AddOptions,
) -> ReferenceManifest:
    """Write the set of what was there and what is new."""
    rows: pa.Table = rows_of(chosen)
    before, index_type, prototypes = 0, "auto", 0
    if there is not None:
        prototypes = there.manifest.prototypes
        index_type = str(there.manifest.search["wanted"])
        old = stored_rows(there, index.manifest.h3_resolution)
        rows, before = _joined(old, rows), len(old)
    dim = index.rs.dim

    def vectors_of(numbers: Ints) -> Floats32:
        vectors = np.empty((len(numbers), dim), dtype=np.float32)
        stored = numbers < before
        if there is not None:
            vectors[stored] = there.vectors(numbers[stored])
        new = np.flatnonzero(~stored)
        for block in np.array_split(new, max(-(-len(new) // _WRITTEN_AT_ONCE), 1)):
            digests = [chosen[number].content_sha256 for number in numbers[block] - before]
            cached = cache.read(digests)
            for at, digest in zip(block, digests, strict=True):
                vectors[at] = cached[digest]
        return vectors

    return write_reference_photos(
        index.path.parent,
        rows,
        vectors_of,
        dim=dim,
        model=index.manifest.model,
        h3_resolution=index.manifest.h3_resolution,
        index_type=options.index_type or index_type,
        prototypes=prototypes if options.prototypes is None else options.prototypes,
        quiet=options.quiet,
    )


def _joined(*tables: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(tables).combine_chunks()
