"""AI4SmallFarms: Sentinel-2 tiles of Vietnam and Cambodia, field or not.

https://doi.org/10.17026/dans-xy6-ngg6, as downloaded::

    sentinel-2-asia/train/images/*.tif    B2 B3 B4 B8, digital numbers
    sentinel-2-asia/train/masks/*.tif     of the same names; above 0: crop field
    sentinel-2-asia/validate/...          (PANGAEA renames it to val; both are read)
    sentinel-2-asia/test/...
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gair.arrays import Floats32, Ints
from gair.errors import DatasetError
from training.finetune.readers.checking import check_count, check_sums, needed, read_raster
from training.finetune.remote_sensing import SceneData

BANDS = ("B2", "B3", "B4", "B8")
CLASSES = ("background", "crop field")
TILES = 62
"""Of all splits together (Persello et al., IEEE GRSL 2023)."""


class SmallFarms:
    """The tiles of one split."""

    bands = BANDS

    def __init__(self, folder: Path) -> None:
        self.images = sorted((folder / "images").glob("*.tif"))
        if not self.images:
            raise DatasetError(f"{folder / 'images'} holds no .tif: download the data set again")
        masks = list((folder / "masks").glob("*.tif"))
        check_count(f"{folder / 'masks'}: files *.tif", len(masks), len(self.images))
        self.masks = [needed(folder / "masks" / image.name) for image in self.images]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(1, 4, H, W) reflectance x 10000, and (H, W) classes."""
        image = np.nan_to_num(read_raster(self.images[number]).astype(np.float32))
        mask = read_raster(self.masks[number])[0] > 0
        if image.shape[0] != len(BANDS) or image.shape[1:] != mask.shape:
            raise DatasetError(
                f"{self.images[number]} has shape {image.shape} and its mask "
                f"{self.masks[number].name} {mask.shape}; expected 4 bands of one size"
            )
        return image[None], mask.astype(np.int64)


def read(folder: Path, tiles: int | None = TILES) -> SceneData:
    """The task; ``tiles`` is how many are published.

    Raises:
        DatasetError: files are missing, too many or damaged.
    """
    check_sums(folder)
    home = folder / "sentinel-2-asia"
    val = home / "validate" if (home / "validate").is_dir() else home / "val"
    splits = [SmallFarms(home / "train"), SmallFarms(val), SmallFarms(home / "test")]
    check_count(f"{home}: tiles of all splits", sum(map(len, splits)), tiles)
    return SceneData(CLASSES, train=splits[0], val=splits[1], test=splits[2])
