"""Names of photos on a command line: files, folders, globs that no shell opened, and ``-``."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gair.errors import PhotoError
from indexer.photos.listing import PHOTO_SUFFIXES, photo_files

STANDARD_INPUT = "-"
"""Stands for a photo that is piped in."""


def named_photos(words: Sequence[str]) -> list[str]:
    """The photos that words name, in their order: folders and globs by the names in them.

    Args:
        words: paths, ``file:`` addresses, folders, globs (``**`` for any depth) and ``-``.

    Raises:
        PhotoError: a folder holds no photo, or a glob matches no file.
        DatasetError: a folder cannot be looked into.
    """
    return [name for word in words for name in _named(word)]


def _named(word: str) -> Iterator[str]:
    if word == STANDARD_INPUT or os.path.isfile(word):
        yield word
    elif os.path.isdir(word):
        files = photo_files(Path(word))
        if not files:
            kinds = ", ".join(sorted(PHOTO_SUFFIXES))
            raise PhotoError(f"no photo in the folder {word}: it needs files that end in {kinds}")
        # Joined as it was typed: a Path would drop "./".
        yield from (os.path.join(word, file.relative_to(word)) for file in files)
    elif glob.has_magic(word) and not os.path.exists(word):
        files_matched = [name for name in glob.glob(word, recursive=True) if os.path.isfile(name)]
        if not files_matched:
            raise PhotoError(f"no file matches {word}: look at its folder, or name a photo")
        yield from sorted(files_matched)
    else:
        yield word
