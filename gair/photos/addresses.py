"""Addresses in the place of paths: ``file:`` is one, others are refused and never fetched."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

from gair.errors import PhotoError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_MOST_SHOWN = 80


def path_of(source: str | os.PathLike[str]) -> str:
    """A path as it was given, or that of a ``file:`` address.

    Raises:
        PhotoError: it is an address of another kind.
    """
    path = os.fsdecode(source)
    if path[:5].lower() == "data:":
        raise PhotoError(
            f"a data: address of {len(path):,} characters is no path: decode it and pass the bytes"
        )
    scheme = _SCHEME.match(path)
    if scheme is None or os.path.exists(path):
        return path
    if scheme[1].lower() != "file":
        raise PhotoError(
            f"{shortened(path)} is an address, and photos are not fetched: download it and name "
            "the file"
        )
    parts = urlsplit(path)
    if parts.netloc not in ("", "localhost"):
        raise PhotoError(f"{shortened(path)} is on another machine: copy it and name the file")
    return unquote(parts.path, errors="surrogateescape")


def shortened(path: str) -> str:
    """A path for an error: what is longer than any sensible one is cut."""
    return path if len(path) <= 4 * _MOST_SHOWN else f"{path[:_MOST_SHOWN]}..."
