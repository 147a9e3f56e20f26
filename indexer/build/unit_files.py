"""Units on disk: what a build has done so far, in a hidden folder beside its index.

::

    indexes/london/.work-3f2a81c09d5e/plan.json
                                      units/86194ad37ffffff.parquet
                                            86194ad37ffffff.tokens.npy
                                            86194ad37ffffff.shades.zip
                                            86194ad37ffffff.2024-05-31.zip
                                            86194ad37ffffff.json

Each file is written whole. The small ``.json`` comes last and holds the sha256 of the others, so a
unit without it, or with other bytes, is done again. The folder's name is a hash of everything that
the vectors depend on: units of another build are never taken for one's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Halves
from gair.errors import StorageError
from gair.files import disk_errors, read_file, sha256_of, size_bytes, write_whole
from gair.inputs.documents import json_of
from gair.progress import Progress, say
from indexer.build.recipe import Recipe, fingerprint_of
from indexer.build.unit_parquet import Kind, read_status, read_vectors, unit_parquet
from indexer.build.units import WHOLE
from indexer.index.picture.shades import unzipped, zipped
from indexer.index.storage import WORK, work_folders
from indexer.index.token_maps import TOKEN_TYPE

if TYPE_CHECKING:
    from indexer.build.embed import UnitVectors
    from indexer.build.units import BuildPlan, Unit

UNITS_FOLDER = "units"
PLAN_FILE = "plan.json"
_NAME_DIGITS = 12


@dataclass(frozen=True)
class UnitFolder:
    """The finished units of one build; processes may write different units at the same time."""

    path: Path
    """The ``.work-...`` folder."""
    fingerprint: str
    """Of the build, see :mod:`indexer.build.recipe`."""
    emb: Mapping[str, Any]
    """What the files say about their vectors."""

    @property
    def units(self) -> Path:
        """Where the files are."""
        return self.path / UNITS_FOLDER

    def write(self, plan: BuildPlan, vectors: UnitVectors, warnings: Sequence[str] = ()) -> None:
        """Keep a unit, and what the imagery had to say while it was read.

        Raises:
            StorageError: the disk refused; the unit does not count as done.
        """
        digests = {}
        for file, content in self._files(plan, vectors):
            write_whole(self.units / file, content)
            digests[file] = hashlib.sha256(content).hexdigest()
        record = {
            "fingerprint": self.fingerprint,
            "valid_fraction": vectors.valid_fraction.tolist(),
            "warnings": list(warnings),
            "files": digests,
        }
        write_whole(self.units / f"{vectors.unit.name}.json", json.dumps(record).encode())

    def _files(self, plan: BuildPlan, vectors: UnitVectors) -> Iterator[tuple[str, bytes]]:
        """Names and contents, one after the other: memory holds one."""
        name = vectors.unit.name
        yield f"{name}.parquet", unit_parquet(plan, vectors, self.emb)
        if vectors.tokens is not None:
            yield f"{name}.tokens.npy", _npy(vectors.tokens)
        for day in (WHOLE, *plan.days):
            yield _shades_file(name, day), zipped(vectors.pictures.get(day, {}))

    def has(self, unit: Unit) -> bool:
        """Whether a unit claims to be done."""
        return (self.units / f"{unit.name}.json").is_file()

    def is_whole(self, unit: Unit) -> bool:
        """Whether a unit is done, of this build, and every byte of it is as it was written."""
        try:
            record = self._record(unit)
            return record["fingerprint"] == self.fingerprint and all(
                sha256_of(self.units / file) == digest for file, digest in record["files"].items()
            )
        except (OSError, StorageError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def drop(self, unit: Unit) -> None:
        """Forget a unit."""
        with disk_errors(self.units):
            (self.units / f"{unit.name}.json").unlink(missing_ok=True)

    def status(self, unit: Unit) -> npt.NDArray[np.uint8]:
        """(N,) what became of the cells of a finished unit."""
        return read_status(self._bytes(f"{unit.name}.parquet"))

    def valid_fraction(self, unit: Unit) -> Floats:
        """(F,) share of each of its frames that the imagery covers."""
        return np.array(self._record(unit)["valid_fraction"])

    def warnings(self, unit: Unit) -> list[str]:
        """What the imagery had to say when a finished unit was written."""
        return [str(warning) for warning in self._record(unit)["warnings"]]

    def vectors(self, unit: Unit, kind: Kind) -> Halves:
        """(n, D) the vectors of its indexed cells, by H3 index."""
        return read_vectors(self._bytes(f"{unit.name}.parquet"), kind)

    def tokens(self, unit: Unit) -> Halves:
        """(F, h, w, D) its token maps."""
        maps: Halves
        maps = np.load(io.BytesIO(self._bytes(f"{unit.name}.tokens.npy")), allow_pickle=False)
        return maps

    def shades(self, unit: Unit, frame: int, day: str = WHOLE) -> bytes | None:
        """The packed shades of one of its frames, or of a day of it; None where it has none."""
        path = self.units / _shades_file(unit.name, day)
        with _readable(path):
            return unzipped(path, frame)

    def _record(self, unit: Unit) -> dict[str, Any]:
        record: dict[str, Any] = json_of(self._bytes(f"{unit.name}.json"))
        return record

    def _bytes(self, file: str) -> bytes:
        with _readable(self.units / file):
            return read_file(self.units / file)


def _shades_file(name: str, day: str) -> str:
    return f"{name}.{day or 'shades'}.zip"


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or repr(error)
        raise StorageError(f"cannot read {path}: {reason}: run the build again") from error


def _npy(maps: Halves) -> bytes:
    out = io.BytesIO()
    np.save(out, maps.astype(TOKEN_TYPE, copy=False), allow_pickle=False)
    return out.getvalue()


def own_work(index_folder: Path, facts: Mapping[str, Any], *, every: bool = False) -> list[Path]:
    """The folder that units of a build are in, or would be; ``every``: those of all builds."""
    name = f"{WORK}{fingerprint_of(facts)[:_NAME_DIGITS]}"
    return work_folders(index_folder) if every else [index_folder / name]


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
        plan = {"fingerprint": fingerprint, "recipe": asdict(recipe), "facts": dict(facts)}
        write_whole(path / PLAN_FILE, json.dumps(plan, indent=1, sort_keys=True).encode())
    work = UnitFolder(path, fingerprint, describe(recipe))
    for temporary in work.units.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            temporary.unlink()
    return work, recipe


def unfinished(work: UnitFolder, units: Sequence[Unit], *, quiet: bool) -> list[Unit]:
    """The units that are still to be done; says how many are there, and of damaged ones."""
    # The small JSON of a unit comes last and can be there with damaged neighbours (a power cut, a
    # disk): only hashes tell. They are checked here, once, and not again when the index is written.
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
        f"imagery: {megabytes:,.0f} MB in {index_folder}/{WORK}*; a build with force removes them",
        quiet=quiet,
    )


def _earlier_recipe(path: Path, fingerprint: str) -> Recipe | None:
    try:
        plan = json_of(read_file(path / PLAN_FILE))
        return Recipe(**plan["recipe"]) if plan["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
