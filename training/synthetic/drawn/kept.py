"""Kept worlds: what photos of a city need, in one file that all processes of a machine share.

Drawing a city takes seconds and its rasters take memory; trained on are dozens. So a data set whose
photos are drawn in training has a file for each city, which is mapped into memory: the system keeps
one copy of what is looked at, however many ranks and workers there are.

::

    8 bytes     length of the header, little-endian
    header      JSON: seed, footprints and, by name, [type, shape, offset] of each array
    arrays      each from a multiple of 64 bytes on

A file may be removed: it is drawn again, to the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Ints
from gair.files import disk_errors, make_folder, sha256_of
from gair.inputs.documents import json_of
from training.synthetic.world import CellGrid, Houses, Trees, World

FROM_ABOVE = ("surface", "height", "top")
"""Rasters that only imagery shows: not kept, and empty in a kept world."""
_PARTS: dict[str, type] = {
    "houses": Houses,
    "trees": Trees,
    "house_cells": CellGrid,
    "tree_cells": CellGrid,
}
_ALIGN = 64


@dataclass(frozen=True)
class StreetPlaces:
    """World pixels on carriageways that photos may come from, by footprint."""

    footprints: tuple[str, ...]
    """Ids."""
    pixel: npt.NDArray[np.int32]
    """Numbers of pixels, row * columns + column."""
    start: Ints
    """Those of footprint f are ``pixel[start[f]:start[f + 1]]``."""


@dataclass(frozen=True)
class KeptFile:
    """A file of a kept world, as the data set knows it."""

    sha256: str
    size_bytes: int


def keep_world(path: Path, world: World, places: StreetPlaces) -> KeptFile:
    """Write what photos need of a world, replacing the file at once.

    Raises:
        StorageError: the disk refused.
    """
    arrays = dict(_arrays(world))
    arrays |= {"places.pixel": places.pixel, "places.start": places.start}
    header: dict[str, Any] = {"seed": world.seed, "footprints": list(places.footprints)}
    header["sides"] = {"house_cells": world.house_cells.side, "tree_cells": world.tree_cells.side}
    offset, table = 0, {}
    for name, array in arrays.items():
        table[name] = [array.dtype.str, list(array.shape), offset]
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    header["arrays"] = table
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % _ALIGN)  # so that the arrays begin at a multiple, too
    make_folder(path.parent)
    digest, size = hashlib.sha256(), 0
    hidden = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with disk_errors(path), hidden.open("wb") as file:
            parts = [len(text).to_bytes(8, "little"), text]
            for array in arrays.values():
                parts += [np.ascontiguousarray(array).tobytes(), b"\0" * (-array.nbytes % _ALIGN)]
            for part in parts:
                file.write(part)
                digest.update(part)
                size += len(part)
        with disk_errors(path):
            hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    return KeptFile(digest.hexdigest(), size)


def is_kept(path: Path, kept: KeptFile) -> bool:
    """Whether a file is there with the content it should have; reads all of it."""
    try:
        if path.stat().st_size != kept.size_bytes:
            return False
        return sha256_of(path) == kept.sha256
    except OSError:
        return False


def open_kept(path: Path) -> tuple[World, StreetPlaces]:
    """A world of mapped arrays; what only imagery shows is empty.

    Raises:
        StorageError: the file cannot be read.
    """
    with disk_errors(path):
        # Copies on write: compiled loops know arrays that may be written to, and nobody does.
        content = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json_of(content[8:begin].tobytes())
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, (kind, shape, offset) in header["arrays"].items():
        dtype = np.dtype(kind)
        first = begin + offset
        last = first + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        arrays[name] = content[first:last].view(dtype).reshape(shape)
    places = StreetPlaces(
        tuple(header["footprints"]), arrays.pop("places.pixel"), arrays.pop("places.start")
    )
    fields: dict[str, Any] = {"seed": header["seed"]}
    for name, part in _PARTS.items():
        of_part = {n.partition(".")[2]: a for n, a in arrays.items() if n.startswith(f"{name}.")}
        if name in header["sides"]:
            of_part["side"] = header["sides"][name]
        fields[name] = part(**of_part)
    nothing = np.zeros((0, 0), dtype=np.uint8)
    fields |= {"surface": nothing, "height": nothing, "top": np.zeros((0, 0, 3), dtype=np.uint8)}
    fields |= {name: array for name, array in arrays.items() if "." not in name}
    return World(**fields), places


def _arrays(world: World) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for field in dataclasses.fields(World):
        value = getattr(world, field.name)
        if field.name in FROM_ABOVE or field.name == "seed":
            continue
        if field.name not in _PARTS:
            yield field.name, value
            continue
        for column in dataclasses.fields(value):
            array = getattr(value, column.name)
            if isinstance(array, np.ndarray):
                yield f"{field.name}.{column.name}", array
