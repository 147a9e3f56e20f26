"""Prunes an index folder of old builds and of what dead builds left.

Never the build that serves, and never one that a process has open
(:func:`indexer.index.storage.hold`). Where the system has no locks, only builds older than the
newest few go, and it is for the caller to know that nobody has them open.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gair.errors import StorageError, UsageError
from gair.files import can_lock, dead_temporaries, disk_errors, size_bytes
from indexer.index.manifest import MANIFEST_FILE
from indexer.index.storage import CURRENT_FILE, PULLED, WORK, alone, orphans, read_current, seize
from indexer.probability.calibration import CALIBRATION_FILES, calibration_path

_TEMPORARY = {CURRENT_FILE: "unfinished pointer", CALIBRATION_FILES: "unfinished calibration"}
_BUILD = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")


@dataclass(frozen=True)
class Leftover:
    """Something that can go, or would if nobody had it open."""

    paths: tuple[Path, ...]
    """A folder, and the calibration that belongs to it."""
    size_bytes: int
    what: str
    """For people: ``old build``, ``unfinished build``, ``units of a build``."""
    kept_because: str = ""
    """Empty for what goes."""


def prune_index(
    folder: Path, keep: int = 1, *, units: bool = False, dry_run: bool = False
) -> list[Leftover]:
    """Remove old builds and what dead builds left.

    Args:
        folder: of the index.
        keep: how many builds stay, the serving one and the newest before it.
        units: whether finished units of unfinished builds go, too; such builds then begin anew.
        dry_run: only tell.

    Returns:
        What went, or would; and what stays because it is open.

    Raises:
        UsageError: fewer than one build is to be kept.
        IndexNotFoundError: there is no finished build.
        StorageError: a build of the index runs right now, or something cannot be removed.
    """
    if keep < 1:
        raise UsageError(f"`keep` {keep}: the build that serves stays, so keep 1 or more")
    serving, _ = read_current(folder)
    with alone(folder):  # a build that runs has a hidden folder that is not dead
        dead = _dead(folder, units)
        unfinished = {path for leftover in dead for path in leftover.paths}
        leftovers = [*_old_builds(folder, serving, keep, unfinished), *dead]
        for leftover in leftovers:
            if not dry_run and not leftover.kept_because:
                remove_leftover(leftover, MANIFEST_FILE)
    return leftovers


def _old_builds(
    folder: Path, serving: str, keep: int, unfinished: Collection[Path]
) -> list[Leftover]:
    """Builds beyond those that stay, oldest first."""
    names = sorted(
        f.name
        for f in folder.iterdir()
        if f.is_dir() and _BUILD.fullmatch(f.name) and f not in unfinished
    )
    others = [name for name in names if name != serving]
    leftovers = []
    for name in others[: max(len(others) - (keep - 1), 0)]:
        build = folder / name
        paths = tuple(path for path in (build, calibration_path(folder, name)) if path.exists())
        kept = open_elsewhere(build, MANIFEST_FILE)
        leftovers.append(Leftover(paths, sum(map(size_bytes, paths)), "old build", kept))
    return leftovers


def _dead(folder: Path, units: bool) -> list[Leftover]:
    """What builds left that did not end; none runs now."""
    unfinished = [*sorted(folder.glob(".building-*")), *orphans(folder)]
    leftovers = [Leftover((path,), size_bytes(path), "unfinished build") for path in unfinished]
    for name, kind in _TEMPORARY.items():
        for path in dead_temporaries(folder, name):
            leftovers.append(Leftover((path,), size_bytes(path), kind))
    adding = folder.parent / f".adding-{folder.name}"
    resumable = [*sorted(folder.glob(f"{WORK}*")), *([adding] if adding.exists() else [])]
    kept = "" if units else "the same build goes on from it; `units` removes it"
    for path in resumable:
        leftovers.append(Leftover((path,), size_bytes(path), "units of an unfinished build", kept))
    kept = "" if units else "the same pull goes on from it; `units` removes it"
    for path in sorted(folder.glob(f"{PULLED}*")):
        leftovers.append(Leftover((path,), size_bytes(path), "files of an unfinished pull", kept))
    return leftovers


def open_elsewhere(folder: Path, manifest_file: str) -> str:
    """Why a build, or a set beside one, stays: a process has it open; empty where none has."""
    if not can_lock(folder.parent) or not (folder / manifest_file).exists():
        return ""
    lock = seize(folder, manifest_file)
    if lock is None:
        return "a process has it open"
    lock.release()
    return ""


def remove_leftover(leftover: Leftover, manifest_file: str) -> None:
    """Remove it, the manifest of a folder first.

    Raises:
        StorageError: it cannot be removed.
    """
    for path in leftover.paths:
        with disk_errors(path):
            if path.is_dir():
                # What is left of a build without a manifest is no build.
                (path / manifest_file).unlink(missing_ok=True)
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if path.exists():
            raise StorageError(f"cannot remove {path}: remove it by hand")
