"""One batch: photos, the frames they lie in, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor


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
        return Batch(
            photos=change(self.photos),
            frames=change(self.frames),
            frame_of_photo=change(self.frame_of_photo),
            xy=change(self.xy),
            lonlat_deg=change(self.lonlat_deg),
            photo_index=change(self.photo_index),
            epoch=self.epoch,
            number=self.number,
        )
