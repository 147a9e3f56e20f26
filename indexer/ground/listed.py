"""Lists of photos to add as reference photos: where each can be looked at, and whose it is.

A list is what :mod:`indexer.photos.listing` reads. Providers put the address of a photo's page in
its link, its source or its credit; all three are looked into.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from indexer.photos.listing import ListedPhoto, read_photos

_ADDRESS = re.compile(r"https?://[^\s,;\"'<>]+")


def list_photos(photos: str | Path | Sequence[ListedPhoto]) -> tuple[list[ListedPhoto], str]:
    """The photos of a list, and the source of those that name none.

    Raises:
        DatasetError: the list cannot be read.
        UsageError: it is no list.
    """
    if not isinstance(photos, str | Path):
        return list(photos), ""
    path = Path(photos)
    listed = read_photos(path, if_there=() if path.is_dir() else ("url",))
    resolved = path.resolve()
    return listed, resolved.name if path.is_dir() else resolved.stem


def link_of(photo: ListedPhoto) -> str:
    """Where a photo can be looked at: its link, or the first address that anything else names."""
    texts = (photo.link, photo.extra.get("url", ""), photo.source, photo.attribution)
    addresses = (match[0] for text in texts if (match := _ADDRESS.search(text)))
    return next(addresses, photo.link)


def source_of(photo: ListedPhoto, fallback: str) -> str:
    """The name of a photo's source: of an address its host, so that it can be asked for."""
    if _ADDRESS.fullmatch(photo.source):
        return (urlsplit(photo.source).hostname or photo.source).removeprefix("www.")
    return photo.source or fallback
