"""Pulls of shared indexes: fetched beside the index, checked, and adopted in one step.

What came so far waits in ``.pulled-BUILD`` of the index's folder, so a pull that was ended goes on
from there. When every byte is there, the reference photos and the calibration are put in place,
which nobody reads before ``CURRENT`` names their build, and then the build as a finished build of
our own would be (:func:`indexer.index.storage.publish`). Until that moment the old build serves, or
nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gair.errors import SearchIndexError, SharingError
from gair.files import dead_temporaries, disk_errors, make_folder, sync_folder, write_whole
from indexer.ground.manifest import POINTER_FILE, SET_MANIFEST_FILE
from indexer.ground.reference_photos import (
    check_model,
    current_set,
    open_reference_photos,
    read_set_manifest,
)
from indexer.ground.write import changing
from indexer.index.default_folder import folder_of_indexes
from indexer.index.index import open_index, read_manifest
from indexer.index.manifest import MANIFEST_FILE, Manifest
from indexer.index.storage import (
    CURRENT_FILE,
    HIDDEN,
    PULLED,
    UNPUBLISHED,
    alone,
    check_name,
    orphans,
    publish,
    read_current,
    require_space,
)
from indexer.sharing.fetch import PATIENCE, fetch_files, is_whole
from indexer.sharing.listing import CARD_FILE, SharedIndex, list_index
from indexer.sharing.opening import open_source
from indexer.sharing.sources import Source, shared_listing, shared_names
from indexer.sharing.terms import card_of


@dataclass(frozen=True)
class PullReport:
    """What a pull did."""

    folder: Path
    """Of the index."""
    listing: SharedIndex
    moved_bytes: int
    """What came from the source now."""
    changed: bool
    """False where all of it was here already."""

    @property
    def lines(self) -> list[str]:
        """For people."""
        if not self.changed:
            return [f"{self.folder} is up to date: build {self.listing.build}"]
        return [
            f"index {self.folder.name}, build {self.listing.build}: {self.listing.cells:,} cells, "
            f"{self.moved_bytes:,} of {self.listing.size_bytes:,} bytes were moved"
        ]


def list_indexes(source: str | Path, *, token: str | None = None) -> dict[str, dict[str, object]]:
    """The indexes that a source shares, by name, and what it says of each in short.

    Args:
        source: as :func:`indexer.sharing.opening.open_source` takes it.
        token: of the hub.

    Raises:
        SharingError: the source holds none, or does not answer.
    """
    with contextlib.closing(open_source(source, token=token)) as opened:
        return dict(shared_names(opened))


def pull_index(
    source: str | Path,
    name: str | None = None,
    *,
    as_name: str | None = None,
    indexes_dir: str | Path | None = None,
    token: str | None = None,
    before: Callable[[SharedIndex], None] = lambda listing: None,
    quiet: bool = False,
) -> PullReport:
    """Bring a shared index here, or what changed of it.

    Args:
        source: a folder, ``http(s)://HOST/FOLDER``, ``hf:OWNER/NAME[@REVISION]``, or a bundle.
        name: of the index; the only one there is unless given.
        as_name: what its folder is called here; its own name unless given.
        indexes_dir: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
        token: of the hub.
        before: is shown the listing before anything is moved, to tell its licences
            (:func:`indexer.sharing.terms.terms_lines`); an error of its own ends the pull.
        quiet: no progress.

    Raises:
        SharingError: there is no such index, the source does not answer, or it sends something else
            than its listing says. Nothing changes for readers of an index that is here.
        StorageError: the disk refused, or a build of the index runs.
    """
    with contextlib.closing(open_source(source, token=token)) as opened:
        listing = shared_listing(opened, name or _only_name(opened))
        before(listing)
        folder = folder_of_indexes(indexes_dir) / check_name(as_name or listing.name)
        return _pulled(opened, listing, folder, quiet)


def _only_name(source: Source) -> str:
    names = list(shared_names(source))
    if len(names) != 1:
        there = ", ".join(names) or "none"
        raise SharingError(f"which index of {source.where}? There are: {there}; name one")
    return names[0]


def _pulled(source: Source, listing: SharedIndex, folder: Path, quiet: bool) -> PullReport:
    with _changing(folder):
        if _is_here(listing, folder):
            _clear(folder)
            return PullReport(folder, listing, 0, changed=False)
        _check_own_photos(listing, folder)
        waiting = folder / f"{PULLED}{listing.build}"
        _recover(listing.build, waiting, folder)
        own = _own_files(folder)
        have = sum(file.stat().st_size for file in waiting.rglob("*") if file.is_file())
        missing = [r.size_bytes for r in listing.files.values() if r.sha256 not in own]
        require_space(folder, max(sum(missing) - have, 0))
        moved = fetch_files(
            source,
            f"{listing.name}/",
            listing.files,
            waiting,
            here=own,
            quiet=quiet,
            patience=PATIENCE,
        )
        _check_opens(listing, waiting)
        _adopt(listing, waiting, folder)
        _clear(folder)
    return PullReport(folder, listing, moved, changed=True)


def _clear(folder: Path) -> None:
    """Remove what pulls left that are done, or that nobody will go on with."""
    for leftover in folder.glob(f"{PULLED}*"):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """Keep builds and changes of reference photos away; leave no folder that stayed empty."""
    new = not folder.exists()
    make_folder(folder)
    try:
        with alone(folder), changing(folder):
            yield
    except BaseException:
        if new and not any(folder.glob(f"{PULLED}*/**/*")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_here(listing: SharedIndex, folder: Path) -> bool:
    """Whether the same build serves here, with the same photos and calibration, undamaged."""
    pointers = listing.pointers()
    if not all((folder / name).is_file() for name in pointers):
        return False
    if any((folder / name).read_bytes() != content for name, content in pointers.items()):
        return False
    return all(is_whole(folder / path, record) for path, record in listing.files.items())


def _check_own_photos(listing: SharedIndex, folder: Path) -> None:
    """Refuse to serve a build beside reference photos of another model that were added here.

    Photos of the same model stay, unless the shared index has its own.
    """
    current = current_set(folder)
    if current is None:
        return
    path = folder / current[0]
    try:
        check_model(read_set_manifest(path, current[1]), listing.model.fingerprint, path)
    except SearchIndexError as error:
        raise SharingError(f"{error}; or pull it under another name") from error


def _own_files(folder: Path) -> dict[str, Path]:
    """Files of the index that serves here by their sha256; none where none does."""
    with contextlib.suppress(SearchIndexError):
        listing, _ = list_index(folder, check=False)
        return {record.sha256: folder / path for path, record in listing.files.items()}
    return {}


def _adopt(listing: SharedIndex, waiting: Path, folder: Path) -> None:
    """Put what was fetched in place; the pointer to the build changes last."""
    build = waiting / listing.build
    manifest = (build / MANIFEST_FILE).read_bytes()
    photos, pointers = listing.reference_photos, listing.pointers()
    for path in listing.files:
        if "/" not in path:  # a calibration, which only its own build reads
            with disk_errors(folder / path):
                os.replace(waiting / path, folder / path)
    if photos is not None:
        _put_folder(waiting / photos.folder, folder / photos.folder, SET_MANIFEST_FILE)
    if photos is not None and _same_model(listing, folder):
        write_whole(folder / POINTER_FILE, pointers[POINTER_FILE])
    write_whole(folder / CARD_FILE, card_of(listing))
    final = folder / listing.build
    if final.exists():  # it served before, and another came since
        _put_folder(build, final, MANIFEST_FILE)
        write_whole(folder / CURRENT_FILE, pointers[CURRENT_FILE])
    else:
        hidden = folder / f"{HIDDEN}{listing.build}"
        with disk_errors(hidden):
            shutil.rmtree(hidden, ignore_errors=True)
            os.rename(build, hidden)
        try:
            publish(hidden, listing.build, manifest)
        except BaseException:
            if hidden.exists() and not build.exists():
                os.rename(hidden, build)  # and the next pull need not fetch it again
            raise
    if photos is not None:
        write_whole(folder / POINTER_FILE, pointers[POINTER_FILE])


def _recover(build: str, waiting: Path, folder: Path) -> None:
    """Take back a build that was about to be adopted when an earlier pull was killed."""
    names = {folder / f"{HIDDEN}{build}", *(f for f in orphans(folder) if f.name == build)}
    for left in names:
        if left.exists() and not (waiting / build).exists():
            make_folder(waiting)
            with disk_errors(waiting):
                (left / UNPUBLISHED).unlink(missing_ok=True)
                os.rename(left, waiting / build)
    for where in (folder, waiting, waiting / build):
        for name in (CURRENT_FILE, POINTER_FILE, CARD_FILE, MANIFEST_FILE):
            for leftover in dead_temporaries(where, name):
                leftover.unlink(missing_ok=True)


def _check_opens(listing: SharedIndex, waiting: Path) -> None:
    """Open what was fetched as an index is opened: what the bytes say must agree, too."""
    manifest = waiting / listing.manifest_path
    _check_manifest(listing, Manifest.from_json(manifest.read_bytes(), manifest))
    for name, content in listing.pointers().items():
        write_whole(waiting / name, content)
    try:
        open_index(waiting)
        open_reference_photos(waiting)
    finally:
        for name in listing.pointers():
            (waiting / name).unlink(missing_ok=True)


def _same_model(listing: SharedIndex, folder: Path) -> bool:
    """Whether nothing serves here, or a build of the same model: photos may be there before it."""
    try:
        build, digest = read_current(folder)
        return read_manifest(folder / build, digest).model.fingerprint == listing.model.fingerprint
    except SearchIndexError:
        return True


def _check_manifest(listing: SharedIndex, manifest: Manifest) -> None:
    """The listing must not say less than the manifest, which an index is opened by."""
    for name, record in manifest.files.items():
        if listing.files.get(f"{listing.build}/{name}") != record:
            raise SharingError(
                f"the listing of {listing.name!r} does not fit its manifest ({name})"
            )
    if manifest.build != listing.build or manifest.model != listing.model:
        raise SharingError(f"the listing of {listing.name!r} is of another build than its manifest")


def _put_folder(new: Path, final: Path, manifest_file: str) -> None:
    """Move a folder into place; where one of its name is already, its files are made whole."""
    with disk_errors(final):
        if not final.exists():
            os.rename(new, final)
            sync_folder(final.parent)
            return
        names = sorted(file.name for file in new.iterdir())
        names.sort(key=lambda name: name == manifest_file)
        for name in names:
            os.replace(new / name, final / name)
        sync_folder(final)
