"""Cache of windows fetched before: one GeoTIFF for each window of a scene, on the local disk.

::

    <cache>/<collection>/<scene>-<hash of where its bands are>/coarse-0003-0002.tif

A window is as the server holds it, unscaled and with its clouds, so any later build, whatever its
dates or composite, can use it. Files appear whole or not at all, and several builds may share a
cache. A file was last modified when it was last used. Builds delete nothing; ``prune --imagery``
does (:mod:`indexer.imagery.stac.prune_cache`), but for scenes that running builds use: each process
writes these into a *lease*, a file of its own that it keeps locked as long as it lives.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import threading
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from gair.arrays import DigitalNumbers
from gair.files import can_lock, disk_errors, try_lock
from indexer.imagery.stac.scenes import StacScene

CACHE_VARIABLE = "GAIR_IMAGERY_CACHE"
"""Environment variable that names the cache's folder."""
IN_USE = ".in-use"
"""Folder of leases inside a cache."""

_LOCK = "lock"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def default_cache() -> Path:
    """Where fetched imagery is kept unless somebody says otherwise."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gair" / "imagery"


@dataclass(frozen=True)
class WindowPlace:
    """Which window of a scene: all bands of one pixel size, in one square."""

    kind: str
    """``fine`` (10 m) or ``coarse`` (20 m)."""
    row: int
    column: int


class WindowCache:
    """Windows on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lease = Lease(folder)

    def __reduce__(self) -> tuple[type[WindowCache], tuple[Path]]:
        """Another process uses scenes on its own account."""
        return WindowCache, (self.folder,)

    def path(self, scene: StacScene, place: WindowPlace) -> Path:
        """Where a window is, or would be."""
        places = [urlsplit(b.href)._replace(query="").geturl() for b in scene.bands.values()]
        digest = hashlib.sha256("\n".join(sorted(places)).encode()).hexdigest()[:10]
        collection = _UNSAFE.sub("_", scene.collection or "items")
        folder = self.folder / collection / f"{_UNSAFE.sub('_', scene.name)}-{digest}"
        return folder / f"{place.kind}-{place.row:04d}-{place.column:04d}.tif"

    def holds(self, scene: StacScene, place: WindowPlace) -> bool:
        """Whether a window was fetched before; if so, it stays while this process uses it."""
        path = self.path(scene, place)
        if not path.is_file():
            return False
        self._lease.add(path.parent)
        return path.is_file()  # unless it went meanwhile

    def holds_any_fine(self, scene: StacScene) -> bool:
        """Whether a window of a scene's 10 m bands was fetched before."""
        return any(self.path(scene, WindowPlace("fine", 0, 0)).parent.glob("fine-*.tif"))

    def get(self, scene: StacScene, place: WindowPlace) -> DigitalNumbers | None:
        """A window, (B, H, W); None where there is none, or one that is damaged."""
        path = self.path(scene, place)
        if not self.holds(scene, place):
            return None
        try:
            os.utime(path)
        except OSError:  # of somebody else, or on a disk that is only read
            pass
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(path) as raster:
                    return np.asarray(raster.read())
        except (RasterioError, OSError):
            path.unlink(missing_ok=True)
            return None

    def put(
        self,
        scene: StacScene,
        place: WindowPlace,
        pixels: DigitalNumbers,
        names: tuple[str, ...],
        transform: Affine,
    ) -> int:
        """Keep a window; returns its size on disk, bytes.

        Raises:
            StorageError: The disk refused.
        """
        path = self.path(scene, place)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.tif")
        self._lease.add(path.parent)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write(temporary, pixels, names, scene.grid.crs, transform)
                with temporary.open("r+b") as file:
                    os.fsync(file.fileno())
                temporary.replace(path)
                return path.stat().st_size
            finally:
                temporary.unlink(missing_ok=True)

    def size_bytes(self) -> int:
        """All that is kept, whoever fetched it."""
        return sum(file.stat().st_size for file in self.folder.rglob("*.tif"))


def _write(
    path: Path, pixels: DigitalNumbers, names: tuple[str, ...], crs: str, transform: Affine
) -> None:
    try:
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=pixels.shape[0],
            height=pixels.shape[1],
            width=pixels.shape[2],
            dtype=pixels.dtype,
            crs=crs,
            transform=transform,
            nodata=0,
            compress="deflate",
            predictor=2,
            zlevel=1,
            tiled=True,
            interleave="band",
        ) as raster:
            raster.write(pixels)
            raster.descriptions = names
    except RasterioError as error:
        raise OSError(5, " ".join(str(error).split())) from error


class Lease:
    """The scenes that a process uses of a cache. Nothing is written before the first."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / IN_USE
        self._added: set[str] = set()
        self._adding = threading.Lock()
        self._file: IO[str] | None = None

    def add(self, scene: Path) -> None:
        """Use a scene's folder; waits for a prune to end.

        Where a lease cannot be written nothing else can, and nobody prunes there.
        """
        name = "/".join(scene.parts[-2:])
        with self._adding:
            if name in self._added:
                return
            with contextlib.suppress(OSError), _locked(self._folder, shared=True):
                if self._file is None:
                    self._file = self._opened()
                self._file.write(f"{name}\n")
                self._file.flush()
            self._added.add(name)

    def _opened(self) -> IO[str]:
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        file = path.open("x", encoding="utf-8")
        # The lock ends with the process, however it dies: `pruning` tells dead leases by it.
        try_lock(file.fileno(), shared=False)
        weakref.finalize(self, _ended, file, path, os.getpid())
        return file


@contextlib.contextmanager
def pruning(cache: Path) -> Iterator[frozenset[str]]:
    """Let no scene be added meanwhile; gives those in use, as ``collection/scene``.

    Leases of dead processes are removed.
    """
    folder = cache / IN_USE
    with _locked(folder, shared=False):
        used: set[str] = set()
        for path in sorted(folder.iterdir()):
            if path.name == _LOCK:
                continue
            with path.open("r+", encoding="utf-8") as file:
                if try_lock(file.fileno(), shared=False):
                    path.unlink()
                else:
                    used.update(line.rstrip("\n") for line in file)
        yield frozenset(used)


def _ended(file: IO[str], path: Path, process: int) -> None:
    file.close()
    if os.getpid() == process:  # a fork closes its copy only
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path, *, shared: bool) -> Iterator[None]:
    """Wait for the lock of a cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a") as file:
        if can_lock(folder):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
