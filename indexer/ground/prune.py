"""Prunes an index folder of sets of reference photos that no longer serve."""

from __future__ import annotations

from pathlib import Path

from gair.files import size_bytes
from indexer.ground.add import WORK
from indexer.ground.manifest import POINTER_FILE, SET_MANIFEST_FILE
from indexer.ground.reference_photos import current_set
from indexer.ground.write import HIDDEN, changing
from indexer.index.prune import Leftover, open_elsewhere, remove_leftover


def prune_reference_photos(
    folder: Path, *, units: bool = False, dry_run: bool = False
) -> list[Leftover]:
    """Remove the sets that do not serve, and what runs left that did not end.

    Never the set that serves, and never one that a process has open.

    Args:
        folder: of the index.
        units: whether vectors of photos that are encoded and in no set yet go, too.
        dry_run: only tell.

    Returns:
        What went, or would; and what stays because it is needed.

    Raises:
        IndexCorruptError: the pointer is damaged, so which set serves is not known.
        StorageError: photos are being added or removed right now, or something cannot be removed.
    """
    names = ("ground-*", f"{HIDDEN}*", f".{POINTER_FILE}.*.tmp", WORK)
    if not any(path for name in names for path in folder.glob(name)):
        return []
    with changing(folder, dead=False):
        leftovers = [*_old_sets(folder), *_dead(folder, units)]
        for leftover in leftovers:
            if not dry_run and not leftover.kept_because:
                remove_leftover(leftover, SET_MANIFEST_FILE)
    return leftovers


def _old_sets(folder: Path) -> list[Leftover]:
    """Sets that the pointer does not name."""
    current = current_set(folder)
    leftovers = []
    for path in sorted(folder.glob("ground-*")):
        if not path.is_dir() or (current is not None and path.name == current[0]):
            continue
        kept, what = open_elsewhere(path, SET_MANIFEST_FILE), "old set of reference photos"
        leftovers.append(Leftover((path,), size_bytes(path), what, kept))
    return leftovers


def _dead(folder: Path, units: bool) -> list[Leftover]:
    """What runs left that did not end; none runs now."""
    rest = [*sorted(folder.glob(f"{HIDDEN}*")), *sorted(folder.glob(f".{POINTER_FILE}.*.tmp"))]
    leftovers = [Leftover((path,), size_bytes(path), "unfinished set of photos") for path in rest]
    if (work := folder / WORK).exists():
        kept = "" if units else "the next add-photos goes on from it; `units` removes it"
        leftovers.append(Leftover((work,), size_bytes(work), "vectors of photos", kept))
    return leftovers
