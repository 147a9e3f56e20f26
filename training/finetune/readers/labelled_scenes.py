"""Readers of scenes with masks: HLS Burn Scars, AI4SmallFarms, Crop Type South Sudan.

**HLS Burn Scars: 804 scenes of 512 x 512 pixels, burnt or not (CC BY 4.0).**
https://huggingface.co/datasets/ibm-nasa-geospatial/hls_burn_scars, unpacked::

    training/subsetted_512x512_HLS.S30.T10SDH.2020248.v1.4_merged.tif    six bands of reflectance
    training/subsetted_512x512_HLS.S30.T10SDH.2020248.v1.4.mask.tif      1 burnt, 0 not, -1 no data
    validation/...

As in PANGAEA, ``validation`` is the test and a tenth of ``training`` is held out to choose by.

**AI4SmallFarms: Sentinel-2 tiles of Vietnam and Cambodia, field or not.**
https://doi.org/10.17026/dans-xy6-ngg6, as downloaded::

    sentinel-2-asia/train/images/*.tif    B2 B3 B4 B8, digital numbers
    sentinel-2-asia/train/masks/*.tif     of the same names; above 0: crop field
    sentinel-2-asia/validate/...          (PANGAEA renames it to val; both are read)
    sentinel-2-asia/test/...

**Crop Type South Sudan: time series over fields of sorghum, maize, rice and groundnut.**
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
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats32, Ints
from gair.bands import GAIR_BANDS
from gair.errors import DatasetError
from training.finetune.readers.checking import (
    check_count,
    check_sums,
    needed,
    numbers,
    read_arrays,
    read_csv,
    read_raster,
)
from training.finetune.remote_sensing import IGNORED, SceneData

BURN_SCARS_COUNTS = {"training": 540, "validation": 264}
_BURN_CLASSES = ("not burned", "burn scar")
_BURN_NO_DATA = 9999
_BURN_IMAGE, _BURN_MASK = "_merged.tif", ".mask.tif"
SMALL_FARMS_TILES = 62
"""Of all splits together (Persello et al., IEEE GRSL 2023)."""
_FARM_CLASSES = ("background", "crop field")
CROPS = ("sorghum", "maize", "rice", "groundnut")
_CROP_DATES = 6
_CROP_PARTITIONS = {"train": 0, "val": 1, "test": 2}


class _SceneFiles:
    """Images and their masks, file by file."""

    bands: tuple[str, ...]
    """Sentinel-2 names."""
    images: list[Path]
    masks: list[Path]

    def __len__(self) -> int:
        """How many scenes."""
        return len(self.images)

    def rasters(self, number: int) -> tuple[Floats32, npt.NDArray[Any]]:
        """(C, H, W) image and (H, W) mask of a scene, each a GeoTIFF."""
        image = read_raster(self.images[number]).astype(np.float32)
        mask = read_raster(self.masks[number])[0]
        if image.shape != (len(self.bands), *mask.shape):
            raise DatasetError(
                f"{self.images[number]} has shape {image.shape} and its mask "
                f"{self.masks[number].name} {mask.shape}; expected {len(self.bands)} bands of one "
                "size"
            )
        return image, mask


class _BurnScars(_SceneFiles):
    """The scenes of one folder."""

    bands = ("B2", "B3", "B4", "B8A", "B11", "B12")

    def __init__(self, folder: Path, published: int | None) -> None:
        if not folder.is_dir():
            raise DatasetError(f"{folder} is missing: unpack the whole archive")
        self.images = sorted(folder.glob(f"*{_BURN_IMAGE}"))
        check_count(f"{folder}: files *{_BURN_IMAGE}", len(self.images), published)
        self.masks = [
            needed(image.with_name(image.name.removesuffix(_BURN_IMAGE) + _BURN_MASK))
            for image in self.images
        ]

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(1, 6, H, W) reflectance x 10000, and (H, W) classes."""
        image, mask = self.rasters(number)
        unknown = np.setdiff1d(mask, (IGNORED, *range(len(_BURN_CLASSES))))
        if len(unknown):
            raise DatasetError(f"{self.masks[number]} has class {unknown[0]}; expected -1, 0, 1")
        image[image == _BURN_NO_DATA] = 0
        return image[None] * 10_000, mask.astype(np.int64)


def read_burn_scars(folder: Path, counts: dict[str, int] | None = None) -> SceneData:
    """HLS Burn Scars.

    Args:
        folder: with ``training`` and ``validation``.
        counts: scenes of each, if not those published.

    Raises:
        DatasetError: files are missing, too many or damaged.
    """
    check_sums(folder)
    counts = BURN_SCARS_COUNTS if counts is None else counts
    train, test = (_BurnScars(folder / name, counts[name]) for name in ("training", "validation"))
    return SceneData(_BURN_CLASSES, train, test)


class _SmallFarms(_SceneFiles):
    """The tiles of one split."""

    bands = ("B2", "B3", "B4", "B8")

    def __init__(self, folder: Path) -> None:
        self.images = sorted((folder / "images").glob("*.tif"))
        if not self.images:
            raise DatasetError(f"{folder / 'images'} holds no .tif: download the data set again")
        masks = list((folder / "masks").glob("*.tif"))
        check_count(f"{folder / 'masks'}: files *.tif", len(masks), len(self.images))
        self.masks = [needed(folder / "masks" / image.name) for image in self.images]

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(1, 4, H, W) reflectance x 10000, and (H, W) classes."""
        image, mask = self.rasters(number)
        return np.nan_to_num(image)[None], (mask > 0).astype(np.int64)


def read_small_farms(folder: Path, tiles: int | None = SMALL_FARMS_TILES) -> SceneData:
    """AI4SmallFarms; ``tiles`` is how many are published.

    Raises:
        DatasetError: files are missing, too many or damaged.
    """
    check_sums(folder)
    home = folder / "sentinel-2-asia"
    val = home / "validate" if (home / "validate").is_dir() else home / "val"
    splits = [_SmallFarms(home / "train"), _SmallFarms(val), _SmallFarms(home / "test")]
    check_count(f"{home}: tiles of all splits", sum(map(len, splits)), tiles)
    return SceneData(_FARM_CLASSES, train=splits[0], val=splits[1], test=splits[2])


class _SouthSudan(_SceneFiles):
    """The scenes of one partition."""

    bands = GAIR_BANDS

    def __init__(self, home: Path, ids: Sequence[int]) -> None:
        names = [f"southsudan_{number:06d}.npz" for number in ids]
        self.images = [needed(home / "npy" / name) for name in names]
        self.masks = [needed(home / "truth" / name) for name in names]

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
        last = np.moveaxis(series[..., ::-1][..., :_CROP_DATES], -1, 0).astype(np.float32)
        dn = np.zeros((_CROP_DATES, *last.shape[1:]), dtype=np.float32)
        dn[: len(last)] = last
        crops = (truth >= 1) & (truth <= len(CROPS))
        return dn, np.where(crops, truth.astype(np.int64) - 1, IGNORED)


def read_south_sudan(folder: Path) -> SceneData:
    """Crop Type South Sudan.

    Raises:
        DatasetError: files are missing or damaged, or a partition is empty.
    """
    check_sums(folder)
    home = folder / "southsudan"
    listing = home / "list_eval_partition.csv"
    rows = read_csv(listing, ("id", "partition"))
    ids = numbers(listing, rows, "id").astype(np.int64)
    partition_of_scene = numbers(listing, rows, "partition")
    partitions = {}
    for name, code in _CROP_PARTITIONS.items():
        if not (partition_of_scene == code).any():
            raise DatasetError(f"{listing} has no scene of partition {code} ({name})")
        partitions[name] = _SouthSudan(home, ids[partition_of_scene == code].tolist())
    return SceneData(
        CROPS, partitions["train"], partitions["test"], val=partitions["val"], dates=_CROP_DATES
    )
