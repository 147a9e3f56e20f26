"""Plan of an epoch: the photos of each batch, a pure function of the seed and the epoch.

The batches are those of all ranks together: a rank takes its part of each row, so the same photos
meet in a batch on any number of ranks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
