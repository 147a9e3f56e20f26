"""How a data set becomes batches."""

from __future__ import annotations

from dataclasses import dataclass, field

from gair.errors import UsageError
from training.dataset.batches.augment import AugmentOptions


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
        least = {
            "batch_photos": 1,
            "photos_per_footprint": 1,
            "seed": 0,
            "workers": 0,
            "prefetch": 1,
            "coordinate_noise_m": 0,
        }
        for name, minimum in least.items():
            if not getattr(self, name) >= minimum:  # NaN fails, too
                raise UsageError(f"{name} is {getattr(self, name)}: it must be {minimum} or more")
