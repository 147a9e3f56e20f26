"""Batch of photos and the frames they lie in, and the options that shape it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gair.fields import check_range
from training.dataset.batches.augment import AugmentOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor


@dataclass(frozen=True)
class LoaderOptions:
    """What :class:`training.dataset.batches.loader.PairLoader` does with a data set."""

    batch_photos: int = 256
    """Photos of one global batch, over all ranks."""
    photos_per_footprint: int = 1
    """Photos of one footprint that come together; 1 draws all of them independently (paper)."""
    seed: int = 0
    """Of the order of the photos, the dates of the frames and the augmentation."""
    workers: int = 2
    """Processes that read and decode; 0 does it in the calling process."""
    prefetch: int = 2
    """Batches that each worker makes ahead."""
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    coordinate_noise_m: float = 0.0
    """Standard deviation of an error added to photos' coordinates, metres along each axis."""
    skip_broken: bool = False
    """Whether a photo that cannot be decoded is replaced by another and counted, not an error."""

    def __post_init__(self) -> None:
        check_range(self, 1, "batch_photos", "photos_per_footprint", "prefetch")
        check_range(self, 0, "seed", "workers", "coordinate_noise_m")


@dataclass(frozen=True)
class Batch:
    """What one rank sees of a batch. A frame that several photos share is there once."""

    photos: Tensor
    """(B, 3, S, S) float32, input of the street-view encoder."""
    frames: Tensor
    """(F, 10, P, P) float32, input of the remote-sensing encoder."""
    frame_of_photo: Tensor
    """(B,) int64, row of ``frames``; ascending."""
    xy: Tensor
    """(B, 2) float32, frame coordinates of the photos, x right, y down."""
    lonlat_deg: Tensor
    """(B, 2) float64, longitude, latitude of the photos."""
    photo_index: Tensor
    """(B,) int64, number of the photo in its data set."""
    epoch: int
    """Counted from 0."""
    number: int
    """Of the batch in its epoch, from 0."""

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device; does not wait for copies out of pinned memory."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in memory that a GPU can copy from by itself."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = ("photos", "frames", "frame_of_photo", "xy", "lonlat_deg", "photo_index")
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in tensors}
        return replace(self, **changed)
