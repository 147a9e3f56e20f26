"""Bundle of an index: one file, ``NAME.gair``, which is a zip of stored files with their listing.

``listing.json`` comes first, then ``README.md``, then every file; nothing is compressed, because
vectors do not shrink, and so a bundle can be read from any position and is as large as it says.
The same index makes the same bundle, byte for byte. It is a source as others are: opening one is a
pull.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gair.errors import SharingError
from gair.files import check_is_file, disk_errors, open_file
from gair.progress import Progress
from indexer.index.storage import require_space
from indexer.sharing.listing import (
    CARD_FILE,
    LISTING_FILE,
    MOST_LISTING_BYTES,
    NAMES_FILE,
    SharedIndex,
    brief_of,
    list_index,
    with_names,
)
from indexer.sharing.sources import BLOCK_BYTES, LostSourceError, NoSuchFileError
from indexer.sharing.terms import card_of

BUNDLE = ".gair"
"""Ends the name of a bundle."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_MOST_ENTRIES = 10_000


@dataclass(frozen=True)
class SharedReport:
    """What was written of an index, and where."""

    listing: SharedIndex
    where: str
    moved_bytes: int
    left_out: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For people."""
        listing = self.listing
        return [
            f"{self.where}: index {listing.name}, build {listing.build}, {listing.cells:,} cells; "
            f"{self.moved_bytes:,} of {listing.size_bytes:,} bytes were moved",
            *(f"note: {line}" for line in self.left_out),
        ]


def bundle_index(
    folder: str | Path, file: str | Path, *, reference_photos: bool = True, quiet: bool = False
) -> SharedReport:
    """Write an index into one file, which appears whole or not at all.

    Args:
        folder: of the index.
        file: of the bundle, ``NAME.gair``; one that is there is replaced.
        reference_photos: whether its reference photos go along.
        quiet: no progress.

    Raises:
        IndexCorruptError: a file of the index is missing or differs from what was built.
        StorageError: the disk refused.
    """
    home, path = Path(folder), Path(file)
    listing, left_out = list_index(home, reference_photos=reference_photos)
    require_space(path.parent, listing.size_bytes)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with (
            disk_errors(path),
            temporary.open("wb") as raw,
            Progress("bundling", listing.size_bytes, "byte", quiet=quiet) as progress,
        ):
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                archive.writestr(_entry(LISTING_FILE), listing.to_json())
                archive.writestr(_entry(CARD_FILE), card_of(listing))
                for name, record in listing.files.items():
                    entry = _entry(name)
                    entry.file_size = record.size_bytes
                    with archive.open(entry, "w") as target, open_file(home / name) as source:
                        while block := source.read(BLOCK_BYTES):
                            target.write(block)
                            progress.advance(len(block))
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return SharedReport(listing, str(path), listing.size_bytes, tuple(left_out))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.external_attr = 0o644 << 16
    return entry


class BundleSource:
    """A bundle as a source of one index. Nothing is extracted by what the zip says of itself.

    Raises:
        SharingError: it is no bundle, or holds what no bundle of ours does: other files than it
            lists, compressed ones, or sizes that differ.
    """

    def __init__(self, file: Path) -> None:
        self.where = str(file)
        try:
            check_is_file(file)
            self._file = open_file(file)
        except OSError as error:
            raise SharingError(f"cannot read {file}: {error.strerror}") from error
        try:
            self._entries, self.listing = self._checked()
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, KeyError) as error:
            self.close()
            raise SharingError(
                f"{file} is no bundle of an index, or is damaged ({error})"
            ) from error
        except SharingError:
            self.close()
            raise

    def _checked(self) -> tuple[dict[str, zipfile.ZipInfo], SharedIndex]:
        self._zip = zipfile.ZipFile(self._file)
        infos = self._zip.infolist()
        if len(infos) > _MOST_ENTRIES:
            raise SharingError(f"{self.where} has {len(infos):,} files, more than any bundle")
        entries = {info.filename: info for info in infos}
        odd = [i for i in infos if i.compress_type != zipfile.ZIP_STORED or i.flag_bits & 1]
        odd += [i for i in infos if i.file_size != i.compress_size]
        if odd:
            raise SharingError(
                f"{self.where} holds {odd[0].filename!r} compressed or encrypted, which no bundle "
                "does: do not trust it"
            )
        if len(entries) != len(infos):
            raise SharingError(f"{self.where} holds a file twice: do not trust it")
        about = entries[LISTING_FILE]
        if about.file_size > MOST_LISTING_BYTES:
            raise SharingError(f"{self.where} has a listing larger than any: do not trust it")
        text = self._zip.read(about)
        listing = SharedIndex.from_json(text, f"{LISTING_FILE} of {self.where}")
        sizes = {name: record.size_bytes for name, record in listing.files.items()}
        others = {name: e.file_size for name, e in entries.items()}
        for name in (LISTING_FILE, CARD_FILE):
            others.pop(name, None)
        if sizes != others:
            name = min(set(sizes.items()) ^ set(others.items()))[0]
            raise SharingError(f"{self.where} holds other files than it lists: {name!r}")
        return entries, listing

    def blocks(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes of a file from a position on."""
        if path == NAMES_FILE:
            yield with_names({}, {self.listing.name: brief_of(self.listing)})
            return
        entry = self._entries.get(path.removeprefix(f"{self.listing.name}/"))
        if entry is None:
            raise NoSuchFileError(f"{self.where} has no {path}")
        try:
            with self._zip.open(entry) as file:
                file.seek(start)
                while block := file.read(BLOCK_BYTES):
                    yield block
        except (zipfile.BadZipFile, OSError, struct.error) as error:
            raise LostSourceError(f"{path} of {self.where} is damaged ({error})") from error

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(AttributeError):
            self._zip.close()
        self._file.close()
