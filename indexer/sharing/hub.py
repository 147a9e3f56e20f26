"""Hugging Face hub as a place of shared indexes: dataset repositories.

They are read over HTTP and written by the hub's own client. A pull asks once which commit a
revision is, and then reads files of that commit: it cannot get half of one push and half of the
next.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.errors import SharingError, UsageError
from gair.http import http_client
from gair.info import PACKAGE, package_version
from gair.progress import say
from indexer.sharing.listing import (
    CARD_FILE,
    LISTING_FILE,
    NAMES_FILE,
    SharedIndex,
    brief_of,
    with_names,
)
from indexer.sharing.sources import (
    SILENCE_S,
    HttpSource,
    NoSuchFileError,
    read_document,
    shared_listing,
    shared_names,
)
from indexer.sharing.terms import card_of

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    Operation = CommitOperationAdd | CommitOperationDelete

HUB = "hf:"
_HUB_ID = re.compile(r"hf:(?:datasets/)?([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")


def hub_repository(address: str) -> tuple[str, str | None]:
    """Repository and revision of ``hf:OWNER/NAME[@REVISION]``.

    Raises:
        UsageError: it is something else.
    """
    match = _HUB_ID.fullmatch(address)
    if match is None:
        raise UsageError(
            f"{address!r} is no repository: write hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
        )
    return match[1], match[2]


def open_repository(repository: str, revision: str | None, *, token: str | None) -> HttpSource:
    """A dataset repository at the commit that a revision is now.

    Raises:
        SharingError: there is none, it is private, or the hub does not answer.
    """
    api = _api(token)
    try:
        commit = api.dataset_info(repository, revision=revision, timeout=SILENCE_S).sha
    except Exception as error:  # which HTTP library fails differs between its releases
        raise _refused(repository, error) from error
    return _source(api, repository, commit or revision or "main")


def _source(api: HfApi, repository: str, revision: str) -> HttpSource:
    from huggingface_hub import get_token

    token = api.token if isinstance(api.token, str) else get_token()
    client = http_client(f"{PACKAGE}/{package_version()}", SILENCE_S, connections=4)
    url = f"{api.endpoint}/datasets/{repository}/resolve/{revision}"
    source = HttpSource(url, token=token, client=client)
    source.where = f"hf:{repository}"
    return source


def push_to_repository(
    home: Path,
    listing: SharedIndex,
    repository: str,
    revision: str | None,
    *,
    private: bool,
    token: str | None,
    quiet: bool,
) -> int:
    """Push what changed in one commit; returns the bytes of the files in it.

    What the hub has of a push that was ended is not sent again.

    Raises:
        SharingError: the hub refused, or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    if quiet:
        disable_progress_bars()
    api = _api(token)
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        before, listings, names = _there(api, repository, revision, listing)
        changed = {
            path: record
            for path, record in listing.files.items()
            if before is None or before.files.get(path) != record
        }
        gone = set() if before is None else set(before.files) - set(listing.files)
        texts = {
            f"{listing.name}/{LISTING_FILE}": listing.to_json(),
            f"{listing.name}/{CARD_FILE}": card_of(listing),
            NAMES_FILE: with_names(names, {listing.name: brief_of(listing)}),
            CARD_FILE: card_of(listings),
        }
        texts |= {f"{listing.name}/{name}": c for name, c in listing.pointers().items()}
        operations: list[Operation] = [
            CommitOperationAdd(f"{listing.name}/{path}", str(home / path)) for path in changed
        ]
        operations += [CommitOperationAdd(path, content) for path, content in texts.items()]
        operations += [CommitOperationDelete(f"{listing.name}/{path}") for path in sorted(gone)]
        moved = sum(record.size_bytes for record in changed.values())
        say(f"pushing {moved:,} bytes in {len(changed)} files to hf:{repository}", quiet=quiet)
        api.create_commit(
            repository,
            operations,
            commit_message=f"Index {listing.name}, build {listing.build}",
            repo_type="dataset",
            revision=revision,
        )
    except SharingError:
        raise
    except Exception as error:
        raise _refused(repository, error) from error
    return moved


def _there(
    api: HfApi, repository: str, revision: str | None, listing: SharedIndex
) -> tuple[SharedIndex | None, dict[str, SharedIndex], dict[str, Any]]:
    """What was pushed before: the index, all of them with the new one, and what is said of each."""
    source = _source(api, repository, revision or "main")
    try:
        names: dict[str, Any] = {}
        try:
            read_document(source, NAMES_FILE)
            names = shared_names(source)
        except NoSuchFileError:
            pass
        there = {name: shared_listing(source, name) for name in names}
    finally:
        source.close()
    return there.get(listing.name), {**there, listing.name: listing}, names


def _api(token: str | None) -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(token=token)


def _refused(repository: str, error: Exception) -> SharingError:
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, RepositoryNotFoundError):
        why = (
            "no such dataset repository, or it is private: check the name, log in, or set HF_TOKEN"
        )
    elif isinstance(error, RevisionNotFoundError):
        why = "no such revision: check what follows the @"
    else:
        reason = " ".join(str(error).split())[:300]
        why = f"{type(error).__name__}: {reason}; check the network, the name and HF_TOKEN"
    return SharingError(f"hf:{repository} does not do it: {why}")
