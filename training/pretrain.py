"""Pretrains GAIR: ``python -m training.pretrain --preset demo --data DATASET --out RUN``.

On several GPUs: ``torchrun --nproc-per-node 8 -m training.pretrain ...``. Parsing needs nothing
heavy, so ``--help`` answers at once; everything else is imported when a run begins.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from gair.command import run_command, sound_streams
from gair.errors import GairError
from gair.progress import say
from training.pretraining.arguments import FLAGS, Arguments, parse
from training.pretraining.run import StopRequest, exit_status, stop_requests

if TYPE_CHECKING:
    from training.dataset.shards import ShardedDataset
    from training.pretraining.checkpointing import TrainingState
    from training.pretraining.distributed import Ranks
    from training.pretraining.loop import Hooks
    from training.pretraining.run import Run


def main(argv: Sequence[str] | None = None) -> int:
    """Run a pretraining; returns the exit status.

    0 for a run that reached its end, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C and 143
    after SIGTERM, both with a checkpoint to resume from.
    """
    sound_streams()
    arguments = parse(argv)
    return run_command(
        lambda: _run(arguments),
        interrupted="interrupted: checkpoints are as they were",
        flags=FLAGS,
    )


def _run(arguments: Arguments) -> int:
    try:
        with stop_requests() as stop:
            stopped_by = pretrain(arguments, stop)
    except GairError as error:
        rank = os.environ.get("RANK", "0")
        if rank == "0":
            raise
        raise type(error)(f"rank {rank}: {error}") from error
    return 0 if stopped_by is None else exit_status(stopped_by)


def pretrain(arguments: Arguments, stop: StopRequest) -> signal.Signals | None:
    """Train to the end and export; returns the signal that stopped it before, if one did."""
    import torch

    from training.pretraining.build import build_model, build_state, open_data
    from training.pretraining.distributed import from_first, start_ranks, stop_ranks
    from training.pretraining.export import MODEL, export
    from training.pretraining.logs import MetricsLog
    from training.pretraining.loop import Loop
    from training.pretraining.run import locked, open_run, write_run

    ranks = start_ranks(arguments.device)
    with contextlib.ExitStack() as stack:
        stack.callback(stop_ranks)
        run = from_first(ranks, lambda: open_run(arguments, ranks.world))
        if run.config.threads:
            torch.set_num_threads(run.config.threads)
        train, val = open_data(run)
        tell = functools.partial(say, quiet=not ranks.is_first)
        model = build_model(run, train, tell)
        state = build_state(run, model, train, ranks)
        stack.callback(state.loader.close)
        from_first(ranks, lambda: stack.enter_context(locked(run.folder)))
        log = None
        if ranks.is_first:
            write_run(run)
            board = run.config.tensorboard
            log = MetricsLog(run.folder, after_step=state.step, tensorboard=board)
            stack.callback(log.close)
        hooks = _hooks(run, state, train, val if ranks.is_first else None)
        loop = Loop(run.folder, run.config, state, ranks, hooks, log)
        if ranks.is_first:
            say(_beginning(run, state, train, val, ranks, loop.total_steps))
        stopped_by = loop.train(stop)
        if ranks.is_first and stopped_by is None:
            say(f"trained: {export(run, state, train.manifest, MODEL)}")
        elif ranks.is_first:
            say(f"stopped after step {state.step}; go on with --resume {run.folder}")
        return stopped_by


def _hooks(
    run: Run, state: TrainingState, train: ShardedDataset, val: ShardedDataset | None
) -> Hooks:
    from training.pretraining.export import BEST, export, trained_model
    from training.pretraining.loop import Hooks
    from training.pretraining.validation import ValidationOptions, Validator

    if val is None:
        return Hooks(photo_id=train.photo_id)
    validator = Validator(val, ValidationOptions.of(run.config))
    model = state.objective.model

    def validate() -> dict[str, float]:
        return validator(trained_model(model.config, model.info, state.weights(), model.device))

    keep_best = functools.partial(export, run, state, train.manifest, BEST)
    return Hooks(photo_id=train.photo_id, validate=validate, keep_best=keep_best)


def _beginning(
    run: Run,
    state: TrainingState,
    train: ShardedDataset,
    val: ShardedDataset | None,
    ranks: Ranks,
    total_steps: int,
) -> str:
    parameters = sum(p.numel() for p in state.objective.model.parameters()) / 1e6
    validation = "no split val, so no validation" if val is None else f"{len(val):,} to validate"
    return (
        f"{run.folder}: {parameters:,.1f} million weights on {ranks.world} x {ranks.device.type}, "
        f"{len(train):,} photos of {len(train.footprints):,} footprints, {validation}; "
        f"steps {state.step} to {total_steps} of {run.record['batch_photos']} photos"
    )


def leave(status: int) -> NoReturn:
    """End this process with a status; a rank of several ends at once.

    Threads of gloo outlive the group of ranks, and now and then Python's end under them aborted a
    rank whose work was done and written.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(main())
