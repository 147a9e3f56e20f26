"""Sources of photos: what a batch is told of a photo in an epoch, wherever its pixels come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gair.errors import PhotoError
from gair.photos.photo import open_photo
from training.dataset.shards.reader import ShardedDataset


@dataclass(frozen=True)
class TakenPhoto:
    """A photo as one epoch sees it."""

    rgb: npt.NDArray[np.uint8]
    """(H, W, 3), upright."""
    lonlat_deg: tuple[float, float]
    """Longitude, latitude of the camera, in the photo's footprint."""


class PhotoSource(Protocol):
    """Where the photos of a data set come from. It is pickled into worker processes."""

    def take(
        self, photos: npt.NDArray[np.int64], *, seed: int, epoch: int, image_px: int
    ) -> Iterator[TakenPhoto | PhotoError]:
        """Photos, in their order; in the place of a broken one what is wrong with it.

        The same seed, epoch and number give the same bytes in any process and company.

        Args:
            photos: (N,) their numbers in the data set.
            seed: of the run.
            epoch: counted from 0.
            image_px: side of the encoder's input: more pixels than it can use are not needed.
        """
        ...


class StoredPhotos:
    """The photos in a data set's shards: the same in each epoch."""

    def __init__(self, dataset: ShardedDataset) -> None:
        self._dataset = dataset

    def take(
        self, photos: npt.NDArray[np.int64], *, seed: int, epoch: int, image_px: int
    ) -> Iterator[TakenPhoto | PhotoError]:
        """See :class:`PhotoSource`; each photo is decoded when its turn comes."""
        # Read as for a search: a JPEG decoded at a part of its size would look other.
        del seed, epoch, image_px
        return (self._decoded(photo) for photo in photos.tolist())

    def _decoded(self, photo: int) -> TakenPhoto | PhotoError:
        lon, lat = self._dataset.lonlat_deg[photo].tolist()
        try:
            rgb = np.asarray(open_photo(self._dataset.photo_jpeg(photo)).rgb)
        except PhotoError as error:
            return error
        return TakenPhoto(rgb, (lon, lat))
