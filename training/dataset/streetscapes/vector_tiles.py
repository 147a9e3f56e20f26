"""Points of a Mapbox Vector Tile, with their properties.

The format is a Protocol Buffers message, read here by Google's own library from the published
definition: https://github.com/mapbox/vector-tile-spec/tree/master/2.1. Of its geometries only the
points are understood, which is what lists of photos are made of.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from gair.errors import DatasetError, UsageError

_MOVE_TO = 1
_POINT = 1
_KINDS = {"string": 9, "float": 2, "double": 1, "int64": 3, "uint64": 4, "sint64": 18, "bool": 8}
_UINT32, _ENUM_AS_INT, _BYTES_LIKE_STRING, _MESSAGE = 13, 5, 9, 11
_ONE, _MANY = 1, 3

Point = tuple[float, float, dict[str, Any]]


def points_of(content: bytes, layer: str, name: str) -> Iterator[Point]:
    """The points of a layer.

    Args:
        content: a tile, decompressed.
        layer: which of its layers; one that is not there has no points.
        name: what to call the tile in errors.

    Yields:
        x and y in the tile, 0 to 1 from its north-west corner (a little beyond for points in its
        margin), and the properties.

    Raises:
        DatasetError: it is no vector tile.
        UsageError: the library is not installed.
    """
    tile = _tile_class()()
    try:
        tile.ParseFromString(content)
    except Exception as error:
        raise DatasetError(
            f"{name} is no vector tile ({' '.join(str(error).split())}): ask again later"
        ) from error
    for found in tile.layers:
        if found.name != layer:
            continue
        values = [_value(value) for value in found.values]
        for feature in found.features:
            if feature.type != _POINT:
                continue
            tags = iter(feature.tags)
            try:
                properties = {found.keys[key]: values[next(tags)] for key in tags}
            except (IndexError, StopIteration, RuntimeError) as error:
                raise DatasetError(f"{name} is a damaged vector tile: ask again later") from error
            for x, y in _moves(feature.geometry):
                yield x / found.extent, y / found.extent, properties


def _moves(geometry: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401
    """Where a geometry of points goes: one command, then pairs of zigzag-encoded steps."""
    if not len(geometry) or geometry[0] & 7 != _MOVE_TO:
        return
    x = y = 0
    for at in range(1, min(1 + 2 * (geometry[0] >> 3), len(geometry) - 1), 2):
        x += _zigzag(geometry[at])
        y += _zigzag(geometry[at + 1])
        yield x, y


def _zigzag(number: int) -> int:
    return (number >> 1) ^ -(number & 1)


def _value(value: Any) -> Any:  # noqa: ANN401
    for kind in _KINDS:
        if value.HasField(f"{kind}_value"):
            return getattr(value, f"{kind}_value")
    return None


@functools.cache
def _tile_class() -> Any:  # noqa: ANN401
    """The message class, from the definition's field numbers and types."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise UsageError(
            "coverage tiles need protobuf: install it with pip install 'gair-geolocator[streets]'"
        ) from error
    file = descriptor_pb2.FileDescriptorProto(
        name="gair/vector_tile.proto", package="gair_vector_tile", syntax="proto2"
    )

    def message(parent: Any, name: str, *fields: tuple[str, int, int, int, str]) -> Any:  # noqa: ANN401
        made = parent.add(name=name)
        for field, number, label, kind, of in fields:
            added = made.field.add(name=field, number=number, label=label, type=kind)
            if of:
                added.type_name = f".gair_vector_tile.Tile.{of}"
        return made

    tile = message(file.message_type, "Tile", ("layers", 3, _MANY, _MESSAGE, "Layer"))
    message(
        tile.nested_type,
        "Value",
        *((f"{kind}_value", n, _ONE, t, "") for n, (kind, t) in enumerate(_KINDS.items(), 1)),
    )
    feature = message(
        tile.nested_type,
        "Feature",
        ("id", 1, _ONE, _KINDS["uint64"], ""),
        ("tags", 2, _MANY, _UINT32, ""),
        ("type", 3, _ONE, _ENUM_AS_INT, ""),
        ("geometry", 4, _MANY, _UINT32, ""),
    )
    for packed in feature.field:
        if packed.label == _MANY:
            packed.options.packed = True
    layer = message(
        tile.nested_type,
        "Layer",
        ("version", 15, _ONE, _UINT32, ""),
        ("name", 1, _ONE, _BYTES_LIKE_STRING, ""),
        ("features", 2, _MANY, _MESSAGE, "Feature"),
        ("keys", 3, _MANY, _BYTES_LIKE_STRING, ""),
        ("values", 4, _MANY, _MESSAGE, "Value"),
        ("extent", 5, _ONE, _UINT32, ""),
    )
    layer.field[5].default_value = "4096"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("gair_vector_tile.Tile"))
