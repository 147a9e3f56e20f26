"""Checkpoints of a run: written whole, verified when read, the newest kept.

::

    RUN/checkpoints/step-000500/model.safetensors   weights, and what is learned beside them
                                ema.safetensors     averaged weights, if there are any
                                state.pt            optimiser, queue, data position, random state
                                checkpoint.json     step, and size and sha256 of the files above

A checkpoint grows in a hidden folder and is renamed when its last file is on disk, so a process
that is killed leaves the checkpoints that were there before. One that has been damaged since is
passed over, and said to be, for the one before it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.errors import TrainingError
from gair.files import disk_errors, sha256_of, sync_folder
from gair.inputs.documents import json_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from training.dataset.batches.loader import PairLoader
    from training.pretraining.objective import Objective
    from training.pretraining.optim import Ema
    from training.pretraining.step import LocationQueue

CHECKPOINTS = "checkpoints"
STATE_FILE = "state.pt"
RECORD_FILE = "checkpoint.json"

_FORMAT = 1
_HIDDEN = ".writing-"
_STEP_FOLDER = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds; all tensors are on the CPU."""

    step: int
    """Optimiser steps that were done."""
    tensors: dict[str, dict[str, Tensor]]
    """Groups of named tensors, one safetensors file each: ``model``, ``ema``."""
    state: dict[str, Any]
    """Everything else: numbers, text, tensors, and lists and dicts of them."""


@dataclass
class TrainingState:
    """A run between two steps."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    queue: LocationQueue
    loader: PairLoader
    ema: Ema | None = None
    step: int = 0
    """Optimiser steps done."""
    seconds: float = 0.0
    """Spent training, over all resumptions; validation and checkpoints included."""
    best: dict[str, float] = field(default_factory=dict)
    """Metrics of the best validation and its ``step``; empty before the first."""
    last: dict[str, float] = field(default_factory=dict)
    """Metrics of the newest validation and its ``step``."""

    def to_checkpoint(self) -> Checkpoint:
        """Everything that a resumed run needs to go on as if it had not stopped."""
        tensors = {"model": dict(self.objective.state_dict())}
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "queue": self.queue.state_dict(),
            "loader": self.loader.state_dict(),
            "random": _random_state(),
            "seconds": self.seconds,
            "best": self.best,
            "last": self.last,
        }
        if self.ema is not None:
            averages = self.ema.state_dict()
            tensors["ema"] = averages.pop("average")
            state["ema"] = averages
        return Checkpoint(self.step, tensors, state)

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same run.

        Raises:
            TrainingError: it is of another run.
        """
        tensors, state = checkpoint.tensors, checkpoint.state
        try:
            self.objective.load_state_dict(tensors["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.queue.load_state_dict(state["queue"])
            self.loader.load_state_dict(state["loader"])
            if self.ema is not None:
                self.ema.load_state_dict({**state["ema"], "average": tensors["ema"]})
            _set_random_state(state["random"])
            self.seconds, self.best, self.last = state["seconds"], state["best"], state["last"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainingError(
                f"the checkpoint of step {checkpoint.step} does not fit this run: {reason}"
            ) from error
        self.step = checkpoint.step

    def weights(self) -> dict[str, Tensor]:
        """The model's weights to validate and export: the averaged ones where there are any."""
        if self.ema is not None:
            averages: dict[str, Tensor] = self.ema.state_dict()["average"]
            return averages
        return dict(self.objective.model.state_dict())


def write_checkpoint(run: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint whole; returns its folder.

    Raises:
        StorageError: the disk refused; nothing of this checkpoint is left, and older ones are.
    """
    import torch
    from safetensors.torch import save

    folder = run / CHECKPOINTS
    final = folder / f"step-{checkpoint.step:06d}"
    hidden = folder / f"{_HIDDEN}{final.name}"
    with disk_errors(final):
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{_HIDDEN}*"):  # of processes killed while writing
            shutil.rmtree(leftover, ignore_errors=True)
        hidden.mkdir()
        try:
            files = {}
            for name, tensors in checkpoint.tensors.items():
                content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
                files[f"{name}.safetensors"] = _write(hidden / f"{name}.safetensors", content)
            buffer = io.BytesIO()
            torch.save(checkpoint.state, buffer)
            files[STATE_FILE] = _write(hidden / STATE_FILE, buffer.getbuffer())
            record = {"format": _FORMAT, "step": checkpoint.step, "files": files}
            _write(hidden / RECORD_FILE, json.dumps(record, indent=1).encode())
            sync_folder(hidden)
            if final.exists():  # of the same step: damaged, or overtaken by a resumed run
                shutil.rmtree(final)
            hidden.rename(final)
            sync_folder(folder)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    return final


def steps_of(run: Path) -> list[int]:
    """The steps a run has checkpoints of, oldest first; they may be damaged."""
    folder = run / CHECKPOINTS
    names = [_STEP_FOLDER.fullmatch(f.name) for f in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name[1]) for name in names if name)


def prune(run: Path, *, newest: int, keep: int, protect: Collection[int] = ()) -> None:
    """Remove old checkpoints.

    Args:
        run: the run folder.
        newest: the step that was written last; later ones are left to be overwritten.
        keep: how many of the newest stay.
        protect: steps that stay whatever their age.
    """
    old = [step for step in steps_of(run) if step <= newest][:-keep]
    for step in old:
        if step not in protect:
            shutil.rmtree(run / CHECKPOINTS / f"step-{step:06d}", ignore_errors=True)


def newest_step(run: Path, say: Callable[[str], None]) -> int | None:
    """The step of the newest checkpoint that is whole; None if there is no checkpoint at all.

    Args:
        run: the run folder.
        say: told of every damaged one that is passed over.

    Raises:
        TrainingError: all are damaged.
    """
    steps = steps_of(run)
    for step in reversed(steps):
        try:
            _verified(run / CHECKPOINTS / f"step-{step:06d}", step)
        except TrainingError as error:
            say(f"{error}: going back to the one before it")
        else:
            return step
    if steps:
        raise TrainingError(f"all checkpoints of {run} are damaged: start a new run with `out`")
    return None


def read_checkpoint(run: Path, step: int) -> Checkpoint:
    """One checkpoint, every byte verified first.

    Raises:
        TrainingError: it is damaged, or of a newer kind.
    """
    import torch
    from safetensors.torch import load_file

    from gair.checkpoints.checkpoint import why_not_loaded

    folder = run / CHECKPOINTS / f"step-{step:06d}"
    files = _verified(folder, step)
    try:
        tensors = {
            name.removesuffix(".safetensors"): load_file(folder / name)
            for name in files
            if name.endswith(".safetensors")
        }
        state = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that was damaged before it was hashed can raise anything
        reason = why_not_loaded(error)
        raise TrainingError(f"checkpoint {folder} cannot be read: {reason}") from error
    return Checkpoint(step, tensors, state)


def _verified(folder: Path, step: int) -> list[str]:
    """The names of a checkpoint's files, after comparing each with its record."""
    try:
        record = json_of((folder / RECORD_FILE).read_bytes())
        kind, recorded_step, files = record["format"], record["step"], dict(record["files"])
        sizes = {name: (facts["size_bytes"], facts["sha256"]) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"checkpoint {folder} has no readable {RECORD_FILE}") from error
    if kind != _FORMAT or recorded_step != step:
        raise TrainingError(
            f"checkpoint {folder} says format {kind!r}, step {recorded_step!r}; this program reads "
            f"format {_FORMAT} and expects step {step}"
        )
    for name, (size_bytes, digest) in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size_bytes or sha256_of(path) != digest:
            raise TrainingError(f"checkpoint {folder} is damaged: {name} is not what was written")
    return list(sizes)


def _write(path: Path, content: bytes | memoryview) -> Mapping[str, Any]:
    """Write and sync one file; returns its size and hash."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def _random_state() -> dict[str, Tensor]:
    """Of the generators that torch shares; the batches have generators of their own."""
    import torch

    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_random_state(state: dict[str, Tensor]) -> None:
    import torch

    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
