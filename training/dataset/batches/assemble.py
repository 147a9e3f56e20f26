"""Maker of batches: reads, decodes, preprocesses and augments.

Every random choice has a generator of its own, seeded by what it is about (a photo in an epoch, a
footprint in a batch), so a batch is the same whoever makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gair.config import GairConfig
from gair.errors import DatasetError, PhotoError
from gair.geo import Footprint, haversine_m
from gair.preprocess import remote_sensing_pixels, street_view_pixels
from training.dataset.batches.augment import (
    augment_frame,
    augment_photo,
    crop_photo,
    draw_symmetry,
    turn_frame,
    turn_points,
)
from training.dataset.batches.batch import Batch, LoaderOptions
from training.dataset.batches.source import PhotoSource, StoredPhotos, TakenPhoto
from training.dataset.shards.reader import ShardedDataset

SUBSTITUTES = 100
"""Broken photos in a row after which the data set is given up."""
_PHOTO_STREAM, _FRAME_STREAM, _PLACE_STREAM, _CROP_STREAM = 1, 2, 3, 4


@dataclass(frozen=True)
class BatchTask:
    """Which batch to make."""

    epoch: int
    number: int
    """Of the batch in its epoch."""
    photos: npt.NDArray[np.int64]
    """(batch_photos,) a row of the plan: the whole batch, of all ranks."""


@dataclass(frozen=True)
class MadeBatch:
    """A batch, and what went wrong on the way."""

    batch: Batch
    skipped: tuple[str, ...]
    """Ids of photos that could not be decoded and were replaced."""

    def pin_memory(self) -> MadeBatch:
        """For torch's DataLoader."""
        return MadeBatch(self.batch.pin_memory(), self.skipped)


class BatchMaker:
    """Makes the part of a batch that belongs to one rank."""

    def __init__(
        self,
        dataset: ShardedDataset,
        options: LoaderOptions,
        config: GairConfig,
        *,
        rank: int = 0,
        world: int = 1,
        source: PhotoSource | None = None,
    ) -> None:
        """``source`` of the photos: the files in the data set if not given."""
        self._dataset = dataset
        self._source = source or StoredPhotos(dataset)
        self._options = options
        self._config = config
        self._rank = rank
        self._world = world

    def make(self, task: BatchTask) -> MadeBatch:
        """Make a batch.

        Raises:
            DatasetError: a file is damaged, or a photo is and the options do not say to skip it.
        """
        share = len(task.photos) // self._world
        wanted = task.photos[self._rank * share : (self._rank + 1) * share]
        photos, pixels, lonlat_deg, skipped = self._photos(task, wanted)
        footprints, frame_of_photo = np.unique(
            self._dataset.footprint_of_photo[photos], return_inverse=True
        )
        xy = np.empty((len(photos), 2))
        frames = []
        for row, footprint in enumerate(footprints):
            in_frame = frame_of_photo == row
            xy[in_frame] = self._dataset.footprints[footprint].frame_xy(lonlat_deg[in_frame])
            if self._options.coordinate_noise_m:
                shape = self._dataset.footprints[footprint]
                xy[in_frame], lonlat_deg[in_frame] = self._misplaced(
                    photos[in_frame], xy[in_frame], shape
                )
            frame, symmetry = self._frame(task, int(footprint))
            frames.append(frame)
            xy[in_frame] = turn_points(xy[in_frame], symmetry)
        batch = Batch(
            photos=pixels,
            frames=torch.stack(frames),
            frame_of_photo=torch.from_numpy(frame_of_photo.astype(np.int64)),
            xy=torch.from_numpy(xy.astype(np.float32)),
            lonlat_deg=torch.from_numpy(lonlat_deg),
            photo_index=torch.from_numpy(photos),
            epoch=task.epoch,
            number=task.number,
        )
        return MadeBatch(batch, skipped)

    def _misplaced(
        self, photos: npt.NDArray[np.int64], xy: npt.NDArray[np.float64], shape: Footprint
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Frame coordinates and places with an error, which ends where the frame does."""
        corners = shape.lonlat_deg([[-1, 0], [1, 0], [0, -1], [0, 1]])
        side_m = haversine_m(corners[[0, 2]], corners[[1, 3]])  # (2,) along x and y
        seeds = ([_PLACE_STREAM, self._options.seed, int(photo)] for photo in photos)
        noise = np.array([np.random.default_rng(seed).standard_normal(2) for seed in seeds])
        # A frame is 2 wide in frame coordinates and side_m on the ground.
        xy = np.clip(xy + 2 * self._options.coordinate_noise_m * noise / side_m, -1, 1)
        return xy, shape.lonlat_deg(xy)

    def _photos(
        self, task: BatchTask, wanted: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], Tensor, npt.NDArray[np.float64], tuple[str, ...]]:
        """Numbers, pixels and places of photos, by footprint; ids of those that were skipped."""
        side = self._config.sv_image_px
        pixels, lonlat_deg = torch.empty(len(wanted), 3, side, side), np.empty((len(wanted), 2))
        photos = wanted.copy()
        skipped: list[str] = []
        for row, first in enumerate(self._taken(task, wanted)):
            taken = first
            while isinstance(taken, PhotoError):
                photo = int(photos[row])
                if not self._options.skip_broken:
                    raise DatasetError(
                        f"{self._dataset.describe_photo(photo)} cannot be decoded: {taken}; "
                        "or let broken photos be skipped"
                    ) from taken
                skipped.append(self._dataset.photo_id(photo))
                photos[row] = self._substitute(photo, task, len(skipped))
                (taken,) = self._taken(task, photos[row : row + 1])
            lonlat_deg[row] = taken.lonlat_deg
            seeds = [self._options.seed, task.epoch, int(photos[row])]
            rng, crop_rng = (
                np.random.default_rng([stream, *seeds]) for stream in (_PHOTO_STREAM, _CROP_STREAM)
            )
            cropped = crop_photo(taken.rgb, crop_rng, self._options.augment)
            small = street_view_pixels([cropped], side)[0]
            pixels[row] = augment_photo(small, rng, self._options.augment)
        if skipped:  # a substitute may lie in another footprint: order by footprint again
            order = np.argsort(self._dataset.footprint_of_photo[photos], kind="stable")
            photos, pixels = photos[order], pixels[torch.from_numpy(order)]
            lonlat_deg = lonlat_deg[order]
        return photos, pixels, lonlat_deg, tuple(skipped)

    def _taken(
        self, task: BatchTask, photos: npt.NDArray[np.int64]
    ) -> Iterator[TakenPhoto | PhotoError]:
        side = self._config.sv_image_px
        return self._source.take(photos, seed=self._options.seed, epoch=task.epoch, image_px=side)

    def _substitute(self, broken: int, task: BatchTask, skipped: int) -> int:
        """The next photo that is not in the batch: depends on nothing else, so not on ranks."""
        count = len(self._dataset)
        if skipped > SUBSTITUTES or len(task.photos) == count:
            raise DatasetError(
                f"{self._dataset.describe_photo(broken)} cannot be decoded, and after {skipped} "
                "such photos there is none to take its place: pack the data set anew"
            )
        # One more than the batch has photos, so one of them is outside it.
        candidates = (broken + 1 + np.arange(len(task.photos) + 1)) % count
        return int(candidates[~np.isin(candidates, task.photos)][0])

    def _frame(self, task: BatchTask, footprint: int) -> tuple[Tensor, int]:
        """(10, P, P): a footprint at a date drawn for this batch, turned by a drawn symmetry."""
        rng = np.random.default_rng(
            [_FRAME_STREAM, self._options.seed, task.epoch, task.number, footprint]
        )
        date = int(rng.integers(len(self._dataset.dates[footprint])))
        dn = self._dataset.frame_dn(footprint, date)
        pixels = remote_sensing_pixels(dn[None], self._config.rs_frame_px)[0]
        lit = augment_frame(pixels, rng, self._options.augment)
        symmetry = draw_symmetry(rng, self._options.augment)
        return turn_frame(lit, symmetry), symmetry
