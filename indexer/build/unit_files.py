"""Units on disk: what a build has done so far, in a hidden folder beside its index.

::

    indexes/london/.work-3f2a81c09d5e/plan.json
                                      units/86194ad37ffffff.parquet
                                            86194ad37ffffff.tokens.npy
                                            86194ad37ffffff.chips.zip
                                            86194ad37ffffff.json

Each file is written whole. The small ``.json`` comes last and holds the sha256 of the others, so a
unit without it, or with other bytes, is done again. The folder's name is a hash of everything that
the vectors depend on: units of another build are never taken for one's own.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.errors import StorageError
from gair.files import disk_errors, write_whole
from indexer.build.unit_parquet import Kind, read_status, read_vectors, unit_parquet
from indexer.index.chips import unzipped, zipped
from indexer.index.token_maps import TOKEN_TYPE

if TYPE_CHECKING:
    from indexer.build.embed import UnitVectors
    from indexer.build.units import BuildPlan, Unit

UNITS_FOLDER = "units"
PLAN_FILE = "plan.json"


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

    def write(self, plan: BuildPlan, found: UnitVectors, warnings: Sequence[str] = ()) -> None:
        """Keep a unit, and what the imagery had to say while it was read.

        Raises:
            StorageError: the disk refused; the unit does not count as done.
        """
        name = found.unit.name
        files = {f"{name}.parquet": unit_parquet(plan, found, self.emb)}
        if found.tokens is not None:
            files[f"{name}.tokens.npy"] = _npy(found.tokens)
        files[f"{name}.chips.zip"] = zipped(found.pictures)
        record = {
            "fingerprint": self.fingerprint,
            "valid_fraction": found.valid_fraction.tolist(),
            "warnings": list(warnings),
            "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        }
        for file, content in files.items():
            write_whole(self.units / file, content)
        write_whole(self.units / f"{name}.json", json.dumps(record).encode())

    def has(self, unit: Unit) -> bool:
        """Whether a unit claims to be done."""
        return (self.units / f"{unit.name}.json").is_file()

    def is_whole(self, unit: Unit) -> bool:
        """Whether a unit is done, of this build, and every byte of it is as it was written."""
        try:
            record = self._record(unit)
            return record["fingerprint"] == self.fingerprint and all(
                hashlib.sha256((self.units / file).read_bytes()).hexdigest() == digest
                for file, digest in record["files"].items()
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

    def valid_fraction(self, unit: Unit) -> npt.NDArray[np.float64]:
        """(F,) share of each of its frames that the imagery covers."""
        return np.array(self._record(unit)["valid_fraction"])

    def warnings(self, unit: Unit) -> list[str]:
        """What the imagery had to say when a finished unit was written."""
        return [str(warning) for warning in self._record(unit)["warnings"]]

    def vectors(self, unit: Unit, kind: Kind) -> npt.NDArray[np.float16]:
        """(n, D) the vectors of its indexed cells, by H3 index."""
        return read_vectors(self._bytes(f"{unit.name}.parquet"), kind)

    def tokens(self, unit: Unit) -> npt.NDArray[np.float16]:
        """(F, h, w, D) its token maps."""
        maps: npt.NDArray[np.float16]
        maps = np.load(io.BytesIO(self._bytes(f"{unit.name}.tokens.npy")), allow_pickle=False)
        return maps

    def pictures(self, unit: Unit) -> dict[int, bytes]:
        """Frame to JPEG, of its frames; nothing where the unit was done before there were any."""
        file = f"{unit.name}.chips.zip"
        return unzipped(self._bytes(file)) if file in self._record(unit)["files"] else {}

    def _record(self, unit: Unit) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self._bytes(f"{unit.name}.json"))
        return record

    def _bytes(self, file: str) -> bytes:
        try:
            return (self.units / file).read_bytes()
        except OSError as error:
            reason = error.strerror or repr(error)
            raise StorageError(
                f"cannot read {self.units / file}: {reason}: run the build again"
            ) from error


def _npy(maps: npt.NDArray[np.float16]) -> bytes:
    out = io.BytesIO()
    np.save(out, maps.astype(TOKEN_TYPE, copy=False), allow_pickle=False)
    return out.getvalue()
