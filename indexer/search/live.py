"""Live geolocator: an index that stays open and follows its newest build.

>>> live = LiveGeolocator("london")
>>> answer = live.current().search("photo.jpg")

Before each request three files are looked at, not read. Where one changed, the new build, the new
calibration or the new reference photos are opened and checked in the background while the old one
goes on serving; then they change places between two requests. A request that began on the old build
ends on it. A build that cannot be opened is reported in :attr:`LiveGeolocator.problem` and not
tried again until something changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.processes.forks import renew_in_child
from indexer.ground.likelihood import GroundKernel
from indexer.ground.manifest import POINTER_FILE
from indexer.index.index import find_index, open_index
from indexer.index.storage import CURRENT_FILE
from indexer.photos.encoder import Runtime, load_model, load_photo_tower
from indexer.probability.calibration import calibration_path
from indexer.search.geolocator import Geolocator, model_to_reopen
from indexer.search.query import Query
from indexer.search.shortlist import looks_at_all

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.index.index import Index

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class _Seen:
    """What the files looked like when a build was opened."""

    current: Stamp
    ground: Stamp
    calibration: Stamp


class LiveGeolocator:
    """Gives the geolocator of the newest sound build; safe to share between threads."""

    def __init__(
        self,
        index: str | Path | None = None,
        *,
        indexes_dir: str | Path | None = None,
        model: Gair | str | None = None,
        runtime: Runtime = "torch",
    ) -> None:
        """Open an index, as :meth:`indexer.search.geolocator.Geolocator.open` does.

        Raises:
            GairError: the first build cannot be opened.
        """
        self._folder = find_index(index, indexes_dir).resolve()
        seen = self._look(None)
        self._serving = Geolocator.open(self._folder, model=model, runtime=runtime)
        # The pointer was looked at before it was read: had it changed between, that shows next.
        calibration = self._look(self._serving).calibration
        self._seen = replace(seen, calibration=calibration)
        self._failed: _Seen | None = None
        self._opening = threading.Lock()
        self._worker: threading.Thread | None = None
        self.problem = ""
        """Why the newest build does not serve; empty while it does."""
        renew_in_child(self)

    def __reduce__(self) -> tuple[Callable[..., LiveGeolocator], tuple[Any, ...]]:
        return _reopened, (self._folder, model_to_reopen(self._serving))

    def after_fork(self) -> None:
        """The thread that was opening a build is not in the child: the next request tries again."""
        self._opening = threading.Lock()
        self._worker = None

    def current(self) -> Geolocator:
        """The geolocator for a request that begins now; never waits."""
        serving = self._serving
        seen = self._look(serving)
        if seen not in (self._seen, self._failed) and self._opening.acquire(blocking=False):
            self._worker = threading.Thread(
                target=self._open_and_release, args=(seen,), name="open-index", daemon=True
            )
            self._worker.start()
        return serving

    def newest(self) -> Geolocator:
        """The same, but waits until the newest build is open, or was found to be broken."""
        while True:
            self.current()
            with self._opening:  # until the worker lets go of it
                if self._look(self._serving) in (self._seen, self._failed):
                    return self._serving

    def _look(self, serving: Geolocator | None) -> _Seen:
        current, ground = (stamp_of(self._folder / name) for name in (CURRENT_FILE, POINTER_FILE))
        if serving is None:
            return _Seen(current, ground, None)
        path = calibration_path(self._folder, serving.index.manifest.build)
        return _Seen(current, ground, stamp_of(path))

    def _open_and_release(self, seen: _Seen) -> None:
        # Two frames: whoever waits for the lock may rely on the old build being let go of.
        try:
            self._open(seen)
        finally:
            self._opening.release()

    def _open(self, seen: _Seen) -> None:
        old = self._serving
        try:
            # The same build with another calibration, or other photos, need not be opened again.
            same = seen.current == self._seen.current
            index = old.index if same else open_index(self._folder)
            new = Geolocator(index, self._model_of(index))
            calibration = self._look(new).calibration
            _warm(new)
        except Exception as error:  # whatever it is, the old build can go on
            self.problem = f"build {old.index.manifest.build} goes on serving: {error}"
            self._failed = seen
            return
        self._serving = new
        self._seen = replace(seen, calibration=calibration)
        self._failed = None
        self.problem = ""

    def _model_of(self, index: Index) -> Gair:
        """The model that is loaded already, where it made this build, too."""
        old, record = self._serving, index.manifest.model
        if record.fingerprint == old.index.manifest.model.fingerprint:
            return old.model
        if old.space.runtime == "onnx":
            return load_photo_tower(index)
        return load_model(index).to(old.model.device)


def _reopened(folder: Path, model: Gair | str | None) -> LiveGeolocator:
    return LiveGeolocator(folder, model=model)


def _warm(geolocator: Geolocator) -> None:
    """Do what the first request would do, while others still serve."""
    space = geolocator.space
    if space.ground is not None and space.weights.ground_weight:
        kernel = GroundKernel.of(space.weights)
        space.ground.prepare(kernel)
    if geolocator.index.shortlists is None or looks_at_all(space, Query()):
        space.discs(space.merge_radius_m)
        _ = space.reader
    elif geolocator.calibration is not None:
        _ = space.sample


def stamp_of(path: Path) -> Stamp:
    """Time, inode and size of a file: they change when it is written anew; None without it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
