"""Computes units as tasks of a Ray cluster, on its CPUs or GPUs.

Workers write units where every engine does, so the index folder must be one that all machines see,
and so must local imagery. A worker that dies is started again and its unit is done again; when it
dies too often the build ends, and what is done stays.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.errors import GairError, ResourceError
from gair.info import import_problem
from gair.processes.threads import torch_threads
from gair.progress import Progress, Timings
from indexer.build.embed import embed_units
from indexer.build.engine import Job
from indexer.build.recipe import Recipe, machine
from indexer.build.unit_files import UnitFolder
from indexer.build.units import BuildPlan, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from gair.config import GairConfig
    from gair.info import ModelInfo
    from indexer.imagery.source import ImagerySource

_RESTARTS = 4
"""How often one worker may die and be started again."""


@dataclass(frozen=True)
class RayEngine:
    """A cluster, joined or started for one build."""

    open_imagery: Callable[[], ImagerySource]
    """Opens the build's imagery anew in each worker; must be picklable."""
    address: str | None = None
    """Of a running cluster, ``auto`` for the one of this machine; None starts one here."""
    workers: int | None = None
    """How many; as many as the cluster has room for unless given."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return "ray"

    def run(self, job: Job, units: Sequence[Unit], timings: Timings) -> None:
        """Compute some units, each in one task."""
        if not units:
            return
        ray = import_ray()
        cells = sum(len(unit.cells) for unit in units)
        with (
            _cluster(ray, self.address),
            Progress("cells", total=cells, unit="cell", quiet=job.quiet) as progress,
        ):
            shared = self._shared(ray, job)  # held, so that a worker can be started again
            workers = self._start(ray, job, shared, len(units))
            try:
                for unit, seconds in _computed(ray, workers, units):
                    timings.merge(seconds, beside=True)
                    progress.advance(len(unit.cells))
            finally:
                for worker in workers:
                    ray.kill(worker)

    def _shared(self, ray: Any, job: Job) -> tuple[Any, Any]:  # noqa: ANN401
        """What all workers need, once in the cluster's memory."""
        device, model = job.model.device.type, job.model
        work = replace(job.work, path=Path(job.work.path).resolve())
        task = _WorkerTask(job.plan, job.recipe, work, device, machine(device))
        # Tensors by name: unpickling a module would import what gair imports in its own way.
        tensors = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        return ray.put(task), ray.put((model.config, model.info, tensors))

    def _start(
        self,
        ray: Any,  # noqa: ANN401
        job: Job,
        shared: tuple[Any, Any],
        units: int,
    ) -> list[Any]:
        gpus, cpus = int(job.model.device.type == "cuda"), job.recipe.threads
        has = ray.cluster_resources()
        room = max(1, int(has.get("GPU", 0) if gpus else has.get("CPU", 1) // cpus))
        count = min(self.workers or room, units)
        # Of the largest machine: a worker that wants more would wait for ever.
        most_cpus = max(1, *(int(node["Resources"].get("CPU", 0)) for node in ray.nodes()), 1)
        actor = ray.remote(
            num_cpus=min(cpus, most_cpus),
            num_gpus=gpus,
            max_restarts=_RESTARTS,
            max_task_retries=_RESTARTS,
        )(UnitWorker)
        return [actor.remote(*shared, self.open_imagery) for _ in range(count)]


@dataclass(frozen=True, eq=False)
class _WorkerTask:
    """What all workers share but the model."""

    plan: BuildPlan
    recipe: Recipe
    work: UnitFolder
    device: str
    machine: Mapping[str, Any]
    """Of the process that plans the build; vectors made elsewhere must not differ."""


class UnitWorker:
    """Computes units in a process of the cluster."""

    def __init__(
        self,
        task: _WorkerTask,
        model: tuple[GairConfig, ModelInfo, dict[str, Tensor]],
        open_imagery: Callable[[], ImagerySource],
    ) -> None:
        from gair.model import Gair

        config, info, tensors = model
        self._task = task
        self._own_machine = machine(task.device)
        self._model = Gair.without_weights(config, info)
        self._model.load_state_dict(tensors, assign=True)
        self._model.to(task.device)
        self._open_imagery = open_imagery
        self._imagery: ImagerySource | None = None

    def compute(self, unit: Unit) -> dict[str, float]:
        """Compute and write a unit; returns where the time went."""
        task, timings = self._task, Timings()
        if self._own_machine != task.machine:
            raise ResourceError(
                f"worker {platform.node()} has {self._own_machine} and this machine has "
                f"{task.machine}: their vectors would differ; use machines of one kind"
            )
        if self._imagery is None:  # here, where errors reach the driver as they are
            self._imagery = self._open_imagery()
        with torch_threads(task.recipe.threads):
            (vectors,) = embed_units(
                self._model,
                self._imagery,
                task.plan,
                [unit],
                task.recipe,
                timings=timings,
            )
        task.work.write(task.plan, vectors, self._imagery.warnings)
        return timings.seconds


def import_ray() -> Any:  # noqa: ANN401
    """Ray, or an error that says which package brings it."""
    try:
        import ray
    except ImportError as error:
        absent = "Ray is not installed: pip install 'gair-geolocator[ray]', or use `engine` local"
        raise GairError(import_problem(error, "ray", absent)) from error
    return ray


def _computed(
    ray: Any,  # noqa: ANN401
    workers: Sequence[Any],
    units: Sequence[Unit],
) -> Iterator[tuple[Unit, dict[str, float]]]:
    """Units as they are done, and the seconds that each took; no worker waits for another."""
    left, running = list(reversed(units)), {}

    def give(worker: Any) -> None:  # noqa: ANN401
        if left:
            unit = left.pop()
            running[worker.compute.remote(unit)] = worker, unit

    for worker in workers:
        give(worker)
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        worker, unit = running.pop(done)
        try:
            seconds = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise ResourceError(
                f"unit {unit.name}: its worker died {_RESTARTS + 1} times or could not start; "
                "give workers more memory, or take fewer `workers`"
            ) from error
        give(worker)
        yield unit, seconds


@contextlib.contextmanager
def _cluster(ray: Any, address: str | None) -> Iterator[None]:  # noqa: ANN401
    """Connected to a cluster; one that was started here ends with the block."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    own: dict[str, Any] = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else own),
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ResourceError(
            f"no Ray cluster at {address or 'this machine'}: {error}: start one with ray start"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
