"""Run folder of a pretraining: its settings, its lock, its resumption and requests to stop it.

::

    RUN/config.yaml         every field of the configuration; may be given to --config
        run.json            what the run depends on beside it: data, model, versions
        metrics.jsonl       one line a step that was logged, one a validation
        tensorboard/        the same as curves, where TensorBoard is installed
        checkpoints/        see training.pretraining.checkpointing
        best/  model/       trained models: the best validated one, and that of the last step
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from gair.config import PRESETS as MODEL_PRESETS
from gair.errors import TrainingError, UsageError
from gair.files import exclusive, make_folder, read_file, write_whole
from gair.inputs.documents import json_of
from gair.interrupts import polite_kills
from gair.progress import say
from training.pretraining.arguments import Arguments, overlay, read_yaml
from training.pretraining.checkpointing import newest_step
from training.pretraining.config import MAY_CHANGE, PretrainConfig

CONFIG_FILE = "config.yaml"
RECORD_FILE = "run.json"
LOCK_FILE = ".lock"
SLOW_LR = 5e-5
"""Below, random towers hardly move."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that was opened, new or to be resumed."""

    folder: Path
    config: PretrainConfig
    data: Path
    record: dict[str, Any]
    """What ``run.json`` holds."""
    resumed_step: int | None
    """The checkpoint to go on from; None for a start from the beginning."""

    @property
    def name(self) -> str:
        """Of the trained model."""
        return self.config.name or self.folder.resolve().name


def open_run(arguments: Arguments, ranks: int) -> Run:
    """Check that a new run may begin, or that a run may be resumed; nothing is written yet.

    Raises:
        UsageError: a new run would write into a folder that has something in it.
        TrainingError: there is no such run, or it cannot be resumed with these settings.
        DatasetError: there is no such data set.
    """
    folder = arguments.out
    if arguments.resume:
        return _resumed(arguments, ranks)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        resumable = (folder / RECORD_FILE).is_file()
        hint = f"resume it with `resume` {folder}, or " if resumable else ""
        raise UsageError(f"{folder} is there already: {hint}name a new folder with `out`")
    config = arguments.resolve()
    check_start(config, rate_given=arguments.sets("lr", "base_lr"))
    data = (arguments.data or Path()).resolve()
    return Run(folder, config, data, _new_record(data, config, ranks), None)


def check_start(config: PretrainConfig, *, rate_given: bool) -> None:
    """Refuse the published learning rate for random image towers: they would never learn.

    The paper begins with pretrained towers, for which its rate is right.

    Args:
        config: of a new run.
        rate_given: whether the learning rate was chosen by hand; it is then only remarked on.

    Raises:
        UsageError: the published rate was not chosen, but left as it was.
    """
    random = config.model in MODEL_PRESETS
    if not random or config.init_street_view or config.init_remote_sensing:
        return
    if rate_given:
        if (config.lr or config.base_lr) < SLOW_LR:
            say(
                f"note: the image towers start from random weights, and a learning rate of "
                f"{config.lr or config.base_lr:g} hardly moves them"
            )
    elif not config.lr and config.base_lr == PretrainConfig.base_lr:
        raise UsageError(
            "the published learning rate is for pretrained image towers, and random ones never "
            "learn at it: give `init_street_view` and `init_remote_sensing`, or an `lr` of your "
            "own (such as 5e-4), or take another preset"
        )


def _resumed(arguments: Arguments, ranks: int) -> Run:
    folder = arguments.out
    saved, record = read_run(folder)
    config = arguments.resolve(saved)
    data = Path(record["data"]) if arguments.data is None else arguments.data.resolve()
    changes = changed_fields(saved, config)
    now = _new_record(data, config, ranks)
    for name in ("data_sha256", "batch_photos"):
        if now[name] != record.get(name):
            raise TrainingError(
                f"cannot resume {folder}: {name} is {now[name]} here and was {record.get(name)}; "
                "resume with the same data and batch, or start a new run with `out`"
            )
    for name in ("ranks", "torch", "machine", "commit"):
        if now[name] != record.get(name):
            changes[name] = f"{record.get(name)} -> {now[name]}, so the last digits may differ"
            record[name] = now[name]
    for name, change in changes.items():
        say(f"note: {name} {change}")
    step = newest_step(folder, say)
    if step is None:
        say(f"{folder} has no checkpoint yet: starting from the beginning")
    return Run(folder, config, data, {**record, "data": str(data)}, step)


def read_run(folder: Path) -> tuple[PretrainConfig, dict[str, Any]]:
    """The configuration and the record of a run.

    Raises:
        TrainingError: the folder is no run's, or its files are damaged.
    """
    try:
        record: dict[str, Any] = json_of(read_file(folder / RECORD_FILE))
        data, batch = record["data"], record["batch_photos"]
        config = overlay(PretrainConfig(), read_yaml(folder / CONFIG_FILE), where=CONFIG_FILE)
    except FileNotFoundError:
        raise TrainingError(
            f"{folder} is no run folder (no {RECORD_FILE}): start a run with `data` and `out`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise TrainingError(f"{folder} cannot be resumed: {error}") from error
    if not isinstance(data, str) or not isinstance(batch, int):
        raise TrainingError(f"{folder / RECORD_FILE} is damaged: start a new run with `out`")
    return config, record


def changed_fields(saved: PretrainConfig, wanted: PretrainConfig) -> dict[str, str]:
    """What a resumed run does otherwise, by field.

    Raises:
        TrainingError: a field differs that makes it another run.
    """
    changes = {}
    for field in dataclasses.fields(PretrainConfig):
        before, after = getattr(saved, field.name), getattr(wanted, field.name)
        if before == after:
            continue
        if field.name not in MAY_CHANGE:
            raise TrainingError(
                f"cannot resume with {field.name} {after!r}: the run has {before!r}; leave it "
                "away, or start a new run with `out`"
            )
        changes[field.name] = f"{before!r} -> {after!r}"
    return changes


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a run folder if there is none, and keep a second process from training in it.

    Raises:
        StorageError: one is at it.
    """
    make_folder(folder)
    refusal = f"another process is training in {folder}: wait for it, or stop it"
    with exclusive(folder / LOCK_FILE, refusal):
        yield


def _new_record(data: Path, config: PretrainConfig, ranks: int) -> dict[str, Any]:
    """What a run depends on, as things are now."""
    import torch

    from training.dataset.shards.schema import read_manifest

    return {
        "started_utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "data": str(data),
        "data_sha256": read_manifest(data)[1],
        "batch_photos": config.batch_of(ranks),
        "ranks": ranks,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "commit": commit(),
    }


def commit() -> str:
    """The version of this program as git describes it; "unknown" outside a checkout."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def write_run(run: Run) -> None:
    """Write a run's configuration and record."""
    import yaml

    text = yaml.safe_dump(run.config.to_dict(), sort_keys=False)
    write_whole(run.folder / CONFIG_FILE, text.encode())
    write_whole(run.folder / RECORD_FILE, json.dumps(run.record, indent=1).encode())


_FINISHING = b"\nfinishing this step and writing a checkpoint; once more: end at once\n"


class StopRequest:
    """Remembers the first Ctrl-C, SIGTERM or SIGHUP: the step is finished and a checkpoint written.

    A second one ends the process at once.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        if os.environ.get("RANK", "0") == "0":  # print() must not be called in a handler
            with contextlib.suppress(OSError):  # the terminal may be what has gone
                os.write(2, _FINISHING)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn signals into a request, until the block is left.

    Only the main thread may handle signals; in any other the request never comes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    stops = (signal.SIGINT, *polite_kills())
    before = {number: signal.signal(number, request.receive) for number in stops}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(stopped_by: signal.Signals) -> int:
    """What shells report of a process that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + stopped_by
