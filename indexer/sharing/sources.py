"""Sources of shared indexes: a local folder, an HTTP folder, a Hugging Face repository, a bundle.

A source hands out bytes of named files from any position; what they must be, the listing says. All
its words are checked by whoever reads them: a path never comes from a source unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gair.errors import SharingError, UsageError
from gair.files import open_file
from gair.http import http_client
from gair.info import PACKAGE, package_version
from indexer.sharing.listing import (
    LISTING_FILE,
    MOST_LISTING_BYTES,
    NAMES_FILE,
    SharedIndex,
    read_names,
)

if TYPE_CHECKING:
    import httpx

BLOCK_BYTES = 1 << 20
SILENCE_S = 30.0
"""A server that sends nothing for so long has not answered."""


class LostSourceError(SharingError):
    """A source stopped in the middle of a file; it may go on when it is asked again."""


class NoSuchFileError(SharingError):
    """A source does not have a file."""


class Source(Protocol):
    """Where shared indexes lie."""

    where: str
    """For people."""

    def blocks(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes of a file from a position on.

        Raises:
            NoSuchFileError: it is not there.
            LostSourceError: the source does not answer, or stopped.
        """

    def close(self) -> None:
        """Let go of it."""


class FolderSource:
    """A folder on this machine, or on a disk that it shares with others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)

    def blocks(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes of a file from a position on."""
        try:
            with open_file(self.folder / path) as file:
                file.seek(start)
                while block := file.read(BLOCK_BYTES):
                    yield block
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoSuchFileError(f"{self.where} has no {path}") from error
        except OSError as error:
            raise LostSourceError(f"cannot read {self.folder / path}: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is open."""


class HttpSource:
    """A folder that any HTTP server shows; it is asked for ranges, to go on in the middle."""

    def __init__(
        self, url: str, *, token: str | None = None, client: httpx.Client | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.where = self.url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        agent = f"{PACKAGE}/{package_version()}"
        self._client = client or http_client(agent, SILENCE_S, connections=4)

    def blocks(self, path: str, start: int) -> Iterator[bytes]:
        """The bytes of a file from a position on; without ranges it is read from its start."""
        import httpx

        headers = {**self._headers, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        url = f"{self.url}/{path}"
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                skip = self._skipped(response, url, start)
                if skip is None:
                    return
                for block in response.iter_bytes(BLOCK_BYTES):
                    rest = block[skip:]
                    skip -= len(block) - len(rest)
                    if rest:
                        yield rest
        except httpx.HTTPError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise LostSourceError(f"{url} does not answer: {reason}") from error
        except httpx.InvalidURL as error:
            raise UsageError(
                f"{url!r} is no address ({error}): give http(s)://HOST/FOLDER"
            ) from error

    @staticmethod
    def _skipped(response: httpx.Response, url: str, start: int) -> int | None:
        """How many bytes of the answer come before what was asked for; None where none is left."""
        status = response.status_code
        if status in (404, 410):
            raise NoSuchFileError(f"{url} is not there (status {status})")
        if status == 416:  # all of it is here already
            return None
        if status == 206:
            wanted = re.fullmatch(r"bytes (\d+)-.*", response.headers.get("Content-Range", ""))
            if wanted is None or int(wanted[1]) != start:
                raise SharingError(
                    f"{url} sent another range than byte {start} on: try another server"
                )
            return 0
        if status == 200:
            return start
        if status in (401, 403):
            raise SharingError(f"{url} is not for you (status {status}): log in, or set HF_TOKEN")
        raise LostSourceError(f"{url} answered with status {status}")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def read_document(source: Source, path: str) -> bytes:
    """A small file of a source.

    Raises:
        NoSuchFileError: it is not there.
        SharingError: it is larger than any such file, or the source does not answer.
    """
    content = b""
    for block in source.blocks(path, 0):
        content += block
        if len(content) > MOST_LISTING_BYTES:
            raise SharingError(
                f"{path} of {source.where} is larger than any listing: do not trust it"
            )
    return content


def shared_names(source: Source) -> dict[str, dict[str, Any]]:
    """The indexes of a source, and what is said of each in short.

    Raises:
        SharingError: it holds none, or does not answer.
    """
    try:
        text = read_document(source, NAMES_FILE)
    except NoSuchFileError as error:
        raise SharingError(
            f"{source.where} holds no shared indexes, for it has no {NAMES_FILE}: push one there "
            "first"
        ) from error
    return read_names(text, f"{NAMES_FILE} of {source.where}")


def shared_listing(source: Source, name: str) -> SharedIndex:
    """The listing of one index of a source.

    Raises:
        SharingError: there is none of that name, or it is damaged.
    """
    try:
        text = read_document(source, f"{name}/{LISTING_FILE}")
    except NoSuchFileError as error:
        names = ", ".join(shared_names(source)) or "none"
        raise SharingError(f"{source.where} has no index {name!r}; there are: {names}") from error
    return SharedIndex.from_json(text, f"{name}/{LISTING_FILE} of {source.where}")
