"""Stand-ins for packages of others that need a newer Python: what our adapters use of them.

Written from their documentation, torchgeo-bench's repository of 2026 and rs-embed 0.3.1. Where the
packages themselves are installed, tests use them.
"""

from __future__ import annotations

import abc
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np


class LocationEncoder(abc.ABC):
    """Of torchgeo-bench: batches of places to vectors."""

    name = "location_encoder"

    def __init__(self, device: str = "cpu", batch_size: int = 8192) -> None:
        self.device, self.batch_size = device, batch_size

    @abc.abstractmethod
    def _encode(self, lon: Any, lat: Any, year: Any) -> Any: ...

    def encode(self, lon: Any, lat: Any, year: Any = None) -> Any:
        parts = [
            self._encode(lon[at : at + self.batch_size], lat[at : at + self.batch_size], None)
            for at in range(0, len(lon), self.batch_size)
        ]
        return np.concatenate(parts).astype(np.float32)


REGISTRY: dict[str, type] = {}


def register(name: str) -> Any:
    """Of rs-embed: a class decorator that names a model."""

    def named(cls: Any) -> Any:
        REGISTRY[name] = cls
        cls.model_name = name
        return cls

    return named


@dataclass(frozen=True)
class Sensor:
    """Of rs-embed: what to fetch."""

    collection: str
    bands: tuple[str, ...]
    scale_m: int = 10


@dataclass(frozen=True)
class ModelInputSpec:
    """Of rs-embed: what a model takes."""

    collection: str
    bands: tuple[str, ...]
    scale_m: int = 10
    image_size: int | None = None
    expected_channels: int | None = None

    def to_sensor_spec(self) -> Sensor:
        return Sensor(self.collection, self.bands, self.scale_m)


class EmbedderBase:
    """Of rs-embed: fetches what the model takes."""

    model_name = "base"
    input_spec: Any = None

    def _get_provider(self, backend: str) -> Any:
        return PROVIDERS[backend]

    def fetch_input(self, provider: Any, **request: Any) -> Any:
        return SimpleNamespace(data=provider(**request), meta={})


PROVIDERS: dict[str, Any] = {}


def _cropped(grid: Any, window: tuple[float, float, float, float]) -> Any:
    _, height, width = grid.shape
    top, bottom, left, right = window
    rows = slice(round(top * height), round(bottom * height))
    return grid[:, rows, round(left * width) : round(right * width)]


def _window(meta: Any) -> tuple[float, float, float, float]:
    return tuple((meta or {}).get("roi_window_geo", (0.0, 1.0, 0.0, 1.0)))  # type: ignore[return-value]


_CONTENTS: dict[str, dict[str, Any]] = {
    "torchgeo_bench.coordbench.models": {"LocationEncoder": LocationEncoder},
    "rs_embed.core.embedding": {"Embedding": SimpleNamespace},
    "rs_embed.core.registry": {"register": register},
    "rs_embed.core.specs": {
        "ModelInputSpec": ModelInputSpec,
        **dict.fromkeys(("OutputSpec", "SensorSpec", "SpatialSpec", "TemporalSpec"), object),
    },
    "rs_embed.core.types": {"EmbedderCapabilities": SimpleNamespace},
    "rs_embed.embedders.base": {"EmbedderBase": EmbedderBase},
    "rs_embed.embedders.meta": {
        "base_meta": lambda extra, **facts: {**facts, **extra},
        "temporal_to_range": lambda temporal: temporal,
    },
    "rs_embed.embedders.shared": {"grid_to_dataarray": lambda grid, meta: grid},
    "rs_embed.tools.shape": {"crop_grid_to_roi": _cropped, "geo_roi_from_meta": _window},
}


@contextmanager
def standing_in(package: str) -> Iterator[None]:
    """While this is open, the package is what is above, and our adapter of it is imported anew."""

    def of_it() -> list[str]:
        return [n for n in sys.modules if n.split(".")[0] == package or n == adapter]

    adapter = f"gair.adapters.{package}"
    before = {name: sys.modules.pop(name) for name in of_it()}
    for name, contents in _CONTENTS.items():
        if name.split(".")[0] != package:
            continue
        for depth in range(1, name.count(".") + 1):
            above = ".".join(name.split(".")[:depth])
            sys.modules.setdefault(above, types.ModuleType(above))
        module = types.ModuleType(name)
        vars(module).update(contents)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in of_it():
            del sys.modules[name]
        sys.modules.update(before)
