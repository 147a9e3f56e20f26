"""The fields of a run's configuration by name: help texts, values from text or YAML, layers."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import inspect
import itertools
import textwrap
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from training.pretraining.config import EXCLUSIVE, PretrainConfig

_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")


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
            raise UsageError(f"{where}: there is no field {name!r}{nearest(str(name), names)}")
    try:
        values = {name: convert(name, value) for name, value in changes.items()}
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    for pair in EXCLUSIVE:
        for one, other in (pair, pair[::-1]):
            if values.get(one) and other not in values:
                values[other] = 0
    return dataclasses.replace(config, **values)


def read_yaml(path: Path) -> dict[str, Any]:
    """The fields in a YAML file.

    Raises:
        UsageError: it cannot be read, or is no mapping.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no fields: write lines such as `batch_photos: 256`")
    return found


def convert(name: str, value: object) -> Any:  # noqa: ANN401
    """A value of a field, from text or from what YAML made of it."""
    kind = field_types()[name]
    try:
        if typing.get_origin(kind) is typing.Literal:
            choices = typing.get_args(kind)
            value = "off" if value is False else value  # YAML reads a bare off as false
            if value not in choices:
                raise UsageError(f"{name} is {value!r}: choose from {', '.join(choices)}")
            return value
        if typing.get_origin(kind) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            if not isinstance(parts, list | tuple):
                parts = [parts]
            item = typing.get_args(kind)[0]
            return tuple(_number(item, part) for part in parts if part != "")
        if kind is bool:
            return _truth(value)
        return ("" if value is None else str(value)) if kind is str else _number(kind, value)
    except ValueError as error:
        raise UsageError(f"{name} is {value!r}: expected {_expected(kind)}") from error


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
    return {int: "a whole number", float: "a number", bool: "true or false"}[kind]


def _truth(value: object) -> bool:
    text = str(value).lower()
    if text not in _YES + _NO:
        raise ValueError(value)
    return text in _YES


@functools.cache
def field_types() -> dict[str, Any]:
    """The type of each field."""
    return typing.get_type_hints(PretrainConfig)


@functools.cache
def field_help() -> dict[str, str]:
    """The docstring under each field, on one line."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(PretrainConfig)))
    found: dict[str, str] = {}
    for field, doc in itertools.pairwise(tree.body[0].body):  # type: ignore[attr-defined]
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
            found[ast.unparse(field.target)] = " ".join(ast.literal_eval(doc.value).split())
    return found


def nearest(word: str, known: Sequence[str]) -> str:
    """A remedy for a misspelt word, or nothing."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
