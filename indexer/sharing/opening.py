"""Opening of sources: what the address of shared indexes means."""

from __future__ import annotations

import re
from pathlib import Path

from gair.errors import SharingError, UsageError
from indexer.sharing.bundle import BundleSource
from indexer.sharing.hub import HUB, hub_repository, open_repository
from indexer.sharing.sources import FolderSource, HttpSource, Source


def open_source(address: str | Path, *, token: str | None = None) -> Source:
    """What an address means.

    Args:
        address: a folder; ``http://`` or ``https://`` and a folder; ``hf:OWNER/NAME[@REVISION]``,
            a dataset repository; or a bundle, ``FILE.gair``.
        token: of the hub; what its own tools know unless given.

    Raises:
        UsageError: it is no address.
        SharingError: there is no such source.
    """
    text = str(address)
    if text.startswith(("http://", "https://")):
        return HttpSource(text)
    if text.startswith(HUB):
        return open_repository(*hub_repository(text), token=token)
    if re.match(r"[a-z][a-z0-9+.]+://", text):
        raise UsageError(
            f"{text!r} is no source: give a folder, http(s)://HOST/FOLDER, hf:OWNER/NAME, or "
            "FILE.gair"
        )
    path = Path(address)
    if path.is_file():
        return BundleSource(path)
    if not path.is_dir():
        raise SharingError(
            f"no folder or bundle {text!r}: give a folder, http(s)://HOST/FOLDER, hf:OWNER/NAME, "
            "or FILE.gair"
        )
    return FolderSource(path)
