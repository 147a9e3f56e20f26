"""Listing of a shared index: its files with their hashes, its model, and whose it is.

::

    SOURCE/indexes.json              {"format_version": 1, "indexes": {"london": ...}}
    SOURCE/london/listing.json       what this module writes and reads
    SOURCE/london/README.md          licences and credits, for people
    SOURCE/london/CURRENT            and all else as in an index folder (indexer.index.storage)

A folder that was pushed to is a folder of indexes by itself. Paths of a listing come from others:
each must be one that an index folder has, so none leads out of it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.errors import IndexCorruptError, SharingError
from gair.files import sha256_of
from gair.inputs.documents import json_of
from gair.inputs.field_checks import check_fields
from indexer.ground.manifest import POINTER_FILE, SET_MANIFEST_FILE, ReferenceManifest
from indexer.ground.reference_photos import check_set_file, current_set, read_set_manifest
from indexer.index.index import check_file, read_manifest
from indexer.index.manifest import MANIFEST_FILE, FileRecord, Manifest, ModelRecord
from indexer.index.storage import CURRENT_FILE, check_name, pointer_to, read_current
from indexer.probability.calibration import calibration_path

LISTING_FILE = "listing.json"
NAMES_FILE = "indexes.json"
CARD_FILE = "README.md"
FORMAT_VERSION = 1
"""Raised when an old reader could misread a new listing."""
MOST_LISTING_BYTES = 16 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_BUILD = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_SET = re.compile(rf"ground-{_BUILD.pattern}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class SharedPhotos:
    """Reference photos that are shared with an index."""

    folder: str
    """Of the set, in the index's folder."""
    photos: int
    licences: dict[str, int]
    sources: dict[str, int]


@dataclass(frozen=True)
class SharedIndex:
    """What one shared index is made of."""

    format_version: int
    name: str
    build: str
    created_utc: str
    cells: int
    h3_resolution: int
    region: dict[str, Any]
    """The field of the manifest: name, bbox, area, attribution."""
    model: ModelRecord
    imagery_attribution: str
    calibrated: bool
    reference_photos: SharedPhotos | None
    files: dict[str, FileRecord]
    """By path below the index's folder, with ``/`` between."""

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(record.size_bytes for record in self.files.values())

    @property
    def manifest_path(self) -> str:
        """Of the build's manifest."""
        return f"{self.build}/{MANIFEST_FILE}"

    def pointers(self) -> dict[str, bytes]:
        """The files that name what serves, which are made of the rest."""
        pointers = {CURRENT_FILE: pointer_to(self.build, self.files[self.manifest_path].sha256)}
        if (photos := self.reference_photos) is not None:
            record = self.files[f"{photos.folder}/{SET_MANIFEST_FILE}"]
            pointers[POINTER_FILE] = pointer_to(photos.folder, record.sha256)
        return pointers

    def to_json(self) -> bytes:
        """Canonical JSON: the same for the same index."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes, where: str) -> SharedIndex:
        """Parse a listing and check every path in it.

        Args:
            text: of the file.
            where: it came from, for messages.

        Raises:
            SharingError: it is no listing, of a newer kind, or names a file that no index has.
        """
        try:
            values: dict[str, Any] = json_of(text)
            version = values.get("format_version")
            if version != FORMAT_VERSION:
                raise SharingError(
                    f"{where} has format version {version!r}; this program reads {FORMAT_VERSION}: "
                    "update the program"
                )
            values["model"] = ModelRecord(**values["model"])
            if values["reference_photos"] is not None:
                values["reference_photos"] = SharedPhotos(**values["reference_photos"])
            values["files"] = {k: FileRecord(**v) for k, v in values["files"].items()}
            listing = cls(**values)
            parts = [listing, listing.model, *listing.files.values()]
            parts += [] if listing.reference_photos is None else [listing.reference_photos]
            for part in parts:
                check_fields(part, SharingError, where=f"{where} is not a listing: ")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SharingError(
                f"{where} is not a listing of a shared index ({error}): push it again"
            ) from error
        _check_paths(listing, where)
        return listing


def _check_paths(listing: SharedIndex, where: str) -> None:
    """Only files that an index folder has, and all that it needs; no path leads elsewhere."""
    check_name(listing.name)
    photos = listing.reference_photos
    needed = {listing.manifest_path: _BUILD.fullmatch(listing.build) is not None}
    folders = {listing.build}
    if photos is not None:
        needed[f"{photos.folder}/{SET_MANIFEST_FILE}"] = _SET.fullmatch(photos.folder) is not None
        folders.add(photos.folder)
    for path, fits in needed.items():
        if not fits or path not in listing.files:
            raise SharingError(f"{where} does not list {path!r} as an index does: push it again")
    for path, record in listing.files.items():
        folder, slash, name = path.rpartition("/")
        beside = not slash and path == calibration_path(Path(), listing.build).name
        if not beside and not (folder in folders and _FILE.fullmatch(name)):
            raise SharingError(
                f"{where} lists {path!r}, which is no file of an index: do not trust it"
            )
        if record.size_bytes < 0 or not _HASH.fullmatch(record.sha256):
            raise SharingError(f"{where} has no size and hash of {path!r}: push it again")


def list_index(
    folder: Path, *, reference_photos: bool = True, check: bool = True
) -> tuple[SharedIndex, list[str]]:
    """The listing of an index on this machine, all of whose files were checked.

    Args:
        folder: of the index.
        reference_photos: whether its reference photos are shared. Sets with private ones never are.
        check: hash every file, so that no damage is handed on.

    Returns:
        The listing, and what is left out, a line each.

    Raises:
        IndexNotFoundError: the folder has no finished build.
        IndexCorruptError: a file is missing or differs from what was built.
    """
    build, digest = read_current(folder)
    manifest = read_manifest(folder / build, digest)
    if check:
        for name in manifest.files:
            check_file(folder / build / name, manifest)
    files = {f"{build}/{name}": record for name, record in manifest.files.items()}
    files[f"{build}/{MANIFEST_FILE}"] = _record(folder / build / MANIFEST_FILE)
    calibration = calibration_path(folder, build)
    if calibration.is_file():
        files[calibration.name] = _record(calibration)
    photos, notes = None, []
    if (current := current_set(folder)) is not None:
        about = read_set_manifest(folder / current[0], current[1])
        if why := _why_not_shared(about, manifest, wanted=reference_photos):
            notes.append(f"{about.photos:,} reference photos are left out: {why}")
        else:
            photos = SharedPhotos(current[0], about.photos, about.licences, about.sources)
            files |= _set_files(folder / current[0], about, check=check)
    listing = SharedIndex(
        format_version=FORMAT_VERSION,
        name=manifest.name,
        build=build,
        created_utc=manifest.created_utc,
        cells=manifest.cells_indexed,
        h3_resolution=manifest.h3_resolution,
        region=manifest.region,
        model=manifest.model,
        imagery_attribution=str(manifest.imagery.get("attribution", "")),
        calibrated=calibration.name in files,
        reference_photos=photos,
        files=dict(sorted(files.items())),
    )
    return listing, notes


def _why_not_shared(about: ReferenceManifest, manifest: Manifest, *, wanted: bool) -> str:
    """Why reference photos stay here; empty where they may go."""
    if not wanted:
        return "as asked"
    if about.private:
        return f"{about.private:,} of them are private, which never leave; remove those to share"
    return "" if about.model.fingerprint == manifest.model.fingerprint else "of another model"


def _set_files(path: Path, about: ReferenceManifest, *, check: bool) -> Mapping[str, FileRecord]:
    if check:
        for name in about.files:
            check_set_file(path / name, about, anew=True)
    files = {f"{path.name}/{name}": record for name, record in about.files.items()}
    return files | {f"{path.name}/{SET_MANIFEST_FILE}": _record(path / SET_MANIFEST_FILE)}


def _record(file: Path) -> FileRecord:
    try:
        return FileRecord(sha256_of(file), file.stat().st_size)
    except OSError as error:
        raise IndexCorruptError(f"cannot read {file}: {error.strerror}") from error


def brief_of(listing: SharedIndex) -> dict[str, Any]:
    """What ``indexes.json`` says of an index."""
    return {
        "build": listing.build,
        "cells": listing.cells,
        "size_bytes": listing.size_bytes,
        "model": listing.model.name,
        "licence": listing.model.licence,
        "region": str(listing.region.get("name", "")),
        "calibrated": listing.calibrated,
    }


def with_names(before: Mapping[str, Any], new: Mapping[str, Any]) -> bytes:
    """``indexes.json`` with some indexes more, or anew."""
    indexes = dict(sorted({**before, **new}.items()))
    return json.dumps({"format_version": FORMAT_VERSION, "indexes": indexes}, indent=1).encode()


def read_names(text: bytes, where: str) -> dict[str, dict[str, Any]]:
    """The indexes of a source by name.

    Raises:
        SharingError: it is no such file.
    """
    try:
        values = json_of(text)
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format version is {values['format_version']!r}")
        names = {check_name(name): dict(about) for name, about in values["indexes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SharingError(f"{where} does not list shared indexes ({error})") from error
    return names
