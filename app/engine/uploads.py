"""Uploads: photos that were sent, typed by their content, held for as long as they are needed.

An upload is written to a folder of its own, so two people who send the same photo share nothing.
The first question about it reads the file into memory and **deletes it at once**; for
:data:`app.engine.limits.KEPT_SECONDS` after the last question, and within a fixed amount of memory,
the photo can be asked about again with other settings. Then it is gone. A file that nobody asks
about is deleted after as long. Photos that come to ``POST /search`` are never written anywhere.

Paths come from whoever calls the server, so a path is only a key here: it is looked up among the
kept photos, and read from disk only if it is, links followed, a plain file inside the folder of
uploads. What a photo claims to be (its file name, its declared type) is never believed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from cachetools import TTLCache

from app.engine.limits import KEPT_SECONDS, Limits
from gair.errors import PhotoError, PhotoSizeError, PhotoTypeError, StorageError
from gair.photos.heif import INSTALL, can_read_heif, is_heif

GONE = "the server has deleted this photo by now; choose it again"
MOST_NAME = 80
"""Longest file name that is repeated to anybody, in characters."""

_KINDS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif"}
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF")
"""Pillow's names of the same; HEIF counts where its extra is installed."""
_READABLE = "JPEG, PNG, WebP, TIFF, GIF, BMP or AVIF"


@dataclass(frozen=True)
class Upload:
    """A photo file that somebody sent."""

    name: str
    """What to call it: a file name as :func:`plain_name` makes it."""
    content: bytes = field(repr=False)
    """The file, byte for byte."""


def photo_kind(content: bytes) -> str | None:
    """The media type of a photo by its first bytes; None if it is none that is read here."""
    for start, kind in _KINDS:
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if is_heif(content[:12]) and can_read_heif():
        return "image/heic"
    return _BRANDS.get(content[8:12]) if content[4:8] == b"ftyp" else None


def check_upload(upload: Upload, limits: Limits) -> None:
    """Refuse a file before any decoder sees it.

    Raises:
        PhotoSizeError: it is larger than an upload may be.
        PhotoTypeError: its content is none of a photo.
        PhotoError: it is empty.
    """
    name, content = upload.name, upload.content
    if len(content) > limits.max_upload_bytes:
        raise PhotoSizeError(
            f"{name} has {len(content) / 1e6:,.1f} MB; send {limits.max_upload_mb:g} MB or less"
        )
    if not content:
        raise PhotoError(f"{name} is empty (0 bytes); copy or download it again")
    if photo_kind(content) is None:
        if is_heif(content[:12]):
            raise PhotoTypeError(
                f"{name} is a HEIC/HEIF photo: export it as JPEG, or ask who runs this page for "
                f"{INSTALL}"
            )
        raise PhotoTypeError(f"{name} is not a photo in a known format: send {_READABLE}")


def plain_name(name: str | None) -> str:
    """A file name without folders, control characters and the like, and of bounded length."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    plain = "".join(c for c in last if c.isprintable()).strip()
    if len(plain) > MOST_NAME:
        plain = f"{plain[: MOST_NAME - 11]}...{plain[-8:]}"
    return plain or "photo"


@dataclass(frozen=True)
class _Kept:
    """A photo in memory."""

    upload: Upload
    holders: int = 1
    """How many sent it to this path; the last one who lets it go ends it."""


class Uploads:
    """The photos that were uploaded to the page, by the path that the browser knows them by."""

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        kept_s: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder.resolve()
        self._limits = limits
        self._kept_s = kept_s
        most = limits.kept_mb * 1e6
        # One lock for cache and files: a path is read, deleted and remembered in one step, so two
        # questions that come at once cannot both find the file, or both find it gone.
        self._lock = threading.Lock()
        # The newest upload is always kept, so one alone never counts for more than there is room.
        self._kept: TTLCache[str, _Kept] = TTLCache(
            most, kept_s, timer=clock, getsizeof=lambda kept: min(len(kept.upload.content), most)
        )

    def write(self, name: str, file: BinaryIO) -> str:
        """Write a photo that was sent to a folder of its own.

        Nobody can guess the path, and nobody else's photo is ever at it.

        Args:
            name: of the file, without folders.
            file: at the beginning of its content.

        Returns:
            Its path, which :meth:`take` knows it by.

        Raises:
            StorageError: the disk refused.
        """
        folder = self.folder / secrets.token_urlsafe(16)
        try:
            folder.mkdir(mode=0o700)
            with (folder / name).open("wb") as target:
                shutil.copyfileobj(file, target)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"cannot keep an upload in {self.folder}: {error.strerror}; free some space there"
            ) from error
        return str(folder / name)

    def take(self, path: str | os.PathLike[str]) -> Upload:
        """The photo that was uploaded to a path; its file is deleted, if that is still there.

        Raises:
            PhotoError: it is gone, was never there, or is none of the uploads.
            PhotoSizeError: it is larger than an upload may be.
        """
        key = os.fspath(path)
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                kept = _Kept(self._read(key))
            elif self.holds(key):  # the same photo came to its path again, from somebody else
                self._delete(key)
                kept = replace(kept, holders=kept.holders + 1)
            self._kept[key] = kept  # a photo that was asked about again starts its time anew
            return kept.upload

    def peek(self, path: str) -> Upload | None:
        """The photo at a path if it is in memory."""
        with self._lock:
            kept = self._kept.get(path)
            return None if kept is None else kept.upload

    def holds(self, path: str) -> bool:
        """Whether a path names a plain file in the folder of uploads, links followed."""
        try:
            real = Path(path).resolve()
            return real.is_relative_to(self.folder) and real.is_file()
        except (OSError, ValueError):  # a NUL, or a name that is too long
            return False

    def forget(self, path: str | os.PathLike[str]) -> None:
        """Let one photo go, in memory and in the folder, unless somebody else holds it, too."""
        key = os.fspath(path)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.holders > 1:
                self._kept[key] = replace(kept, holders=kept.holders - 1)
                return
            self._kept.pop(key, None)
            self._delete(key)

    def sweep(self) -> None:
        """Let go what was kept long enough, in memory and in the folder."""
        with self._lock:
            self._kept.expire()
        oldest = time.time() - self._kept_s
        for file, status in self._files():
            if status.st_mtime < oldest:
                self._delete(str(file))

    def on_disk(self) -> int:
        """Bytes of uploads that nobody asked about yet."""
        return sum(status.st_size for _, status in self._files())

    @property
    def kept(self) -> int:
        """How many photos are in memory."""
        with self._lock:
            return len(self._kept)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        # os.walk passes over a folder that somebody else takes away meanwhile.
        for folder, _, names in os.walk(self.folder):
            for file in (Path(folder, name) for name in names):
                with contextlib.suppress(OSError):  # somebody else was faster
                    if file.is_file():
                        yield file, file.stat()

    def _read(self, path: str) -> Upload:
        if not self.holds(path):
            raise PhotoError(GONE)
        file, name = Path(path), plain_name(path)
        try:
            with file.open("rb") as handle:
                # One byte more than allowed tells a file that is too large, whatever its size.
                content = handle.read(self._limits.max_upload_bytes + 1)
        except OSError as error:
            raise PhotoError(GONE) from error
        self._delete(path)
        if len(content) > self._limits.max_upload_bytes:
            raise PhotoSizeError(f"{name} is larger than {self._limits.max_upload_mb:g} MB")
        return Upload(name, content)

    def _delete(self, path: str) -> None:
        """Delete a file of the uploads, and the folder that was made for it.

        What a path leads to is looked up again: nothing outside the folder is ever deleted.
        """
        if not self.holds(path):
            return
        with contextlib.suppress(OSError):  # somebody else was faster
            Path(path).unlink()
            if Path(path).parent.resolve() != self.folder:
                Path(path).parent.rmdir()
