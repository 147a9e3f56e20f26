"""HLS Burn Scars: 804 scenes of 512 x 512 pixels, burnt or not (CC BY 4.0).

https://huggingface.co/datasets/ibm-nasa-geospatial/hls_burn_scars, unpacked::

    training/subsetted_512x512_HLS.S30.T10SDH.2020248.v1.4_merged.tif    six bands of reflectance
    training/subsetted_512x512_HLS.S30.T10SDH.2020248.v1.4.mask.tif      1 burnt, 0 not, -1 no data
    validation/...

As in PANGAEA, ``validation`` is the test and a tenth of ``training`` is held back to choose by.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gair.arrays import Floats32, Ints
from gair.errors import DatasetError
from training.finetune.readers.checking import check_count, check_sums, needed, read_raster
from training.finetune.remote_sensing import IGNORED, SceneData

BANDS = ("B2", "B3", "B4", "B8A", "B11", "B12")
CLASSES = ("not burned", "burn scar")
COUNTS = {"training": 540, "validation": 264}
_NO_DATA = 9999
_IMAGE, _MASK = "_merged.tif", ".mask.tif"


class BurnScars:
    """The scenes of one folder."""

    bands = BANDS

    def __init__(self, folder: Path, published: int | None) -> None:
        if not folder.is_dir():
            raise DatasetError(f"{folder} is missing: unpack the whole archive")
        self.images = sorted(folder.glob(f"*{_IMAGE}"))
        check_count(f"{folder}: files *{_IMAGE}", len(self.images), published)
        self.masks = [
            needed(image.with_name(image.name.removesuffix(_IMAGE) + _MASK))
            for image in self.images
        ]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(1, 6, H, W) reflectance x 10000, and (H, W) classes."""
        image = read_raster(self.images[number]).astype(np.float32)
        mask = read_raster(self.masks[number])[0].astype(np.int64)
        if image.shape != (len(BANDS), *mask.shape):
            raise DatasetError(
                f"{self.images[number]} has shape {image.shape} and its mask {mask.shape}; "
                "expected 6 bands of one size"
            )
        odd = np.setdiff1d(mask, (IGNORED, *range(len(CLASSES))))
        if len(odd):
            raise DatasetError(f"{self.masks[number]} has class {odd[0]}; expected -1, 0, 1")
        image[image == _NO_DATA] = 0
        return image[None] * 10_000, mask


def read(folder: Path, counts: dict[str, int] | None = None) -> SceneData:
    """The task.

    Args:
        folder: with ``training`` and ``validation``.
        counts: scenes of each, if not those published.

    Raises:
        DatasetError: files are missing, too many or damaged.
    """
    check_sums(folder)
    counts = COUNTS if counts is None else counts
    train, test = (BurnScars(folder / name, counts[name]) for name in ("training", "validation"))
    return SceneData(CLASSES, train, test)
