"""Engines compute the units of a build: this process, or a cluster.

Every engine leaves the same files in the same folder, so a build may be begun by one and finished
by another, and the index is the same to the byte.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from gair.progress import Progress, Timings
from indexer.build.embed import UnitVectors, embed_units
from indexer.build.recipe import Recipe, torch_threads
from indexer.build.unit_files import UnitFolder
from indexer.build.units import BuildPlan, Unit

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.imagery.source import ImagerySource

_UNITS_WAITING = 2
"""Units that are computed and not yet written."""


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that computing units takes."""

    plan: BuildPlan
    imagery: ImagerySource
    model: Gair
    recipe: Recipe
    work: UnitFolder
    """Where finished units go."""
    quiet: bool = False
    """No progress."""


class Engine(Protocol):
    """Computes units and leaves them in ``job.work``."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    def run(self, job: Job, units: Sequence[Unit], timings: Timings) -> None:
        """Compute some units; whatever ends this early, those that are written stay.

        Raises:
            GairError: of the imagery, the model, the disk or the machine.
        """


class LocalEngine:
    """This process: imagery is read ahead and units are written beside the encoder."""

    name = "local"

    def run(self, job: Job, units: Sequence[Unit], timings: Timings) -> None:
        """Compute some units, one after the other."""
        cells = sum(len(unit.cells) for unit in units)
        plan = job.plan
        with (
            torch_threads(job.recipe.threads),
            Progress("cells", total=cells, unit="cell", quiet=job.quiet) as progress,
            UnitWriter(job, timings) as writer,
            contextlib.closing(
                embed_units(
                    job.model,
                    job.imagery,
                    plan.frames,
                    plan.cells.lonlat_deg,
                    units,
                    job.recipe,
                    timings=timings,
                    progress=progress,
                )
            ) as computed,
        ):
            for unit_vectors in computed:
                writer.write(unit_vectors)


class UnitWriter:
    """Writes units in a thread of its own; the ``with`` block ends when all are on the disk."""

    def __init__(self, job: Job, timings: Timings) -> None:
        self._job = job
        self._timings = timings
        self._waiting: queue.Queue[UnitVectors | None] = queue.Queue(_UNITS_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write_all, name="unit-writer", daemon=True)

    def __enter__(self) -> UnitWriter:
        self._thread.start()
        return self

    def write(self, unit: UnitVectors) -> None:
        """Hand over a unit; raises what went wrong with an earlier one."""
        since = time.perf_counter()
        self._waiting.put(unit)
        self._timings.add("waiting for the disk", since)
        if self._error is not None:
            raise self._error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        since = time.perf_counter()
        self._waiting.put(None)
        self._thread.join()
        self._timings.add("waiting for the disk", since)
        if self._error is not None and error is None:
            raise self._error

    def _write_all(self) -> None:
        """Write what comes; after an error, take and drop the rest, so that nobody waits."""
        while (unit := self._waiting.get()) is not None:
            if self._error is not None:
                continue
            since = time.perf_counter()
            try:
                self._job.work.write(self._job.plan, unit, self._job.imagery.warnings)
            except BaseException as error:  # handed to the thread that computes
                self._error = error
            self._timings.add_beside("writing units", since)
