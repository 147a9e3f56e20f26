"""Pruning of the cache of fetched imagery: what was not used for long goes first.

Only files that a build would have put there are touched, and none of a scene that a running build
uses (:mod:`indexer.imagery.stac.cache`). What goes is fetched again when it is needed.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from pathlib import Path

from gair.errors import UsageError
from gair.files import disk_errors
from indexer.imagery.stac.cache import pruning

_SCENE = re.compile(r".+-[0-9a-f]{10}")
_WINDOW = re.compile(r"(?:fine|coarse)-\d{4,}-\d{4,}\.tif")
_UNFINISHED = re.compile(r"\.(?:fine|coarse)-\d{4,}-\d{4,}\.\d+\.tmp\.tif")
_DAY_S = 86_400.0


@dataclass(frozen=True)
class PrunedImagery:
    """What a cache holds, and what went or would go."""

    folder: Path
    size_bytes: int
    """Before."""
    windows: int
    """Before."""
    removed_bytes: int
    removed: int
    held_bytes: int
    """Of scenes that running builds use; they stay."""

    @property
    def left_bytes(self) -> int:
        """After."""
        return self.size_bytes - self.removed_bytes


@dataclass(frozen=True)
class _Window:
    path: Path
    scene: str
    size_bytes: int
    used_s: float
    """When it was used last, seconds since 1970."""
    unfinished: bool


def prune_imagery(
    cache: Path,
    *,
    most_bytes: int | None = None,
    most_days: float | None = None,
    dry_run: bool = False,
) -> PrunedImagery:
    """Remove what was not used for long, or what is too much, the longest unused first.

    With neither limit nothing goes but what dead builds left half written.

    Args:
        cache: folder of fetched imagery.
        most_bytes: how much may stay; what running builds use counts, and stays all the same.
        most_days: how long ago the last use of a window may be.
        dry_run: only tell.

    Raises:
        UsageError: there is no such folder, or a limit is negative.
        StorageError: the disk refused.
    """
    if not cache.is_dir():
        raise UsageError(
            f"there is no imagery cache {cache}: give the `imagery_cache` that builds use"
        )
    for limit in (most_bytes, most_days):
        if limit is not None and limit < 0:
            raise UsageError(f"a limit of {limit} is less than none: give 0 or more")
    with disk_errors(cache), pruning(cache) as used:
        windows = _windows(cache)
        free = [window for window in windows if window.scene not in used]
        total = sum(window.size_bytes for window in windows)
        going = _going(free, total, most_bytes, most_days)
        if not dry_run:
            _remove(going)
    return PrunedImagery(
        folder=cache,
        size_bytes=total,
        windows=len(windows),
        removed_bytes=sum(window.size_bytes for window in going),
        removed=len(going),
        held_bytes=total - sum(window.size_bytes for window in free),
    )


def _windows(cache: Path) -> list[_Window]:
    """What builds put there; anything else in the folder is none of ours."""
    windows = []
    for path in cache.glob("*/*/*.tif"):
        unfinished = bool(_UNFINISHED.fullmatch(path.name))
        ours = unfinished or _WINDOW.fullmatch(path.name)
        if not ours or not _SCENE.fullmatch(path.parent.name) or path.is_symlink():
            continue
        with contextlib.suppress(FileNotFoundError):  # a build may replace what it found damaged
            stat = path.stat()
            scene = f"{path.parent.parent.name}/{path.parent.name}"
            windows.append(_Window(path, scene, stat.st_size, stat.st_mtime, unfinished))
    return sorted(windows, key=lambda window: (window.used_s, str(window.path)))


def _going(
    free: list[_Window], total: int, most_bytes: int | None, most_days: float | None
) -> list[_Window]:
    oldest_s = float("-inf") if most_days is None else time.time() - most_days * _DAY_S
    left, going = total, []
    for window in free:
        if window.unfinished or window.used_s < oldest_s:
            going.append(window)
            left -= window.size_bytes
    gone = {window.path for window in going}
    for window in free:
        if most_bytes is None or left <= most_bytes:
            break
        if window.path not in gone:
            going.append(window)
            left -= window.size_bytes
    return going


def _remove(going: list[_Window]) -> None:
    for window in going:
        window.path.unlink(missing_ok=True)
    for folder in {window.path.parent for window in going}:
        for empty in (folder, folder.parent):
            with contextlib.suppress(OSError):  # not empty
                empty.rmdir()
