"""Pushes of an index: into a local folder, or a dataset repository of the Hugging Face hub.

Only what changed moves. In a folder the listing and the pointer change last, so who reads it gets
the old build or the new one; on the hub all changes are one commit.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from gair.errors import SearchIndexError, SharingError, UsageError
from gair.files import exclusive, make_folder, write_whole
from indexer.ground.prune import prune_reference_photos
from indexer.index.prune import prune_index
from indexer.index.storage import require_space
from indexer.sharing.bundle import BUNDLE, SharedReport
from indexer.sharing.fetch import fetch_files
from indexer.sharing.hub import HUB, hub_repository, push_to_repository
from indexer.sharing.listing import (
    CARD_FILE,
    LISTING_FILE,
    NAMES_FILE,
    SharedIndex,
    brief_of,
    list_index,
    with_names,
)
from indexer.sharing.sources import (
    FolderSource,
    shared_listing,
    shared_names,
)
from indexer.sharing.terms import card_of


def push_index(
    folder: str | Path,
    destination: str | Path,
    *,
    reference_photos: bool = True,
    private: bool = False,
    token: str | None = None,
    quiet: bool = False,
) -> SharedReport:
    """Share an index: write it, or what changed of it, where others pull it from.

    Args:
        folder: of the index, all of whose files are checked first.
        destination: a folder, made if it is not there, or ``hf:OWNER/NAME``, a dataset repository,
            made if the token may.
        reference_photos: whether its reference photos go along. Sets with private ones never do.
        private: whether a repository that is made is private.
        token: of the hub; what its own tools know unless given.
        quiet: no progress.

    Raises:
        UsageError: nothing can be written there.
        IndexCorruptError: a file of the index is missing or differs from what was built.
        SharingError: the hub refused.
        StorageError: the disk refused.
    """
    home, text = Path(folder), str(destination)
    if text.startswith(("http://", "https://")):
        raise UsageError(
            f"{text} can only be pulled from: push to a folder and let a server show that, or to "
            "hf:OWNER/NAME"
        )
    if text.endswith(BUNDLE):
        raise UsageError(f"{text!r} is a bundle: write it with gair index bundle")
    listing, left_out = list_index(home, reference_photos=reference_photos)
    if text.startswith(HUB):
        repository, revision = hub_repository(text)
        moved = push_to_repository(
            home, listing, repository, revision, private=private, token=token, quiet=quiet
        )
        return SharedReport(listing, text, moved, tuple(left_out))
    moved = _push_to_folder(home, listing, Path(destination), quiet)
    return SharedReport(listing, text, moved, tuple(left_out))


def _push_to_folder(home: Path, listing: SharedIndex, share: Path, quiet: bool) -> int:
    target = share / listing.name
    if target.exists() and target.resolve() == home.resolve():
        raise UsageError(f"{share} is where the index itself lies: name another folder")
    make_folder(target)
    with exclusive(share / ".push.lock", f"another push to {share} is running: wait for it"):
        there = FolderSource(share)
        before = _listing_there(there, listing.name)
        new = [
            record.size_bytes
            for path, record in listing.files.items()
            if before is None or before.files.get(path) != record
        ]
        require_space(target, sum(new))
        here = {} if before is None else {r.sha256: target / p for p, r in before.files.items()}
        moved = fetch_files(FolderSource(home), "", listing.files, target, here=here, quiet=quiet)
        write_whole(target / CARD_FILE, card_of(listing))
        write_whole(target / LISTING_FILE, listing.to_json())
        for name, content in sorted(listing.pointers().items(), reverse=True):
            write_whole(target / name, content)
        names = {}
        with contextlib.suppress(SharingError):
            names = shared_names(there)
        write_whole(share / NAMES_FILE, with_names(names, {listing.name: brief_of(listing)}))
        _remove_old(target)
    return moved


def _listing_there(source: FolderSource, name: str) -> SharedIndex | None:
    """What was pushed before; None where nothing was, or it is damaged."""
    try:
        return shared_listing(source, name)
    except SharingError:
        return None


def _remove_old(target: Path) -> None:
    """Builds that were pushed before go, but for those that a process has open."""
    with contextlib.suppress(SearchIndexError):
        prune_index(target)
        prune_reference_photos(target)
