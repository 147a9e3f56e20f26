"""Runs an encoder on a task: its pipeline, its budget, the scores of each seed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gair.progress import Progress
from training.finetune import remote_sensing, species, supervised
from training.finetune.coordbench import row as coordinates
from training.finetune.encoders.opening import SCRATCH, open_encoder
from training.finetune.fitting import Budget, held_out_count
from training.finetune.results import Row
from training.finetune.supervised import CHOOSE_SHARE
from training.finetune.tasks import KIND_OF, Mode, Pipeline


@dataclass(frozen=True)
class Effort:
    """How long a pipeline fits unless told otherwise."""

    epochs: float
    batch: int
    lr: float

    def budget(self, examples: int, steps: int = 0, batch: int = 0, lr: float = 0.0) -> Budget:
        """The budget for a number of examples; what is given and not 0 wins."""
        batch = batch or self.batch
        return Budget(
            steps=steps or max(1, math.ceil(self.epochs * examples / batch)),
            batch=batch,
            lr=lr or self.lr,
        )


EFFORTS: dict[Pipeline, Effort] = {
    "street view": Effort(epochs=20, batch=64, lr=1e-4),
    "remote sensing": Effort(epochs=80, batch=8, lr=1e-4),  # PANGAEA's
    "location": Effort(epochs=30, batch=512, lr=1e-3),
    "species prior": Effort(epochs=30, batch=1024, lr=5e-4),  # the geo prior's
    "coordinates": Effort(epochs=1, batch=1, lr=1.0),  # solved for, not fitted step by step
}
"""Of the remote-sensing and the species pipeline as their protocols have it; the paper states none
for the others, so those are ours."""

_PIPELINES: dict[Pipeline, Callable[..., list[dict[str, float]]]] = {
    "street view": supervised.run,
    "remote sensing": remote_sensing.run,
    "location": supervised.run,
    "species prior": species.run,
    "coordinates": lambda make, suite, mode, _budget, seeds, advance: coordinates.run(
        make, suite, mode, seeds, advance=advance
    ),
}


@dataclass(frozen=True)
class Contender:
    """An encoder and how it is used."""

    source: str
    mode: Mode
    label: str = ""
    """Of its row; empty: its name and mode."""


def mode_of(source: str, wanted: Mode) -> Mode:
    """A model that starts from scratch must learn; others do what is wanted."""
    return "finetune" if source.startswith(SCRATCH) else wanted


def run_contender(
    contender: Contender,
    pipeline: Pipeline,
    data: Any,  # noqa: ANN401
    budget: Budget,
    seeds: Sequence[int],
    *,
    options: dict[str, Any] | None = None,
    quiet: bool = False,
) -> Row:
    """The row with the scores of each seed.

    Raises:
        ModelError: the encoder cannot be had.
        TrainingError: the fit failed.
    """
    make = functools.partial(open_encoder, contender.source, KIND_OF[pipeline])
    first = make(seeds[0])
    name = first.info.name
    used = {"probe": "frozen", "finetune": "fine-tuned"}[contender.mode]
    if contender.source.startswith(SCRATCH):
        name, used = name.removesuffix(", random weights"), "from scratch"
    label = contender.label or f"{name}, {used}"
    total, unit = len(seeds) * budget.steps, "step"
    if pipeline == "coordinates":
        total, unit = coordinates.fits_of(data, seeds), "target"
    if contender.mode == "probe" and pipeline in ("street view", "location"):
        total, unit = len(data.train) + len(data.test), "input"
    with Progress(label, total=total, unit=unit, quiet=quiet) as progress:
        scores = _PIPELINES[pipeline](
            _once(first, make),
            data,
            contender.mode,
            budget,
            seeds,
            advance=progress.advance,
            **(options or {}),
        )
    return Row(label, tuple(scores), fingerprint=first.fingerprint() if first.fingerprint else "")


def _once(first: Any, make: Callable[[int], Any]) -> Callable[[int], Any]:  # noqa: ANN401
    """The encoder that is open already, then new ones: opening one may take long."""
    waiting = [first]
    return lambda seed: waiting.pop() if waiting else make(seed)


def examples_in(pipeline: Pipeline, data: Any) -> int:  # noqa: ANN401
    """How many examples a task has to fit, without those that are held out to choose by."""
    if pipeline == "coordinates":
        return len(data.targets)
    if pipeline == "species prior":
        count, share = len(data.train_labels), species.CHOOSE_SHARE
    elif pipeline == "remote sensing":
        if data.val is not None and len(data.val):
            return len(data.train)
        count, share = len(data.train), remote_sensing.CHOOSE_SHARE
    else:
        count, share = len(data.train), CHOOSE_SHARE
    return count - held_out_count(count, share)
