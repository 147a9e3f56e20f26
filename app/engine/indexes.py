"""Indexes of one folder, opened when they are first asked for, with one copy of each model."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gair.errors import IndexNotFoundError

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.photos.encoder import Runtime
    from indexer.search.geolocator import Geolocator
    from indexer.search.live import LiveGeolocator


class Indexes:
    """Opened indexes by name; safe to share between threads.

    A name counts only if it is that of an index in the folder, so no name reaches another place.
    """

    def __init__(
        self,
        folder: Path,
        model: str | None = None,
        runtime: Runtime = "torch",
        verify: Literal["first", "later"] = "later",
    ) -> None:
        """Take the folder; nothing is opened yet.

        Args:
            folder: of the indexes.
            model: what all are asked with, if not what their manifests name.
            runtime: what encodes photos.
            verify: as :class:`indexer.search.live.LiveGeolocator` takes it.
        """
        self.folder = folder
        self._verify = verify
        self._runtime = runtime
        self._model_spec = model
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._open: dict[str, LiveGeolocator] = {}

    def names(self) -> list[str]:
        """The indexes there are now, in alphabetical order; new builds count at once."""
        from indexer.index.storage import index_names

        return index_names(self.folder)

    def choose(self, name: str | None) -> str:
        """The name of an index that is there; without one, of the newest.

        Raises:
            IndexNotFoundError: there is none of that name, or none at all.
        """
        from indexer.index.index import newest_index, no_index

        if name is not None:
            self._check(name)
        elif not self.names():
            raise no_index(self.folder)
        else:
            return newest_index(self.folder)
        return name

    def open_now(self) -> dict[str, LiveGeolocator]:
        """What has been opened so far."""
        with self._lock:
            return dict(self._open)

    def get(self, name: str) -> Geolocator:
        """The index of that name as it serves now.

        The first who asks opens it; its large files are verified while it answers. Another build or
        calibration is opened in the background and takes over between two questions; one that
        cannot be used leaves the old one serving.

        Raises:
            IndexNotFoundError: there is none of that name.
            SearchIndexError: it cannot be used, or was found to be damaged.
            ModelError: its model cannot be loaded.
        """
        self._check(name)
        # A lock a name: while one index is read from disk, the others go on answering.
        with self._lock:
            opening = self._opening.setdefault(name, threading.Lock())
        with opening:  # held for long only while it is opened for the first time
            live = self._open.get(name) or self._opened(name)
        return live.current()

    def close(self) -> None:
        """End what runs in the background: the verification of what was opened."""
        for live in self.open_now().values():
            live.close()

    def _opened(self, name: str) -> LiveGeolocator:
        from indexer.index.index import read_manifest
        from indexer.index.storage import read_current
        from indexer.search.live import LiveGeolocator

        path = self.folder / name
        build, manifest_sha256 = read_current(path)
        needed = read_manifest(path / build, manifest_sha256).model.fingerprint
        model = self._loaded(needed) or self._model_spec
        live = LiveGeolocator(
            path,
            indexes_dir=self.folder,
            model=model,
            runtime=self._runtime,
            verify=self._verify,
        )
        with self._lock:
            self._open[name] = live
        return live

    def _loaded(self, fingerprint: str) -> Gair | None:
        """The model, if an index that is open uses it already."""
        serving = (live.serving() for live in self.open_now().values())
        same = (g.model for g in serving if g.index.manifest.model.fingerprint == fingerprint)
        return next(same, None)

    def _check(self, name: str) -> None:
        if name not in self.names():
            names = ", ".join(self.names()) or "none"
            raise IndexNotFoundError(f"no index {name!r}; there are: {names}")
