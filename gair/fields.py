"""Flags, help texts and values of a command line from the fields of dataclasses.

An option is said once, as a field with type, default and docstring::

    @dataclass(frozen=True)
    class Options:
        steps: int = 100
        ...                                    # its docstring, as for each, is the flag's help
        mode: Literal["fast", "exact"] = "fast"
        keep_maps: bool = option(True, flags="--no-maps", help="do not keep the maps")

    add_fields(parser, Options)                # --steps N, --mode {fast,exact}, --no-maps
    options = from_namespace(Options, parser.parse_args())

A flag that is not given is not in the namespace, so the dataclass alone holds the defaults and
:func:`given` tells what was typed. Several dataclasses may share one parser, and a flag.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import functools
import inspect
import itertools
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, TypeVar

from gair.errors import UsageError

_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


@dataclasses.dataclass(frozen=True)
class _Option:
    """How a field is written on a command line."""

    flags: tuple[str, ...] | None = ()
    positional: bool = False
    metavar: str | None = None
    help: str | None = None
    group: str | tuple[str, str] | None = None
    one_of: str | None = None
    parse: Callable[[str], Any] | None = None
    many: Literal["again", "words", "commas", "word"] = "again"
    both: bool = False
    leave_out: tuple[str, ...] = ()


_KEY = "gair.fields"
_PLAIN = _Option()
_T = TypeVar("_T")


def option(
    default: Any = MISSING,  # noqa: ANN401
    *,
    factory: Any = MISSING,  # noqa: ANN401
    flags: str | Sequence[str] | None = (),
    positional: bool = False,
    metavar: str | None = None,
    help: str | None = None,  # noqa: A002
    group: str | tuple[str, str] | None = None,
    one_of: str | None = None,
    parse: Callable[[str], Any] | None = None,
    many: Literal["again", "words", "commas", "word"] = "again",
    both: bool = False,
    leave_out: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401
    """A dataclass field with what its name, type and docstring do not say about its flag.

    Args:
        default: of the field; without one the flag is required.
        factory: makes the default, where it cannot be shared.
        flags: one or several, instead of ``--the-name``; None for no flag at all.
        positional: whether it is given by its place.
        metavar: what stands for the value in the help.
        help: the help text, instead of the docstring.
        group: title of the flags it is listed with, and a line about them if two texts are given; a
            group of that title is used if there is one.
        one_of: a name for flags of which only one may be given.
        parse: makes the value of a word; its errors are :class:`UsageError` or ``ValueError``.
            It runs in :func:`from_namespace`, where errors are caught as all others.
        many: how a tuple is given: the flag again and again, several words after it, one word with
            commas, or one word of which ``parse`` makes all of it. Tuples of a fixed length have
            commas.
        both: whether a truth value has ``--x`` and ``--no-x``, not just the one that changes it.
        leave_out: fields of the dataclass that this field holds which get no flags here.
    """
    names = (flags,) if isinstance(flags, str) else None if flags is None else tuple(flags)
    about = _Option(names, positional, metavar, help, group, one_of, parse, many, both, leave_out)
    return dataclasses.field(default=default, default_factory=factory, metadata={_KEY: about})


def add_fields(
    container: Any,  # noqa: ANN401
    cls: type,
    *,
    only: Collection[str] | None = None,
    leave_out: Collection[str] = (),
    defaults: object = None,
) -> None:
    """Add a flag for each field of a dataclass, and of the dataclasses that it holds.

    Fields of a type ``SomeDataclass | None`` get none: whether there is one is the caller's to say.

    Args:
        container: an argument parser or a group of one. A flag that is there already for a field
            of the same name is shared.
        cls: the dataclass.
        only: names of fields to add; all unless given.
        leave_out: names of fields not to add, here and in the dataclasses it holds.
        defaults: an instance whose values the help shows; those of the fields unless given.
    """
    exclusive: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name in leave_out or (only is not None and field.name not in only):
            continue
        about = _about(field)
        if about.flags is None:
            continue
        place = _group(container, about.group)
        if about.one_of is not None:
            if about.one_of not in exclusive:
                exclusive[about.one_of] = place.add_mutually_exclusive_group()
            place = exclusive[about.one_of]
        if (held := _held_class(cls, field)) is not None:
            shown = None if _is_required(field) else _default(field)
            add_fields(place, held, leave_out=(*leave_out, *about.leave_out), defaults=shown)
        elif not _is_optional_dataclass(cls, field):
            _add_field(place, cls, field, defaults)


def from_namespace(cls: type[_T], namespace: argparse.Namespace, **values: Any) -> _T:  # noqa: ANN401
    """An instance of a dataclass from what was parsed.

    Args:
        cls: the dataclass.
        namespace: what the parser made of a command line.
        **values: values of fields by name, which win.

    Raises:
        UsageError: a value cannot be read, or the dataclass refuses it.
    """
    return cls(**{**_values(cls, namespace, leave_out=values), **values})


def given(cls: type, namespace: argparse.Namespace) -> frozenset[str]:
    """Names of the fields, of a dataclass and of those it holds, that a command line gave."""
    names: set[str] = set()
    for field in dataclasses.fields(cls):
        if (held := _held_class(cls, field)) is not None:
            names |= given(held, namespace)
        elif _about(field).flags is not None and hasattr(namespace, field.name):
            names.add(field.name)
    return frozenset(names)


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """The type of each field of a dataclass."""
    return typing.get_type_hints(cls)


@functools.cache
def field_help(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, on one line; inherited ones, too."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            for field, doc in itertools.pairwise(_class_body(base)):
                if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
                    texts[ast.unparse(field.target)] = " ".join(ast.literal_eval(doc.value).split())
    return texts


def check_range(options: object, least: float, *names: str, most: float = math.inf) -> None:
    """Refuse numbers of a dataclass, or tuples of them, that are not finite or out of a range.

    Args:
        options: the dataclass; None as a value passes.
        least: the smallest number that may be.
        *names: of its fields.
        most: the largest.

    Raises:
        UsageError: one is.
    """
    limit = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
    for name in names:
        value = getattr(options, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not (math.isfinite(number) and least <= number <= most):
                raise UsageError(f"`{name}` is {number}: it must be {limit}")


def nearest(word: str, words: Sequence[str]) -> str:
    """A remedy for a misspelt word, or nothing."""
    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _class_body(cls: type) -> list[ast.stmt]:
    """The statements of a class; none where its source is not there, as in frozen programs."""
    try:
        return _class_bodies(cls.__module__).get(cls.__name__, [])
    except (OSError, TypeError):
        return []


@functools.cache
def _class_bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Of a whole module: `inspect.getsource` of a class would parse it again for every class."""
    bodies: dict[str, list[ast.stmt]] = {}
    scopes: list[Any] = [ast.parse(inspect.getsource(sys.modules[module]))]
    while scopes:  # classes may be in functions; `ast.walk` would visit every expression, too
        for node in scopes.pop().body:
            if isinstance(node, ast.ClassDef):
                bodies[node.name] = node.body
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                scopes.append(node)
    return bodies


def _about(field: dataclasses.Field[Any]) -> _Option:
    about: _Option = field.metadata.get(_KEY, _PLAIN)
    return about if field.init else dataclasses.replace(about, flags=None)


def _kind(cls: type, field: dataclasses.Field[Any]) -> tuple[Any, bool]:
    """The type of a field without None, and whether it may be None."""
    hint = field_types(cls)[field.name]
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, False
    members = typing.get_args(hint)
    return next(m for m in members if m is not types.NoneType), types.NoneType in members


def _held_class(cls: type, field: dataclasses.Field[Any]) -> type | None:
    """The dataclass that a field holds and whose fields are flags; None for other fields."""
    kind, optional = _kind(cls, field)
    about = _about(field)
    held = dataclasses.is_dataclass(kind) and about.parse is None and about.flags is not None
    return kind if held and not optional else None


def _is_optional_dataclass(cls: type, field: dataclasses.Field[Any]) -> bool:
    kind, optional = _kind(cls, field)
    return optional and dataclasses.is_dataclass(kind) and _about(field).parse is None


def _group(container: Any, about: str | tuple[str, str] | None) -> Any:  # noqa: ANN401
    """The group of a title, made where it is missing; groups of groups are the group itself."""
    if about is None or not isinstance(container, argparse.ArgumentParser):
        return container
    title, description = (about, None) if isinstance(about, str) else about
    groups = [group for group in container._action_groups if group.title == title]
    return groups[0] if groups else container.add_argument_group(title, description)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    factory = field.default_factory
    return field.default if factory is MISSING else factory()


def _add_field(
    container: Any,  # noqa: ANN401
    cls: type,
    field: dataclasses.Field[Any],
    defaults: object,
) -> None:
    about, (kind, _) = _about(field), _kind(cls, field)
    names = [field.name] if about.positional else _flags(cls, field)
    there = [container._option_string_actions.get(flag) for flag in names]
    if not about.positional and any(action and action.dest == field.name for action in there):
        return
    options: dict[str, Any] = {
        "help": _help(cls, field, defaults).replace("%", "%%"),
        "default": argparse.SUPPRESS,
    }
    if kind is bool:
        if about.both:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["action"] = "store_false" if field.default is True else "store_true"
    else:
        options |= _value_options(kind, about)
        if about.positional:
            several = options.pop("action", None) == "append"
            words = ("+", None) if _is_required(field) else ("*", "?")
            options["nargs"] = words[0] if several or "nargs" in options else words[1]
    if not about.positional:
        options |= {"dest": field.name, "required": _is_required(field)}
    container.add_argument(*names, **options)


def _value_options(kind: Any, about: _Option) -> dict[str, Any]:  # noqa: ANN401
    """What argparse is told about the value of a field."""
    options: dict[str, Any] = {}
    item = kind
    if typing.get_origin(kind) in (tuple, list):
        if not _is_one_word(kind, about):
            item = typing.get_args(kind)[0]
            options = {"nargs": "+"} if about.many == "words" else {"action": "append"}
        elif about.metavar is None and about.parse is None:
            items = [_METAVARS.get(item, "...") for item in typing.get_args(kind)]
            options["metavar"] = ",".join(items[:1] * 2 + ["..."] if "..." in items else items)
    if about.metavar is not None:
        options["metavar"] = about.metavar
    if about.parse is None and typing.get_origin(item) is Literal:
        choices = typing.get_args(item)
        options |= {"choices": choices, "type": type(choices[0])}
    elif about.parse is None and item in _METAVARS:
        options = {"metavar": _METAVARS[item], **options, "type": item}
    return options


def _is_one_word(kind: Any, about: _Option) -> bool:  # noqa: ANN401
    """Whether a tuple is given as one word."""
    fixed = typing.get_origin(kind) is tuple and typing.get_args(kind)[-1] is not Ellipsis
    return fixed or about.many in ("commas", "word")


def _flags(cls: type, field: dataclasses.Field[Any]) -> list[str]:
    about = _about(field)
    no = "no-" if _kind(cls, field)[0] is bool and field.default is True and not about.both else ""
    return list(about.flags or ()) or [f"--{no}{field.name.replace('_', '-')}"]


@functools.cache
def _flag_of_name(cls: type) -> dict[str, str]:
    return {field.name: max(_flags(cls, field), key=len) for field in dataclasses.fields(cls)}


def _help(cls: type, field: dataclasses.Field[Any], defaults: object) -> str:
    """The docstring as a help text: other options by their flags, the default at the end."""
    flags = _flag_of_name(cls)
    about = _about(field)
    text = about.help if about.help is not None else field_help(cls).get(field.name, "")
    text = re.sub(r"(?::[\w:]+:)?`+~?([^`]+)`+", lambda m: flags.get(m[1], m[1]), text)
    text = text if text.endswith("...") else text.removesuffix(".")
    if re.match(r"[A-Z]([a-z]*|')(?=[ ,;:.]|$)", text):  # no name such as H3 or GeoJSON
        text = text[0].lower() + text[1:]
    unsaid = "(default" in text or _is_required(field)
    default = _default(field) if defaults is None else getattr(defaults, field.name)
    shown = "" if unsaid else _shown(default)
    return f"{text} (default: {shown})" if shown else text


def _shown(value: object) -> str:
    """A default for people; nothing where there is none or it goes without saying."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, tuple | list):
        return ",".join(_shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(
    cls: type, namespace: argparse.Namespace, leave_out: Collection[str] = ()
) -> dict[str, Any]:
    """The values of fields that a command line gave."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        about = _about(field)
        if field.name in leave_out or about.flags is None:
            continue
        if (held := _held_class(cls, field)) is not None:
            inner = _values(held, namespace, about.leave_out)
            if _is_required(field):
                values[field.name] = held(**inner)
            elif inner:
                values[field.name] = dataclasses.replace(_default(field), **inner)
        elif hasattr(namespace, field.name) and not _is_optional_dataclass(cls, field):
            values[field.name] = _value(cls, field, getattr(namespace, field.name))
    return values


def _value(cls: type, field: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401
    """The value of a field from the words that argparse left."""
    about, (kind, _) = _about(field), _kind(cls, field)
    shape = typing.get_origin(kind)
    if value is None or (shape not in (tuple, list) and about.parse is None):
        return value
    if shape in (tuple, list) and not _is_one_word(kind, about):
        return shape(_read(field.name, about.parse, word) for word in value)
    if about.parse is not None and about.many != "commas":
        return _read(field.name, about.parse, value)
    return shape(
        _read(field.name, about.parse or typing.get_args(kind)[0], word)
        for word in value.split(",")
        if word
    )


def _read(name: str, parse: Callable[[str], Any] | None, word: Any) -> Any:  # noqa: ANN401
    if parse is None or not isinstance(word, str):
        return word
    try:
        return parse(word)
    except ValueError as error:
        raise UsageError(f"`{name}` {word!r} cannot be read: {error}") from error
