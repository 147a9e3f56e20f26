"""Protocol of an encoder, and the adapter that makes anything keep to it.

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
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from gair.arrays import Bytes, Floats32
from gair.errors import TrainingError

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
RawIn = TypeVar("RawIn", contravariant=True)


@dataclass(frozen=True)
class EncoderInfo:
    """What a table says of an encoder."""

    name: str
    """Short, for a table's row."""
    licence: str
    """Of its weights."""
    source: str
    """Where they came from."""
    trained: bool
    """False for random weights."""


class Encoder(Protocol[RawIn]):
    """Anything that a pipeline can put a head on."""

    @property
    def info(self) -> EncoderInfo:
        """Name, licence and source."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def side_px(self) -> int:
        """Side of the square input it was made for; 0 where there is none."""
        ...

    @property
    def module(self) -> nn.Module:
        """The weights; on the CPU in evaluation mode when it is opened."""
        ...

    @property
    def prepare(self) -> Callable[[RawIn], Tensor]:
        """Raw inputs to the tensor that ``encode`` takes."""
        ...

    @property
    def encode(self) -> Callable[[Tensor], Tensor]:
        """Prepared inputs to vectors or maps, as the table above says."""
        ...


@dataclass(frozen=True)
class Adapted(Generic[Raw]):
    """An encoder put together from a module and two functions."""

    info: EncoderInfo
    width: int
    module: nn.Module
    prepare: Callable[[Raw], Tensor]
    encode: Callable[[Tensor], Tensor]
    side_px: int = 0


def depths_of(blocks: int) -> tuple[int, ...]:
    """After how many of a transformer's blocks its four maps are taken.

    PANGAEA reads a transformer of 12 after blocks 4, 6, 8 and 12 (its configuration for CROMA,
    counted from 0: 3, 5, 7, 11); others in proportion, at least one.
    """
    return tuple(max(1, round(blocks * share / 12)) for share in (4, 6, 8, 12))


def embed(
    encoder: Encoder[Raw], raw_batches: Sequence[Raw], *, advance: Callable[[int], None]
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
