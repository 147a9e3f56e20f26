"""Which build units belong to: a hash of everything that their vectors depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.recipe import WantedPrecision, has_bfloat16

if TYPE_CHECKING:
    from gair.inr import QueryMode
    from indexer.units import BuildPlan

UNIT_SCHEMA = 2
"""Raised when units are computed or written in another way."""
_LIBRARIES = ("gair-geolocator", "torch", "numpy", "pyarrow", "rasterio", "pyproj")


def what_vectors_depend_on(
    plan: BuildPlan,
    *,
    polygon_sha256: str,
    imagery: Mapping[str, Any],
    model_fingerprint: str,
    device: str,
    query_mode: QueryMode,
    keep_token_maps: bool,
    precision: WantedPrecision,
    threads: int | None,
) -> dict[str, Any]:
    """Plain JSON types; two builds whose units may be mixed have equal ones.

    The precision and the threads are the wanted ones: what was chosen where none was wanted is
    kept beside the units, with the number of frames in a pass.
    """
    frames = plan.frames
    return {
        "schema": UNIT_SCHEMA,
        "model": model_fingerprint,
        "polygon": polygon_sha256,
        "h3_resolution": plan.cells.resolution,
        "cells": _digest(plan.cells.ids),
        "frames": _digest(frames.bounds_wsen_m, frames.frame_px, frames.frame_of_cell),
        "inner_share": frames.inner_share,
        "unit_resolution": plan.unit_resolution,
        "imagery": dict(imagery),
        "query_mode": query_mode,
        "keep_token_maps": keep_token_maps,
        "precision": precision,
        "threads": threads,
        "machine": machine(device),
    }


def machine(device: str) -> dict[str, Any]:
    """What of this machine and its software may change the last bits of a vector."""
    import torch

    libraries = {name: known for name in _LIBRARIES if (known := _version(name))}
    found: dict[str, Any] = {"device": device, "libraries": libraries}
    if device == "cpu":
        found["cpu"] = torch.backends.cpu.get_cpu_capability()
        found["bfloat16"] = has_bfloat16()
    elif device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    return found


def fingerprint_of(facts: Mapping[str, Any]) -> str:
    """The sha256 of facts as canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(*arrays: np.ndarray[Any, Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
