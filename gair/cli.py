"""The command line: ``python -m gair check | convert``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gair.command import run_command

_EPILOG = """\
examples:
  # are these the released weights, converted right?
  python -m gair check PingL/GAIR --pairs gair_pairs/

  # turn the release's checkpoint into a folder of safetensors, config and card
  python -m gair convert checkpoint.pth models/gair

  # half the size; vectors differ in the fourth decimal
  python -m gair convert runs/mine/best models/mine --half
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda: int(arguments.run(arguments)), interrupted="interrupted")


def _check(arguments: argparse.Namespace) -> int:
    from gair.checkpoints.check import compare, comparison_lines, load_pairs
    from gair.model import Gair

    pairs = load_pairs(Path(arguments.pairs))
    model = Gair.from_pretrained(arguments.model, allow_unknown=arguments.allow_unknown)
    comparisons = compare(model, pairs)
    print(f"model {model.info.name}, licence {model.info.licence}")
    print("\n".join(comparison_lines(comparisons)))
    return 0 if any(c.reproduces for c in comparisons) else 1


def _convert(arguments: argparse.Namespace) -> int:
    from gair.checkpoints.checkpoint import convert

    model = convert(
        arguments.model,
        arguments.folder,
        half=arguments.half,
        allow_unknown=arguments.allow_unknown,
    )
    print(f"{arguments.folder}: {model.info.name}, licence {model.info.licence}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gair",
        description="Check and convert GAIR models.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="compare a model with nine scores its authors published",
        description="Compare a model with nine published cosines between the three example chips "
        "and photos of github.com/zpl99/GAIR, with and without the final norm. Exits 0 if it "
        "reproduces them.",
    )
    check.set_defaults(run=_check)
    check.add_argument(
        "--pairs",
        default="gair_pairs",
        metavar="DIR",
        help="folder with pairs.csv and the chips and photos it names (default: %(default)s)",
    )
    convert = commands.add_parser(
        "convert",
        help="save a model as a folder",
        description="Convert any model that can be loaded to safetensors, config and card. What "
        "a folder says of its training goes along: the end of its card, and training.json.",
    )
    convert.set_defaults(run=_convert)
    for command in (check, convert):
        command.add_argument(
            "model",
            help="a folder, a release checkpoint file, a Hugging Face id, or shipped:demo",
        )
        command.add_argument(
            "--allow-unknown",
            action="store_true",
            help="load a checkpoint although it has tensors nobody knows",
        )
    convert.add_argument("folder", help="where the model goes")
    convert.add_argument(
        "--half",
        action="store_true",
        help="store weights as float16, half the size; they are loaded as float32",
    )
    return parser
