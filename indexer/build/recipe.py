"""Recipe of a build: what may change the bits of its vectors, chosen once.

A build that is resumed takes the choices of its first run, whatever the machine looks like now.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gair.errors import UsageError
from gair.info import library_versions
from indexer.build.options import WantedPrecision as WantedPrecision

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair

UNIT_SCHEMA = 3
"""Raised when units are computed or written in another way."""

_LIBRARIES = ("gair-geolocator", "torch", "numpy", "pyarrow", "rasterio", "pyproj")

Precision = Literal["float32", "bfloat16"]

PRECISIONS: tuple[WantedPrecision, ...] = get_args(WantedPrecision)

MOST_FRAMES_AT_ONCE = {"cpu": 8, "cuda": 64}
"""Frames in one encoder pass. On a CPU more gain nothing."""

_FRAMES_AT_ONCE_ELSEWHERE = 8

_WIDE = 512
"""From this width on a CPU gains by half precision; narrower models spend their time elsewhere."""

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


def choose_precision(wanted: WantedPrecision, model: Gair) -> Precision:
    """The type that matrix products are computed in.

    ``auto`` is bfloat16 where the CPU has instructions for it and the model is wide enough to gain;
    anywhere else, GPUs included, it is float32.
    """
    if wanted not in PRECISIONS:
        raise UsageError(f"`precision` {wanted!r} is none of {', '.join(PRECISIONS)}: choose one")
    if wanted != "auto":
        return wanted
    wide = model.config.dim >= _WIDE
    return "bfloat16" if model.device.type == "cpu" and wide and has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 by itself (AVX512-BF16, AMX)."""
    import torch

    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # from torch 2.6 on
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


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


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads for a while; 0 leaves it as it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
