"""Recipe of a build: what may change the bits of its vectors, chosen once.

A build that is resumed takes the choices of its first run, whatever the machine looks like now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.encoders.precision import has_bfloat16
from gair.info import library_versions

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.encoders.precision import Precision
    from gair.model import Gair

UNIT_SCHEMA = 5
"""Raised when units are computed or written in another way."""

_LIBRARIES = ("gair-geolocator", "torch", "numpy", "pyarrow", "rasterio", "pyproj")

MOST_FRAMES_AT_ONCE = {"cpu": 8, "cuda": 64}
"""Frames in one encoder pass. On a CPU more gain nothing."""

_FRAMES_AT_ONCE_ELSEWHERE = 8

_SHARE_OF_MEMORY = 0.25

_ACTIVATIONS = 40
"""Numbers a token and dimension that an encoder pass holds at the same time, generously."""


@dataclass(frozen=True)
class Recipe:
    """How units are computed."""

    query_mode: QueryMode = "nili"
    """How token maps are read at cells."""
    precision: Precision = "float32"
    """Type that matrix products are computed in; what they are made into is float32."""
    frames_at_once: int = 8
    """Frames in one encoder pass, of the same unit."""
    threads: int = 0
    """Threads that torch computes with on a CPU: how a sum is shared out shows in its last bits. 0
    leaves it to torch."""
    keep_token_maps: bool = True
    """Whether token maps go into the units."""


def choose_frames_at_once(model: Gair) -> int:
    """How many frames fit in a quarter of the memory that is free now, up to what helps."""
    config, device = model.config, model.device
    most = MOST_FRAMES_AT_ONCE.get(device.type, _FRAMES_AT_ONCE_ELSEWHERE)
    free_bytes = _free_bytes(device.type)
    if free_bytes is None:
        return most
    tokens = config.rs_grid**2
    scores = config.rs_heads * tokens * tokens
    frame_bytes = 4 * (_ACTIVATIONS * tokens * config.dim + 2 * scores)
    return int(min(max(_SHARE_OF_MEMORY * free_bytes / frame_bytes, 1), most))


def _free_bytes(device: str) -> int | None:
    """Memory that can be had, None where nothing says."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


def machine(device: str) -> dict[str, Any]:
    """What of this machine and its software may change the last bits of a vector."""
    import torch

    facts: dict[str, Any] = {"device": device, "libraries": library_versions(_LIBRARIES)}
    if device == "cpu":
        facts["cpu"] = torch.backends.cpu.get_cpu_capability()
        facts["bfloat16"] = has_bfloat16()
    elif device == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """The sha256 of facts as canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(*arrays: np.ndarray[Any, Any]) -> str:
    """The sha256 of arrays: of their types, shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
