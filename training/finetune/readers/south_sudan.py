"""Crop Type South Sudan: time series over fields of sorghum, maize, rice and groundnut.

SustainBench (https://sustainlab-group.github.io/sustainbench), unpacked::

    southsudan/list_eval_partition.csv          id, partition: 0 train, 1 val, 2 test
    southsudan/npy/southsudan_000042.npz        s2: (10, 64, 64, T) digital numbers
    southsudan/truth/southsudan_000042.npz      truth: (64, 64), 1 to 4 the crops, else no label

As in PANGAEA the last six dates are taken, the newest first; where there are fewer, the missing
ones are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gair.arrays import Floats32, Ints
from gair.bands import GAIR_BANDS
from gair.errors import DatasetError
from training.finetune.readers.checking import check_sums, needed, numbers, read_arrays, read_csv
from training.finetune.remote_sensing import IGNORED, SceneData

CLASSES = ("sorghum", "maize", "rice", "groundnut")
DATES = 6
_PARTITIONS = {"train": 0, "val": 1, "test": 2}


class Fields:
    """The scenes of one partition."""

    bands = GAIR_BANDS

    def __init__(self, home: Path, ids: Sequence[int]) -> None:
        names = [f"southsudan_{number:06d}.npz" for number in ids]
        self.images = [needed(home / "npy" / name) for name in names]
        self.masks = [needed(home / "truth" / name) for name in names]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(6, 10, H, W) reflectance x 10000, newest first, and (H, W) classes."""
        (series,) = read_arrays(self.images[number], "s2")
        (truth,) = read_arrays(self.masks[number], "truth")
        if series.ndim != 4 or series.shape[0] != len(GAIR_BANDS):
            raise DatasetError(
                f"s2 of {self.images[number]} has shape {series.shape}; expected (10, H, W, T)"
            )
        if truth.shape != series.shape[1:3]:
            raise DatasetError(
                f"truth of {self.masks[number]} has shape {truth.shape}; expected "
                f"{series.shape[1:3]}"
            )
        last = np.moveaxis(series[..., ::-1][..., :DATES], -1, 0).astype(np.float32)
        dn = np.zeros((DATES, *last.shape[1:]), dtype=np.float32)
        dn[: len(last)] = last
        crops = (truth >= 1) & (truth <= len(CLASSES))
        return dn, np.where(crops, truth.astype(np.int64) - 1, IGNORED)


def read(folder: Path) -> SceneData:
    """The task.

    Raises:
        DatasetError: files are missing or damaged, or a partition is empty.
    """
    check_sums(folder)
    home = folder / "southsudan"
    listing = home / "list_eval_partition.csv"
    rows = read_csv(listing, ("id", "partition"))
    ids = numbers(listing, rows, "id").astype(np.int64)
    of = numbers(listing, rows, "partition")
    partitions = {}
    for name, code in _PARTITIONS.items():
        if not (of == code).any():
            raise DatasetError(f"{listing} has no scene of partition {code} ({name})")
        partitions[name] = Fields(home, ids[of == code].tolist())
    return SceneData(
        CLASSES, partitions["train"], partitions["test"], val=partitions["val"], dates=DATES
    )
