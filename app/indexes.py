"""The indexes of one folder, opened when they are first asked for, with one copy of each model."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from gair.errors import IndexNotFoundError

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.geolocate import Geolocator

Serving = tuple[str, str, tuple[int, int] | None]
"""What serves: the build, the hash of its manifest, and a stamp of its calibration."""


class Indexes:
    """Opened indexes by name; safe to share between threads.

    A name counts only if it is that of an index in the folder, so no name reaches another place.
    """

    def __init__(self, folder: Path, model: str | None = None) -> None:
        self.folder = folder
        self._wanted = model
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._open: dict[str, tuple[Serving, Geolocator]] = {}
        self._models: dict[str, Gair] = {}

    def names(self) -> list[str]:
        """The indexes there are now, in alphabetical order; new builds count at once."""
        from indexer.storage import index_names

        return index_names(self.folder)

    def choose(self, name: str | None) -> str:
        """The name of an index that is there; without one, of the only one there is.

        Raises:
            IndexNotFoundError: there is none of that name, or the choice is not clear.
        """
        from indexer.index import find_index

        if name is None:
            return find_index(None, self.folder).name
        self._serving(name)
        return name

    def open_now(self) -> dict[str, Geolocator]:
        """What has been opened so far."""
        with self._lock:
            return {name: geo for name, (_, geo) in self._open.items()}

    def get(self, name: str) -> Geolocator:
        """The index of that name as it serves now.

        Another build or calibration takes over as soon as the pointer names it: whoever asks first
        opens it, everybody else is served the one before until it is open. A model stays loaded as
        long as any index that is open here uses it.

        Raises:
            IndexNotFoundError: there is none of that name.
            SearchIndexError: it cannot be used.
            ModelError: its model cannot be loaded.
        """
        serving = self._serving(name)  # the one place to ask a LiveGeolocator instead
        with self._lock:
            known = self._open.get(name)
            opening = self._opening.setdefault(name, threading.Lock())
        if known and known[0] == serving:
            return known[1]
        if known and not opening.acquire(blocking=False):
            return known[1]
        if not known:
            opening.acquire()
        try:
            return self._reopened(name, serving)
        finally:
            opening.release()

    def _reopened(self, name: str, serving: Serving) -> Geolocator:
        with self._lock:
            known = self._open.get(name)
        if known and known[0] == serving:  # somebody else was faster
            return known[1]
        geo = self._opened(name, serving)
        with self._lock:
            self._open[name] = (serving, geo)
            used = {id(open_geo.model) for _, open_geo in self._open.values()}
            self._models = {k: m for k, m in self._models.items() if id(m) in used}
        return geo

    def _opened(self, name: str, serving: Serving) -> Geolocator:
        from indexer.geolocate import Geolocator
        from indexer.index import read_manifest

        path = self.folder / name
        needed = read_manifest(path / serving[0], serving[1]).model.fingerprint
        with self._lock:
            model = self._models.get(needed)
        geo = Geolocator.open(path, indexes_dir=self.folder, model=model or self._wanted)
        with self._lock:
            self._models[geo.index.manifest.model.fingerprint] = geo.model
        return geo

    def _serving(self, name: str) -> Serving:
        from indexer.calibration import calibration_path
        from indexer.storage import read_current

        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise IndexNotFoundError(f"no index {name!r}; there are: {known}")
        folder = self.folder / name
        build, manifest_sha256 = read_current(folder)
        try:
            stat = calibration_path(folder, build).stat()
        except OSError:
            return build, manifest_sha256, None
        return build, manifest_sha256, (stat.st_mtime_ns, stat.st_ino)
