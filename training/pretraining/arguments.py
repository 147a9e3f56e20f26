"""Command line of ``python -m training.pretrain``: a preset, a YAML file, a flag for every field.

Later layers win: preset, then file, then flags. The help texts are the docstrings of
:class:`training.pretraining.config.PretrainConfig`. Nothing heavy is imported, so ``--help``
answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import sys
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.command import Parser
from gair.errors import UsageError
from gair.fields import field_help, field_types, nearest
from gair.files import read_file
from gair.inputs.documents import MOST_YAML, yaml_of
from gair.inputs.field_checks import shown
from training.pretraining.config import EXCLUSIVE, PRESETS, PretrainConfig

_DESCRIPTION = """\
Pretrain GAIR on photos and Sentinel-2 frames with its two contrastive losses. The data set comes
from `python -m training.dataset pack` or from the synthetic world; the trained model is
RUN/model, the best one on the split val is RUN/best.
"""
_EPILOG = """\
examples:
  # does it run here? a few steps of a tiny model, seconds
  python -m training.pretrain --preset smoke --data DATASET --out runs/smoke

  # the published recipe on eight GPUs, 256 photos on each
  torchrun --nproc-per-node 8 -m training.pretrain --preset paper --data DATASET --out runs/p

  # a preset with changes, from a file or by flags; flags win
  python -m training.pretrain --preset demo --config mine.yaml --steps 5000 --data D --out runs/a

  # go on after Ctrl-C, a crash or a power cut, from the newest whole checkpoint
  python -m training.pretrain --resume runs/a
"""
_GROUP_STARTS = {
    "model": "model",
    "losses": "objective",
    "epochs": "budget and batch",
    "base_lr": "optimiser",
    "autocast": "machine",
    "flip": "augmentation",
    "seed": "what is written, and how often",
}
"""The field that each group of flags begins with, and the group's title."""
_FIRST_RUN = """\
error: --data and --out are needed (or --resume RUN). A first run:
  python -m training.synthetic world --out worlds/first --cities 1 --photos 64 --side-km 2 --dates 1
  python -m training.pretrain --preset smoke --data worlds/first --out runs/first"""
FLAGS = {
    name: f"--{name.replace('_', '-')}"
    for name in ("data", "out", "resume", *(f.name for f in dataclasses.fields(PretrainConfig)))
}
"""What people write for the arguments that errors name in backticks."""
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True)
class Arguments:
    """A command line, understood but not yet acted on."""

    out: Path
    """The run folder."""
    resume: bool
    """Whether the run folder is to be continued."""
    data: Path | None
    """The data set; None takes the one that the resumed run used."""
    device: str
    """auto, cpu, cuda or cuda:N."""
    preset: str | None
    config_file: Path | None
    flags: Mapping[str, Any]
    """Fields given by flags, converted."""

    def sets(self, *names: str) -> bool:
        """Whether one of some fields was given by a flag or in the file."""
        in_file = {} if self.config_file is None else read_yaml(self.config_file)
        return any(name in self.flags or name in in_file for name in names)

    def resolve(self, saved: PretrainConfig | None = None) -> PretrainConfig:
        """The configuration that was asked for.

        Args:
            saved: of the run to resume; it stands in for a preset where none is named.
        """
        named = self.preset is not None or (saved is None and self.config_file is None)
        base = PRESETS[self.preset or "paper"] if named or saved is None else saved
        if self.config_file is not None:
            base = overlay(base, read_yaml(self.config_file), where=str(self.config_file))
        return overlay(base, self.flags, where="the command line")


def parse(argv: Sequence[str] | None = None) -> Arguments:
    """Parse a command line.

    Raises:
        SystemExit: help was asked for (0), or a flag is wrong (2); it has been printed.
    """
    parser = _parser()
    words = sys.argv[1:] if argv is None else list(argv)
    given = vars(parser.parse_args(words))
    if not words:
        parser.exit(2, f"{_FIRST_RUN}\n")
    data, out, resume = given.pop("data"), given.pop("out"), given.pop("resume")
    if resume is None and (data is None or out is None):
        parser.error("--data and --out are needed (or --resume RUN)")
    if resume is not None and out is not None and Path(out).resolve() != Path(resume).resolve():
        parser.error(f"--out {out} is not the run to resume, {resume}: leave --out away")
    config_file = given.pop("config")
    return Arguments(
        out=Path(out if resume is None else resume),
        resume=resume is not None,
        data=None if data is None else Path(data),
        device=given.pop("device"),
        preset=given.pop("preset"),
        config_file=None if config_file is None else Path(config_file),
        flags=given,
    )


def _parser() -> Parser:
    parser = Parser(
        prog="python -m training.pretrain",
        usage="%(prog)s --data DATASET --out RUN [--preset NAME] [--config FILE] [--FIELD VALUE]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data", metavar="DATASET", help="the data set's folder")
    parser.add_argument("--out", metavar="RUN", help="a new folder for the run")
    parser.add_argument("--resume", metavar="RUN", help="continue the run in this folder")
    parser.add_argument(
        "--preset", choices=PRESETS, help="where to start from (default: paper, or RUN's own)"
    )
    parser.add_argument("--config", metavar="FILE", help="YAML with any of the fields below")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    group = parser.add_argument_group()
    for name, text in field_help(PretrainConfig).items():
        if name in _GROUP_STARTS:
            group = parser.add_argument_group(_GROUP_STARTS[name])
        _add_field(group, name, text)
    return parser


def _add_field(group: argparse._ArgumentGroup, name: str, text: str) -> None:
    values = {preset: getattr(config, name) for preset, config in PRESETS.items()}
    same = len(set(values.values())) == 1
    shown = {None: values["paper"]} if same else values
    told = ", ".join(f"{k + ' ' if k else ''}{_shown(v)}" for k, v in shown.items())
    options: dict[str, Any] = {"help": f"{text} [{told}]".replace("%", "%%")}
    options["default"] = argparse.SUPPRESS
    flag = "--" + name.replace("_", "-")
    if field_types(PretrainConfig)[name] is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
    else:
        group.add_argument(flag, metavar=_metavar(name), **options)


def _metavar(name: str) -> str:
    kind = field_types(PretrainConfig)[name]
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "N,N,..." if typing.get_args(kind)[0] is int else "X,X,..."
    return {int: "N", float: "X", str: "TEXT"}[kind]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(f"{number:g}" for number in value) or "empty"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) or "empty"


def overlay(config: PretrainConfig, changes: Mapping[str, Any], *, where: str) -> PretrainConfig:
    """A configuration with some fields changed.

    Args:
        config: what the changes apply to.
        changes: values by field, as YAML or a flag gives them.
        where: they come from, for messages.

    Raises:
        UsageError: a name is unknown, or a value cannot be.
    """
    names = [field.name for field in dataclasses.fields(PretrainConfig)]
    for name in changes:
        if name not in names:
            near = nearest(name, names) if isinstance(name, str) else ""
            raise UsageError(f"{where}: there is no field {shown(name)}{near}")
    try:
        values = {name: convert(name, value) for name, value in changes.items()}
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    for pair in EXCLUSIVE:
        for name, alternative in (pair, pair[::-1]):
            if values.get(name) and alternative not in values:
                values[alternative] = 0
    return dataclasses.replace(config, **values)


def read_yaml(path: Path) -> dict[str, Any]:
    """The fields in a YAML file.

    Raises:
        UsageError: it cannot be read, or is no mapping.
    """
    try:
        content = yaml_of(read_file(path, most_bytes=MOST_YAML).decode())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds no fields: write lines such as `batch_photos: 256`")
    return content


def convert(name: str, value: object) -> Any:  # noqa: ANN401
    """A value of a field, from text or from what YAML made of it."""
    kind = field_types(PretrainConfig)[name]
    try:
        if typing.get_origin(kind) is typing.Literal:
            choices = typing.get_args(kind)
            value = "off" if value is False else value  # YAML reads a bare off as false
            if not isinstance(value, str) or value not in choices:
                raise UsageError(f"{name} is {shown(value)}: choose from {', '.join(choices)}")
            return value
        if typing.get_origin(kind) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            if not isinstance(parts, list | tuple):
                parts = [parts]
            item = typing.get_args(kind)[0]
            return tuple(_number(item, part) for part in parts if part != "")
        if kind is bool:
            return _truth(value)
        return _text(value) if kind is str else _number(kind, value)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{name} is {shown(value)}: expected {_expected(kind)}") from error


def _text(value: object) -> str:
    if not isinstance(value, str | int | float | datetime.date | None):
        raise ValueError(value)
    return "" if value is None else str(value)


def _number(kind: type, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    number = float(value)
    if kind is float:
        return number
    if number != int(number):
        raise ValueError(value)
    return int(number)


def _expected(kind: Any) -> str:  # noqa: ANN401
    if typing.get_origin(kind) is tuple:
        return f"{_expected(typing.get_args(kind)[0])}, or several with commas between"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]


def _truth(value: object) -> bool:
    text = str(value).lower() if isinstance(value, bool | int | str) else ""
    if text not in _YES + _NO:
        raise ValueError(value)
    return text in _YES
