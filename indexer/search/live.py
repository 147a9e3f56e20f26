"""Live geolocator: an index that stays open and follows its newest build.

>>> live = LiveGeolocator("london")
>>> answer = live.current().search("photo.jpg")

Before each request three files are looked at, not read. Where one changed, the new build, the new
calibration or the new reference photos are opened and checked in the background while the old one
goes on serving; then they change places between two requests. A request that began on the old build
ends on it. A build that cannot be opened is reported in :attr:`LiveGeolocator.problem` and not
tried again until something changes.

A server that must be up soon leaves the large files of the first build to be verified while it
answers (``verify="later"``). Where one turns out to be damaged, nothing more is answered until the
file is mended or another build is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gair.processes.forks import renew_in_child
from indexer.ground.likelihood import GroundKernel
from indexer.ground.manifest import POINTER_FILE
from indexer.index.index import find_index, open_index
from indexer.index.later_checks import LaterChecks, Verification
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
    mended: tuple[int, ...] = ()
    """The state of a file that was found to be damaged, once it is another."""


class LiveGeolocator:
    """Gives the geolocator of the newest sound build; safe to share between threads."""

    def __init__(
        self,
        index: str | Path | None = None,
        *,
        indexes_dir: str | Path | None = None,
        model: Gair | str | None = None,
        runtime: Runtime = "torch",
        verify: Literal["first", "later"] = "first",
    ) -> None:
        """Open an index, as :meth:`indexer.search.geolocator.Geolocator.open` does.

        Args:
            index: name of the index, or path of its folder; the only one there is if not given.
            indexes_dir: folder of all indexes.
            model: a loaded model or where to load it from; what the manifest names if not given.
            runtime: what encodes photos.
            verify: whether all files are hashed ``first``, or large ones ``later``: from the first
                question on, in a thread, so that answers that came before it ends can be wrong.
                Builds that come while this one serves are verified first.

        Raises:
            GairError: the first build cannot be opened.
        """
        self._folder = find_index(index, indexes_dir).resolve()
        seen = self._look(None)
        later = LaterChecks() if verify == "later" else None
        self._serving = Geolocator.open(self._folder, model=model, runtime=runtime, later=later)
        # The pointer was looked at before it was read: had it changed between, that shows next.
        calibration = self._look(self._serving).calibration
        self._seen = replace(seen, calibration=calibration)
        self._failed: _Seen | None = None
        self._opening = threading.Lock()
        self._worker: threading.Thread | None = None
        self._why = ""
        renew_in_child(self)

    def __reduce__(self) -> tuple[Callable[..., LiveGeolocator], tuple[Any, ...]]:
        return _reopened, (self._folder, model_to_reopen(self._serving))

    def after_fork(self) -> None:
        """The thread that was opening a build is not in the child: the next request tries again."""
        self._opening = threading.Lock()
        self._worker = None

    @property
    def problem(self) -> str:
        """Why the newest build does not serve, or none does; empty while it does."""
        index, why = self._serving.index, self._why
        if index.later is not None and index.later.problem:
            newest = f"; the newest build: {why}" if why and why not in index.later.problem else ""
            return f"{index.later.problem}{newest}"
        return why and f"build {index.manifest.build} goes on serving: {why}"

    @property
    def verification(self) -> Verification:
        """What is known of the files of the build that serves."""
        later = self._serving.index.later
        return "verified" if later is None else later.verification

    def current(self) -> Geolocator:
        """The geolocator for a request that begins now; never waits.

        Raises:
            IndexCorruptError: a file was found to be damaged after the index was opened.
        """
        serving = self.serving()
        serving.index.require_sound()
        if serving.index.later is not None:
            serving.index.later.begin()
        return serving

    def serving(self) -> Geolocator:
        """The same for whoever asks about it and not for answers: a damaged one, too."""
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
            self.serving()
            with self._opening:  # until the worker lets go of it
                if self._look(self._serving) in (self._seen, self._failed):
                    break
        return self.current()

    def close(self) -> None:
        """End the verification, if it runs."""
        later = self._serving.index.later
        if later is not None:
            later.stop()

    def _look(self, serving: Geolocator | None) -> _Seen:
        current, ground = (stamp_of(self._folder / name) for name in (CURRENT_FILE, POINTER_FILE))
        if serving is None:
            return _Seen(current, ground, None)
        path = calibration_path(self._folder, serving.index.manifest.build)
        later = serving.index.later
        mended = () if later is None else tuple(later.mended())
        return _Seen(current, ground, stamp_of(path), mended)

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
            sound = old.index.later is None or not old.index.later.problem
            same = sound and seen.current == self._seen.current
            index = old.index if same else open_index(self._folder)
            new = Geolocator(index, self._model_of(index))
            calibration = self._look(new).calibration
            _warm(new)
        except Exception as error:  # whatever it is, the old build can go on
            self._why = str(error)
            self._failed = seen
            return
        self._serving = new
        self._seen = replace(seen, calibration=calibration, mended=())
        self._failed = None
        self._why = ""
        if old.index.later is not None and not same:
            old.index.later.stop()

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
        space.expect_many(None if geolocator.calibration is None else space.weights)
    elif geolocator.calibration is not None:
        _ = space.sample


def stamp_of(path: Path) -> Stamp:
    """Time, inode and size of a file: they change when it is written anew; None without it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
