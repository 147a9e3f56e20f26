"""Command ``gair``: one entry to every command line of the project.

Commands are programs that this one names and does not import before they are asked for, each the
same as ``python -m indexer``, ``app``, ``gair`` or ``training.pretrain``: so help is quick, and a
command costs what it needs and no more. What they say of themselves is said as it was typed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gair.command import HelpFormatter, Parser, run_parsed, spoken_as


@dataclass(frozen=True)
class Program:
    """A command line of the project."""

    module: str
    """Has ``main(argv)``, which returns the exit status."""
    written: str
    """How its own help calls it."""
    takes_command: bool
    """Whether the command's name is a word of its command line."""


_INDEXER = Program("indexer.commands.cli", "python -m indexer", takes_command=True)
_MODELS = Program("gair.cli", "python -m gair", takes_command=True)
_APP = Program("app.cli", "python -m app", takes_command=False)
_DEMO = Program("app.demo", "python -m app.demo", takes_command=False)
_PRETRAIN = Program("training.pretrain", "python -m training.pretrain", takes_command=False)
_DATASET = Program("training.dataset.cli", "python -m training.dataset", takes_command=False)
_FINETUNE = Program("training.finetune.cli", "python -m training.finetune", takes_command=False)
_SYNTHETIC = Program("training.synthetic.cli", "python -m training.synthetic", takes_command=False)

GROUPS: dict[str, dict[str, tuple[Program, str]]] = {
    "ask": {
        "search": (_INDEXER, "where were photos taken?"),
        "verify": (_INDEXER, "was a photo taken at a claimed place?"),
        "heatmap": (_INDEXER, "how every cell of an index scores for a photo"),
        "explore": (_INDEXER, "places like a place, photos of one place"),
        "app": (_APP, "the page, with HTTP and MCP for programs"),
    },
    "make an index": {
        "build": (_INDEXER, "index a region from Sentinel-2 imagery"),
        "add": (_INDEXER, "index a further region as an index was built"),
        "merge": (_INDEXER, "put indexes together"),
        "add-photos": (_INDEXER, "add photos of known places as evidence"),
        "remove-photos": (_INDEXER, "remove them"),
        "calibrate": (_INDEXER, "learn how far its answers can be believed"),
        "evaluate": (_INDEXER, "measure it on photos of known places"),
        "regions": (_INDEXER, "list the regions that ship"),
    },
    "look after indexes": {
        "info": (_INDEXER, "what an index is made of"),
        "verify-index": (_INDEXER, "check every byte of it"),
        "export": (_INDEXER, "write it as GeoParquet and STAC, or into Milvus"),
        "index": (_INDEXER, "share them: bundle, open, push, pull, list, cut"),
        "prune": (_INDEXER, "remove old builds, or imagery that was not used for long"),
    },
    "models": {
        "check": (_MODELS, "compare a model with scores its authors published"),
        "convert": (_MODELS, "save a model as a folder"),
        "push": (_MODELS, "push a model to the Hugging Face hub"),
        "export-onnx": (_MODELS, "write both image towers as ONNX"),
        "dataset": (_DATASET, "make a training data set, and look into one"),
        "train": (_PRETRAIN, "pretrain on it"),
        "finetune": (_FINETUNE, "linear probes and other tasks on a model"),
    },
    "try it": {
        "synthetic": (_SYNTHETIC, "draw synthetic cities and worlds"),
        "demo": (_DEMO, "index such a city, ask about its photos, open the page"),
    },
}
"""Commands in the order and under the headings of the help, each with a line about it."""

_COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}
_DESCRIPTION = """\
Find where a street photo was taken: index a region from satellite imagery, and ask the index.
"""
_EPILOG = """\
examples:
  gair build --region london --imagery stac --dry-run    how much would it be?
  gair build --region london --imagery stac
  gair search photo.jpg --index london -k 5
  gair app --index london --open

gair COMMAND --help says more of each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (0, 1 for a failure, 2 for wrong usage)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in _COMMANDS:
        return run_parsed(build_parser(), words, interrupted="interrupted")
    program, _ = _COMMANDS[words[0]]
    run: Callable[[Sequence[str]], int] = importlib.import_module(program.module).main
    with spoken_as(_typed()):
        return run(words if program.takes_command else words[1:])


def build_parser() -> argparse.ArgumentParser:
    """The commands, apart from :func:`main` so that documentation can be made from them."""
    width = max(map(len, _COMMANDS))
    listed = [
        "\n".join(
            [f"{title}:", *(f"  {name:{width}}  {line}" for name, (_, line) in group.items())]
        )
        for title, group in GROUPS.items()
    ]
    parser = Parser(
        prog="gair",
        usage="gair COMMAND ...",
        description="\n\n".join([_DESCRIPTION.strip(), *listed]),
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", help=argparse.SUPPRESS)
    for name in _COMMANDS:
        commands.add_parser(name)
    return parser


def _typed() -> dict[str, str]:
    """What the programs write of their calls, to what people type of this one."""
    typed = {}
    for name, (program, _) in _COMMANDS.items():
        typed[program.written] = "gair" if program.takes_command else f"gair {name}"
    return typed
