"""Encoder: a module between two functions, so that anything can be one; and its weight files.

An encoder turns raw inputs of one kind into vectors of ``width`` numbers:

==========  ======================================  ===========================
kind        raw                                     ``encode`` gives
==========  ======================================  ===========================
photo       photos, each (H, W, 3) uint8 RGB        (B, width)
frame       :class:`Frames`                         (B, 4, width, h, w)
location    (B, 2) longitude, latitude in degrees   (B, width)
==========  ======================================  ===========================

The four maps of a frame come from four depths, the last one from the end. ``prepare`` does what
needs no gradient (resizing, normalising); ``encode`` has one wherever ``module`` wants it.

Weight files of other projects come from a path, an installed package or the Hugging Face hub.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from gair.arrays import Bytes, Floats32
from gair.errors import ModelError, TrainingError
from gair.info import ModelInfo

Kind = Literal["photo", "frame", "location"]
DEPTHS = 4
"""Feature maps a frame encoder gives."""


@dataclass(frozen=True)
class Frames:
    """Imagery of some frames, before any encoder's own normalisation."""

    dn: Floats32
    """(B, C, H, W) reflectance x 10000."""
    bands: tuple[str, ...]
    """Sentinel-2 names of the C bands."""


Photos = Sequence[Bytes]
Raw = TypeVar("Raw")


@dataclass(frozen=True)
class Encoder(Generic[Raw]):
    """Anything that a pipeline can put a head on."""

    info: ModelInfo
    """Name, licence and source of its weights, for a table's row."""
    width: int
    """Numbers of a vector."""
    module: nn.Module
    """The weights; on the CPU in evaluation mode when it is opened."""
    prepare: Callable[[Raw], Tensor]
    """Raw inputs to the tensor that ``encode`` takes."""
    encode: Callable[[Tensor], Tensor]
    """Prepared inputs to vectors or maps, as the table above says."""
    side_px: int = 0
    """Side of the square input it was made for; 0 where there is none."""
    fingerprint: Callable[[], str] | None = None
    """Of the whole GAIR model that it is a tower of; None for others."""


def depths_of(blocks: int) -> tuple[int, ...]:
    """After how many of a transformer's blocks its four maps are taken.

    PANGAEA reads a transformer of 12 after blocks 4, 6, 8 and 12 (its configuration for CROMA,
    counted from 0: 3, 5, 7, 11); others in proportion, at least one.
    """
    return tuple(max(1, round(blocks * share / 12)) for share in (4, 6, 8, 12))


def embed(
    encoder: Encoder[Raw], raw_batches: Iterable[Raw], *, advance: Callable[[int], None]
) -> Tensor:
    """Vectors of many inputs without a gradient, (N, width) or (N, 4, width, h, w).

    Args:
        encoder: of any kind.
        raw_batches: inputs, a batch at a time; read one after another.
        advance: told how many inputs each batch had.

    Raises:
        TrainingError: a vector is not finite.
    """
    parts: list[Tensor] = []
    with torch.inference_mode():
        for raw in raw_batches:
            vectors = encoder.encode(encoder.prepare(raw)).float().cpu()
            if not bool(torch.isfinite(vectors).all()):
                raise TrainingError(f"{encoder.info.name} gives vectors that are not finite")
            parts.append(vectors.clone())  # a slice would keep all tokens of its batch
            advance(len(vectors))
    return torch.cat(parts)


def fetched(source: str, hub_id: str, name: str) -> Path:
    """A file that the user names, else one of the hub.

    Args:
        source: the path, or empty for the hub.
        hub_id: where the authors publish it.
        name: of the file there.

    Raises:
        ModelError: there is no such file, or the hub cannot be reached.
    """
    if source:
        return _file(source)
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(hub_id, name)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(hf_hub_download(hub_id, name, etag_timeout=10))
    except Exception as error:  # which one depends on the hub's client
        raise ModelError(
            f"cannot get {name} of {hub_id} from the Hugging Face hub ({type(error).__name__}): "
            f"check the network, or download https://huggingface.co/{hub_id}/resolve/main/{name} "
            "and pass its path after a colon"
        ) from error


def installed(source: str, package: str, inside: str, *, remedy: str) -> Path:
    """A file that the user names, else one inside an installed package that is not imported.

    Args:
        source: the path, or empty for the package's.
        package: its import name.
        inside: where the file is in it.
        remedy: how to get it.

    Raises:
        ModelError: there is no such file.
    """
    if source:
        return _file(source)
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(folder) / inside).is_file():
            return Path(folder) / inside
    raise ModelError(f"no weights of {package} here: {remedy}, or pass their path after a colon")


def _file(source: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise ModelError(f"no weights at {source!r}: give the path of a checkpoint file")
    return path
