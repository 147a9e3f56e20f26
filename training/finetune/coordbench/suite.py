"""Suite of CoordBench: tables of places, and the targets that are asked of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Floats32, Ints
from gair.check.coordbench import Goal


@dataclass(frozen=True)
class Target:
    """A number or a class that is asked of places."""

    dataset: str
    """Which of the benchmark's data sets it belongs to; the targets of one share their rows."""
    name: str
    goal: Goal
    rows: Ints
    """(N,) rows of the table that the data set has."""
    values: Floats | Ints
    """(N,) numbers, NaN where not known; or classes from 0, -1 where not known."""

    @property
    def has_answer(self) -> Bools:
        """(N,) whether there is an answer."""
        if self.goal == "regression":
            return np.isfinite(self.values)
        return self.values >= 0


@dataclass(frozen=True)
class Table:
    """Places and what is asked of them."""

    name: str
    """Of its folder in the published layout."""
    lonlat_deg: Floats
    """(N, 2)."""
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Suite:
    """All tables."""

    tables: tuple[Table, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Of all tables."""
        return tuple(target for table in self.tables for target in table.targets)


@dataclass(frozen=True)
class Question:
    """Targets of one data set that are known at the same places, so that one map answers all."""

    targets: tuple[Target, ...]
    lonlat_deg: Floats
    """(N, 2) the data set's places, also those where nothing is known."""
    has_answer: Bools
    """(N,)."""
    vectors: Floats32
    """(N, D) what an encoder makes of the places."""

    @property
    def goal(self) -> Goal:
        """Of all its targets."""
        return self.targets[0].goal

    @property
    def answers(self) -> Floats:
        """(K, T) numbers at the K known places; or a column a class, 1 where it is the place's."""
        if self.goal == "regression":
            return np.stack([target.values[self.has_answer] for target in self.targets], axis=1)
        (target,) = self.targets
        _, classes = np.unique(target.values[self.has_answer], return_inverse=True)
        return np.eye(int(classes.max()) + 1)[classes]


def questions_of(table: Table, vectors: Floats32) -> list[Question]:
    """The targets of a table, those together that have the same rows and are known at the same.

    Args:
        table: places and targets.
        vectors: (N, D) of all its places.
    """
    together: dict[tuple[str, bytes], list[Target]] = {}
    for number, target in enumerate(table.targets):
        alone = f"{target.dataset} {number}" if target.goal == "classification" else target.dataset
        together.setdefault((alone, target.has_answer.tobytes()), []).append(target)
    return [_question(table, vectors, targets) for targets in together.values()]


def _question(
    table: Table, vectors: npt.NDArray[np.float32], targets: Sequence[Target]
) -> Question:
    rows = targets[0].rows
    return Question(tuple(targets), table.lonlat_deg[rows], targets[0].has_answer, vectors[rows])
