"""Engines compute the units of a build: this process, or a cluster.

Every engine leaves the same files in the same folder, so a build may be begun by one and finished
by another, and the index is the same to the byte.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gair.processes.threads import torch_threads
from gair.progress import Progress, Timings
from indexer.build.embed import UnitVectors, embed_units
from indexer.build.recipe import Recipe
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

        def write(vectors: UnitVectors) -> None:
            since = time.perf_counter()
            job.work.write(job.plan, vectors, job.imagery.warnings)
            timings.add_beside("writing units", since)

        with (
            torch_threads(job.recipe.threads),
            Progress("cells", total=cells, unit="cell", quiet=job.quiet) as progress,
            ThreadPoolExecutor(1, thread_name_prefix="unit-writer") as writer,
            contextlib.closing(
                embed_units(
                    job.model,
                    job.imagery,
                    job.plan,
                    units,
                    job.recipe,
                    timings=timings,
                    progress=progress,
                )
            ) as computed,
        ):
            unwritten: deque[Future[None]] = deque()
            for vectors in computed:
                since = time.perf_counter()
                if len(unwritten) > _UNITS_WAITING:
                    unwritten.popleft().result()
                unwritten.append(writer.submit(write, vectors))
                timings.add("waiting for the disk", since)
            since = time.perf_counter()
            for written in unwritten:
                written.result()  # raises what went wrong
            timings.add("waiting for the disk", since)
