"""Batches of photos and frames, without end, resumable after any of them.

The plan of an epoch is a pure function of the seed and the epoch. Its batches are those of all
ranks together: a rank takes its part of each row, so the same photos meet in a batch on any number
of ranks. The work is done in this process or by torch's DataLoader processes, which give the same
batches, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.config import GairConfig
from gair.errors import DatasetError, TrainingError, UsageError
from training.dataset.batches.batch import LoaderOptions

if TYPE_CHECKING:
    from training.dataset.batches.assemble import BatchTask, MadeBatch
    from training.dataset.batches.batch import Batch
    from training.dataset.batches.source import PhotoSource
    from training.dataset.shards.reader import ShardedDataset

WINDOW = 256
"""Row groups that are read side by side; with 2 MiB each, what a disk cache holds easily."""


def epoch_plan(
    footprint_of_photo: npt.NDArray[np.int64],
    row_group_of_photo: npt.NDArray[np.int64],
    *,
    seed: int,
    epoch: int,
    batch_photos: int,
    photos_per_footprint: int,
    window: int = WINDOW,
) -> npt.NDArray[np.int64]:
    """The batches of an epoch.

    The photos of each footprint are shuffled and cut into chunks. Row groups are shuffled and cut
    into windows; the chunks that begin in a window are shuffled and dealt into batches. No photo
    comes twice; what fills no batch at the end is left for other epochs.

    Args:
        footprint_of_photo: (N,) number of each photo's footprint.
        row_group_of_photo: (N,) number of the row group each photo is stored in.
        seed: of the run.
        epoch: counted from 0; each has another order.
        batch_photos: photos of a batch.
        photos_per_footprint: photos of a chunk; the last one of a footprint may have fewer.
        window: row groups of a window.

    Returns:
        (N // batch_photos, batch_photos) numbers of photos; each row sorted by footprint.
    """
    photos = len(footprint_of_photo)
    rng = np.random.default_rng([seed, epoch])
    # (N,) photos by footprint, shuffled in each. From here to `dealt` rows go in this order.
    order = np.lexsort((rng.random(photos), footprint_of_photo))
    footprint = footprint_of_photo[order]
    begins = np.ones(photos, dtype=bool)
    begins[1:] = footprint[1:] != footprint[:-1]
    number = np.arange(photos)
    # A running maximum of where footprints begin gives each photo the begin of its own.
    in_footprint = number - np.maximum.accumulate(np.where(begins, number, 0))
    begins_chunk = in_footprint % photos_per_footprint == 0
    chunk = np.cumsum(begins_chunk) - 1  # (N,) number of the chunk

    groups = int(row_group_of_photo.max(initial=-1)) + 1
    # A chunk is read where its first photo is stored: photos that are dealt near each other lie in
    # the row groups of one window, which the disk cache holds.
    window_of_group = rng.permutation(groups) // window
    window_of_chunk = window_of_group[row_group_of_photo[order[begins_chunk]]]
    chunks = np.lexsort((rng.random(len(window_of_chunk)), window_of_chunk))
    turn = np.empty_like(chunks)  # the inverse permutation: the turn of each chunk
    turn[chunks] = np.arange(len(chunks))
    dealt = order[np.argsort(turn[chunk], kind="stable")]

    # Sorted by footprint in each row, so that a rank's part has few frames.
    batches = dealt[: photos // batch_photos * batch_photos].reshape(-1, batch_photos)
    by_footprint = np.argsort(footprint_of_photo[batches], axis=1, kind="stable")
    return np.take_along_axis(batches, by_footprint, axis=1)


class PairLoader:
    """An iterator over the batches of one rank, epoch after epoch."""

    batches_per_epoch: int
    skipped: Counter[str]
    """How often each undecodable photo was replaced, by photo id."""

    def __init__(
        self,
        dataset: ShardedDataset,
        options: LoaderOptions,
        model_config: GairConfig,
        *,
        rank: int = 0,
        world: int = 1,
        source: PhotoSource | None = None,
    ) -> None:
        """Prepare; nothing is read and no worker started before the first batch.

        Args:
            dataset: whose photos and frames.
            options: what is done with them.
            model_config: sizes of the encoders' inputs.
            rank: number of this process among those that train together.
            world: how many they are.
            source: of the photos; the files in the data set if not given.

        Raises:
            UsageError: the batch cannot be dealt to the ranks.
            DatasetError: the data set has less than one batch.
        """
        from training.dataset.batches.assemble import BatchMaker

        if options.batch_photos % world:
            raise UsageError(
                f"batch_photos {options.batch_photos} cannot be dealt to {world} ranks: "
                f"pass a multiple of {world}"
            )
        if len(dataset) < options.batch_photos:
            raise DatasetError(
                f"{dataset.folder} has {len(dataset)} photos in its split {dataset.split!r}, "
                f"less than one batch of {options.batch_photos}: pass a smaller batch_photos"
            )
        self._dataset = dataset
        self._options = options
        self._maker = BatchMaker(
            dataset, options, model_config, rank=rank, world=world, source=source
        )
        self._epoch = 0
        self._next_batch = 0
        self._stream: Iterator[MadeBatch] | None = None
        self.batches_per_epoch = len(dataset) // options.batch_photos
        self.skipped = Counter()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            DatasetError: a file of the data set is damaged.
            TrainingError: a worker died.
        """
        if self._stream is None:
            self._stream = self._start()
        try:
            result = next(self._stream)
        except BaseException:
            self.close()
            raise
        self.skipped.update(result.skipped)
        # Only now: what workers have made ahead is not counted, so a saved state repeats it.
        self._epoch, self._next_batch = result.batch.epoch, result.batch.number + 1
        if self._next_batch == self.batches_per_epoch:
            self._epoch, self._next_batch = self._epoch + 1, 0
        return result.batch

    def state_dict(self) -> dict[str, Any]:
        """Where the batches stand that were handed out; what workers made ahead does not count."""
        return {"epoch": self._epoch, "next_batch": self._next_batch, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another loader stood.

        Raises:
            TrainingError: its batches were others; names what differs.
        """
        for name, mine in self._identity().items():
            if state.get(name) != mine:
                raise TrainingError(
                    f"cannot go on: {name} was {state.get(name)!r} and is {mine!r} now: "
                    "resume with the same data set and batches, or start anew"
                )
        self.close()
        self._epoch, self._next_batch = int(state["epoch"]), int(state["next_batch"])

    def close(self) -> None:
        """End the workers; the next batch would start new ones."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()  # type: ignore[attr-defined]

    def _identity(self) -> dict[str, Any]:
        """What decides which batch comes when."""
        return {
            "dataset": self._dataset.fingerprint(),
            "split": self._dataset.split,
            "batch_photos": self._options.batch_photos,
            "photos_per_footprint": self._options.photos_per_footprint,
            "seed": self._options.seed,
        }

    def _start(self) -> Iterator[MadeBatch]:
        workers, prefetch = self._options.workers, self._options.prefetch
        if not workers:
            return (self._maker.make(task) for task in self._tasks())
        from training.dataset.batches.workers import made_by_workers

        return made_by_workers(self._maker, self._tasks(), workers=workers, prefetch=prefetch)

    def _tasks(self) -> Iterator[BatchTask]:
        """Every batch from the next one on."""
        from training.dataset.batches.assemble import BatchTask

        epoch, begin = self._epoch, self._next_batch
        while True:
            plan = epoch_plan(
                self._dataset.footprint_of_photo,
                self._dataset.row_group_of_photo,
                seed=self._options.seed,
                epoch=epoch,
                batch_photos=self._options.batch_photos,
                photos_per_footprint=self._options.photos_per_footprint,
            )
            for number in range(begin, len(plan)):
                yield BatchTask(epoch, number, plan[number])
            epoch, begin = epoch + 1, 0
