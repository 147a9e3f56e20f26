"""Training loop: steps, and between them what is checked, logged, validated and saved.

One step is: batch, losses and gradients, clipping, optimiser, temperature, averaged weights. A GPU
works ahead of this process, and reading a loss waits for it. So on a GPU losses and gradients are
looked at when a line is logged and before anything is written; on a CPU after every step.
"""

from __future__ import annotations

import functools
import json
import math
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import Tensor, nn

from gair.errors import TrainingError
from gair.files import write_whole
from gair.progress import say
from training.pretraining.checkpointing import prune, steps_of, write_checkpoint
from training.pretraining.config import PretrainConfig
from training.pretraining.distributed import any_rank, fail_together, from_all
from training.pretraining.logs import Interval, MetricsLog, ProgressLine, Status, memory_gb
from training.pretraining.optim import lr_at, set_lr
from training.pretraining.step import StepLosses, train_step
from training.pretraining.validation import goodness, summary

if TYPE_CHECKING:
    from training.pretraining.checkpointing import TrainingState
    from training.pretraining.distributed import Ranks
    from training.pretraining.run import StopRequest

FAILED_BATCH_FILE = "failed-batch.json"
_IDS_SHOWN = 8


@dataclass(frozen=True)
class Hooks:
    """What the loop calls and does not know."""

    photo_id: Callable[[int], str]
    """Names a photo by its number, for messages."""
    validate: Callable[[], dict[str, float]] | None = None
    """Metrics of the weights as they are; None without a split to validate on."""
    keep_best: Callable[[], object] = lambda: None
    """Called after a validation that was the best so far."""


@dataclass(frozen=True)
class _Done:
    """A step whose losses were not looked at yet."""

    epoch: int
    number: int
    photo_index: Tensor
    """(B,) of this rank."""
    losses: StepLosses
    grad_norm: Tensor
    lr: float


class Loop:
    """Trains a state to the end of its run, or until it is asked to stop."""

    def __init__(
        self,
        run: Path,
        config: PretrainConfig,
        state: TrainingState,
        ranks: Ranks,
        hooks: Hooks,
        log: MetricsLog | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            run: the run folder; only the first rank writes there.
            config: what was asked for.
            state: what is trained, fresh or resumed.
            ranks: this process among the others.
            hooks: what to call when.
            log: where metrics go; of the first rank.
            quiet: no progress line.
        """
        self.run, self.config, self.state, self.ranks = run, config, state, ranks
        self.total_steps = config.total_steps(state.loader.batches_per_epoch)
        self._hooks, self._log = hooks, log
        self._batch_photos = config.batch_of(ranks.world)
        self._lr_at = functools.partial(
            lr_at,
            base_lr=config.peak_lr(self._batch_photos),
            warmup_steps=round(config.warmup_share * self.total_steps),
            total_steps=self.total_steps,
            min_lr=config.min_lr,
        )
        self._autocast = torch.bfloat16 if config.autocast == "bf16" else None
        self._line = ProgressLine(self.total_steps, quiet=quiet or not ranks.is_first)
        self._unchecked: list[_Done] = []
        self._newest: _Done
        self._interval = Interval()

    def train(self, stop: StopRequest) -> signal.Signals | None:
        """Run to the last step; returns the signal that ended it earlier, if one did.

        Raises:
            TrainingError: a loss or a gradient is not finite; nothing was written after it.
        """
        state = self.state
        began = time.monotonic() - state.seconds
        stopping = False
        while state.step < self.total_steps and not stopping:
            self._step()
            last = state.step == self.total_steps
            looks = last or self.ranks.device.type == "cpu" or self._due(self.config.log_every)
            # Whether to stop is agreed upon by all ranks, which costs a wait for the device: only
            # when losses are looked at anyway. One rank alone can look after every step.
            if looks or self.ranks.world == 1:
                stopping = any_rank(bool(stop), self.ranks)
            validates = last or self._due(self.config.validate_every)
            saves = last or stopping or self._due(self.config.save_every)
            if looks or validates or saves:
                self._check_losses()
            if validates or saves:
                self._check_weights()
            if last or self._due(self.config.log_every):
                self._log_line(time.monotonic() - began)
            if validates:
                self._validate()
            state.seconds = time.monotonic() - began
            if saves:
                self._save()
        self._line.interrupt()
        return (stop.signal or signal.SIGTERM) if state.step < self.total_steps else None

    def _due(self, every: int) -> bool:
        return every > 0 and self.state.step % every == 0

    def _step(self) -> None:
        state, config = self.state, self.config
        began = time.monotonic()
        batch = next(state.loader)
        waited_s = time.monotonic() - began
        lr = self._lr_at(state.step)
        set_lr(state.optimizer, lr)
        losses = train_step(
            state.objective,
            batch.to(self.ranks.device),
            state.queue,
            self.ranks,
            chunks=config.chunks,
            autocast=self._autocast,
        )
        grad_norm = clip(state.objective.parameters(), config.clip_grad_norm)
        state.optimizer.step()
        state.objective.clamp_temperature()
        if state.ema is not None:
            state.ema.update(state.objective.model)
        state.step += 1
        done = _Done(batch.epoch, batch.number, batch.photo_index, losses, grad_norm, lr)
        self._newest = done
        self._unchecked.append(done)
        self._interval.add_time(time.monotonic() - began, waited_s, steps=1)

    def _check_losses(self) -> None:
        """Look at the losses of the steps since the last look, and show where the run is."""
        began = time.monotonic()
        first = self.state.step - len(self._unchecked) + 1
        for step, done in enumerate(self._unchecked, first):
            values = {**done.losses.floats(), "grad_norm": float(done.grad_norm)}
            if not all(math.isfinite(value) for value in values.values()):
                self._fail(step, done, values)
            self._interval.add_values(values, {"epoch": done.epoch, "lr": done.lr})
            losses = {name: values[name] for name in ("total", *done.losses.terms)}
        self._interval.add_time(time.monotonic() - began, 0.0, steps=0)
        if self._unchecked:
            rate = self._interval.steps_per_s * self._batch_photos
            memory = memory_gb(self.ranks.device.type)
            self._line.show(Status(self.state.step, losses, done.lr, rate, memory))
        self._unchecked.clear()

    def _check_weights(self) -> None:
        """Let nothing be written after a step that was too large, though its loss was fine."""
        weights = [p.detach().isfinite().all() for p in self.state.objective.parameters()]
        if not bool(torch.stack(weights).all()):
            self._fail(self.state.step, self._newest, {"weights": math.nan})

    def _fail(self, step: int, done: _Done, values: dict[str, float]) -> NoReturn:
        self._line.interrupt()
        photos = from_all(self.ranks, done.photo_index.tolist())
        ids = [self._hooks.photo_id(photo) for photo in photos]
        told = ", ".join(ids[:_IDS_SHOWN])
        if len(ids) > _IDS_SHOWN:
            told += f" and {len(ids) - _IDS_SHOWN} more"
        not_finite = ", ".join(f"{name} {v}" for name, v in values.items() if not math.isfinite(v))
        if self.ranks.is_first:
            facts = {"step": step, "epoch": done.epoch, "batch": done.number, "photos": ids}
            write_whole(self.run / FAILED_BATCH_FILE, json.dumps(facts, indent=1).encode())
        saved = steps_of(self.run)
        remedy = f"resume from step {saved[-1]} with" if saved else "start again with"
        error = TrainingError(
            f"step {step} (epoch {done.epoch}, batch {done.number}) gave {not_finite}; its photos "
            f"are {told} (all in {FAILED_BATCH_FILE}): {remedy} a smaller lr or clip_grad_norm, or "
            "without them"
        )
        fail_together(self.ranks, error)

    def _log_line(self, seconds: float) -> None:
        values = self._interval.summary()
        values["photos_per_s"] = self._interval.steps_per_s * self._batch_photos
        values["seconds"] = seconds
        values["memory_gb"] = memory_gb(self.ranks.device.type)
        values["broken_photos"] = sum(self.state.loader.skipped.values())
        if self._log is not None:
            self._log.write("train", self.state.step, values)
        self._interval = Interval()

    def _validate(self) -> None:
        state = self.state
        if self._hooks.validate is None or not self.ranks.is_first:
            return  # the others wait for the first rank in the next step
        self._line.interrupt()
        state.last = {**self._hooks.validate(), "step": state.step}
        best = not state.best or goodness(state.last) > goodness(state.best)
        if best:
            state.best = state.last
            self._hooks.keep_best()
        if self._log is not None:
            self._log.write("validation", state.step, state.last)
        say(f"{summary(state.last)}{', the best so far' if best else ''}")

    def _save(self) -> None:
        if self.ranks.is_first:
            write_checkpoint(self.run, self.state.to_checkpoint())
            best = [int(self.state.best["step"])] if self.state.best else []
            prune(self.run, newest=self.state.step, keep=self.config.keep, protect=best)


def clip(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Shorten the gradient to a length, 0 for any; returns the length it had, on its device."""
    with_gradient = [p for p in parameters if p.grad is not None]
    length = nn.utils.get_total_norm([p.grad for p in with_gradient if p.grad is not None])
    if longest:
        nn.utils.clip_grads_with_norm_(with_gradient, longest, length)
    return length
