"""Odd STAC items: good ones with one member at a time replaced or taken away."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

ODD: tuple[object, ...] = (
    None, "text", "", "12 MB", 0, -1, 1e300, float("nan"), True, [], {}, [None], ["text"], [[]],
    {"nested": {"deep": None}}, [1, "two", None], 10**40, "\x00",
)  # fmt: skip
"""What stands there instead."""
GONE = object()
"""Stands for no member at all."""


def paths_in(value: object, path: Path = ()) -> Iterator[Path]:
    """The place of every member of a JSON value; of long lists, the first two and the last."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from paths_in(member, (*path, key))
    elif isinstance(value, list):
        for index in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from paths_in(value[index], (*path, index))


def replaced(item: dict[str, Any], path: Path, odd: object) -> dict[str, Any]:
    """An item with something odd in one place."""
    changed = copy.deepcopy(item)
    parent: Any = changed
    for step in path[:-1]:
        parent = parent[step]
    if odd is GONE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = copy.deepcopy(odd)
    return changed


def mutations(
    item: dict[str, Any], each: int | None = None, seed: int = 0
) -> Iterator[tuple[Path, object, dict[str, Any]]]:
    """Every member with every odd value, or with ``each`` of them, the same for the same seed."""
    rng = random.Random(seed)
    choices = [GONE, *ODD]
    for path in paths_in(item):
        for odd in choices if each is None else rng.sample(choices, each):
            yield path, odd, replaced(item, path, odd)
