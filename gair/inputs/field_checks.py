"""Checks values of dataclasses against the types and bounds that their fields state.

A field says once what may be in it, and whatever reads or makes the dataclass refuses the rest
before anything is made of it::

    @dataclass(frozen=True)
    class Config:
        depth: Annotated[int, Range(0, 128)] = 12
        widths: Annotated[tuple[Annotated[int, Range(1, 4096)], ...], Length(0, 32)] = ()

        def __post_init__(self) -> None:
            check_fields(self, ModelError)

A truth value is no number, a whole number may stand for any other, and NaN is within no range.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from gair.errors import GairError


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both included; a number is finite in any case."""

    least: float = -math.inf
    most: float = math.inf

    def __str__(self) -> str:
        if math.isinf(self.most):
            return "" if math.isinf(self.least) else f" {self.least:g} or more"
        return f" from {self.least:.15g} to {self.most:.15g}"


@dataclass(frozen=True)
class Length:
    """Bounds of how many characters a text or items a tuple has, both included."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.least:,} to {self.most:,}" if self.least else f"at most {self.most:,}"


LINE = Annotated[str, Length(0, 4096)]
"""A text for people, or a path."""
_ANY_NUMBER, _ANY_LENGTH = Range(), None
_MOST_SHOWN = 160
"""Characters of a value in an error."""


def check_fields(
    values: Any,  # noqa: ANN401
    error: type[GairError],
    *,
    where: str = "",
) -> None:
    """Refuse a dataclass whose fields hold what their types or bounds do not allow.

    Args:
        values: an instance of a dataclass.
        error: what is raised.
        where: it comes from, to begin the message with, such as a file and a colon; where there is
            none, the field is named as an argument is.

    Raises:
        GairError: of the class ``error``; it names the first such field, its value and what the
            field may hold.
    """
    cls: type = type(values)
    for name, kind in _kinds(cls).items():
        value = getattr(values, name)
        if not _fits(kind, value):
            label = f"{where}{name}" if where else f"`{name}`"  # a flag is named by backticks
            raise error(f"{label} is {shown(value)}: it must be {_expected(kind)}")


def tuples_of_lists(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON or YAML made of a dataclass, with tuples for the fields that hold tuples."""
    kinds = _kinds(cls)
    return {
        name: tuple(value) if isinstance(value, list) and _is_tuple(kinds.get(name)) else value
        for name, value in values.items()
    }


def shown(value: object) -> str:
    """A value for an error: on one line, and short however long or deep it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    short.maxlevel = 3
    try:
        text = " ".join(short.repr(value).split())
        return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."
    except ValueError:  # Python writes out no number of thousands of digits
        return f"a {type(value).__name__} with a number too long to be shown"


@functools.cache
def _kinds(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _is_tuple(kind: Any) -> bool:  # noqa: ANN401
    return typing.get_origin(_parted(kind)[0]) is tuple


def _parted(kind: Any) -> tuple[Any, Range, Length | None]:  # noqa: ANN401
    """A type without its bounds, and they."""
    if typing.get_origin(kind) is not Annotated:
        return kind, _ANY_NUMBER, _ANY_LENGTH
    plain, *bounds = typing.get_args(kind)
    numbers = [bound for bound in bounds if isinstance(bound, Range)]
    lengths = [bound for bound in bounds if isinstance(bound, Length)]
    return plain, numbers[0] if numbers else _ANY_NUMBER, lengths[0] if lengths else _ANY_LENGTH


def _fits(kind: Any, value: Any) -> bool:  # noqa: ANN401
    plain, numbers, length = _parted(kind)
    shape, parts = typing.get_origin(plain), typing.get_args(plain)
    if plain is Any:
        return True
    if shape in (typing.Union, types.UnionType):
        return any(_fits(part, value) for part in parts)
    if shape is Literal:
        return any(type(value) is type(choice) and value == choice for choice in parts)
    if plain in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool)
        of_kind = whole or (plain is float and isinstance(value, float))
        return of_kind and numbers.least <= value <= numbers.most and abs(value) != math.inf
    if not isinstance(value, shape or plain):
        return False
    if length is not None and not length.least <= len(value) <= length.most:
        return False
    if shape is dict:
        return all(_fits(parts[0], key) and _fits(parts[1], item) for key, item in value.items())
    if shape in (list, tuple):
        if shape is tuple and parts[-1] is not Ellipsis:
            pairs = zip(parts, value, strict=False)
            return len(value) == len(parts) and all(_fits(part, item) for part, item in pairs)
        return all(_fits(parts[0], item) for item in value)
    return True


def _expected(kind: Any) -> str:  # noqa: ANN401
    """What a field may hold, in words."""
    plain, numbers, length = _parted(kind)
    shape, parts = typing.get_origin(plain), typing.get_args(plain)
    if shape in (typing.Union, types.UnionType):
        return " or ".join(_expected(part) for part in parts)
    if shape is Literal:
        return "one of " + ", ".join(map(str, parts))
    if plain in (int, float):
        return ("a whole number" if plain is int else "a number") + str(numbers)
    if plain in (bool, str, types.NoneType):
        text = "text" if length is None else f"text of {length} characters"
        return {bool: "true or false", str: text, types.NoneType: "nothing"}[plain]
    if shape in (list, tuple):
        many = "" if length is None else f" of {length}"
        if shape is tuple and parts[-1] is not Ellipsis:
            return f"a list of {len(parts)}: " + ", ".join(_expected(part) for part in parts)
        return f"a list{many}, each {_expected(parts[0])}"
    return f"a {getattr(shape or plain, '__name__', plain)}"
