"""What an interrupted build left and the next one goes on from."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gair.errors import StorageError
from gair.files import disk_errors, write_whole
from gair.progress import Progress, say
from indexer.build.recipe import Recipe, fingerprint_of
from indexer.build.unit_files import PLAN_FILE, UnitFolder
from indexer.build.units import Unit
from indexer.index.storage import WORK, work_folders

_NAME_DIGITS = 12


def own_work(index_folder: Path, facts: Mapping[str, Any], *, every: bool = False) -> list[Path]:
    """The folder that units of a build are in, or would be; ``every``: those of all builds."""
    name = f"{WORK}{fingerprint_of(facts)[:_NAME_DIGITS]}"
    return work_folders(index_folder) if every else [index_folder / name]


def size_bytes(folder: Path) -> int:
    """What a folder takes on the disk."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def open_work(
    index_folder: Path,
    facts: Mapping[str, Any],
    choose: Callable[[], Recipe],
    describe: Callable[[Recipe], Mapping[str, Any]],
) -> tuple[UnitFolder, Recipe]:
    """The folder for a build's units, new or as an earlier run left it.

    Args:
        index_folder: where the index is; held by this build alone.
        facts: what the vectors depend on.
        choose: makes the recipe of a new build; one that goes on keeps its own.
        describe: what the files say about vectors of a recipe.

    Raises:
        StorageError: the disk refused.
    """
    fingerprint = fingerprint_of(facts)
    (path,) = own_work(index_folder, facts)
    recipe = _earlier_recipe(path, fingerprint)
    if recipe is None:
        shutil.rmtree(path, ignore_errors=True)
        recipe = choose()
        with disk_errors(path):
            UnitFolder(path, fingerprint, {}).units.mkdir(parents=True)
        plan = {"fingerprint": fingerprint, "recipe": recipe.to_dict(), "facts": dict(facts)}
        write_whole(path / PLAN_FILE, json.dumps(plan, indent=1, sort_keys=True).encode())
    work = UnitFolder(path, fingerprint, describe(recipe))
    for temporary in work.units.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            temporary.unlink()
    return work, recipe


def unfinished(work: UnitFolder, units: Sequence[Unit], *, quiet: bool) -> list[Unit]:
    """The units that are still to be done; says how many are there, and of damaged ones."""
    claimed = [unit for unit in units if work.has(unit)]
    if not claimed:
        return list(units)
    damaged = []
    with Progress("checking units", total=len(claimed), unit="unit", quiet=quiet) as progress:
        for unit in claimed:
            if not work.is_whole(unit):
                damaged.append(unit)
                work.drop(unit)
            progress.advance(1)
    for unit in damaged:
        say(f"unit {unit.name} is damaged and is done again", quiet=quiet)
    there = len(claimed) - len(damaged)
    say(f"resuming: {there:,} of {len(units):,} units are there", quiet=quiet)
    return [unit for unit in units if not work.has(unit)]


def forget(work: UnitFolder) -> None:
    """Remove the units of a build."""
    shutil.rmtree(work.path, ignore_errors=True)


def forget_all(index_folder: Path) -> None:
    """Remove the units of all unfinished builds of an index."""
    for folder in work_folders(index_folder):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise StorageError(f"cannot remove {folder}: remove it by hand")


def mention_others(index_folder: Path, own: UnitFolder, *, quiet: bool) -> None:
    """Say of units of other builds that they are there and take space."""
    others = [folder for folder in work_folders(index_folder) if folder != own.path]
    if not others:
        return
    megabytes = sum(map(size_bytes, others)) / 1e6
    say(
        f"{len(others)} unfinished build{'s' if len(others) > 1 else ''} with other settings or "
        f"imagery: {megabytes:,.0f} MB in {index_folder}/{WORK}*; --force removes them",
        quiet=quiet,
    )


def _earlier_recipe(path: Path, fingerprint: str) -> Recipe | None:
    try:
        plan = json.loads((path / PLAN_FILE).read_bytes())
        return Recipe(**plan["recipe"]) if plan["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
