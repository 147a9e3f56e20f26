"""Made-up data sets in the published layouts that the fine-tuning readers read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image

SIDE = 8

RNG = np.random.default_rng(0)


def write_tif(path: Path, bands: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1],
        count=bands.shape[0], dtype=bands.dtype,
        crs="EPSG:32610", transform=rasterio.transform.from_origin(0, 0, 10, 10),
    ) as raster:  # fmt: skip
        raster.write(bands)


def write_csv(path: Path, head: str, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows]) + "\n")


def write_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (12, 16, 3)).astype(np.uint8)).save(path, "JPEG")


def write_burn_scars(folder: Path) -> Path:
    for split, tiles in (("training", ("T10SDH", "T10TEK", "T11SKU")), ("validation", ("T12STE",))):
        for tile in tiles:
            stem = f"subsetted_512x512_HLS.S30.{tile}.2020248.v1.4"
            image = RNG.uniform(0, 0.4, (6, SIDE, SIDE)).astype(np.float32)
            image[:, 0, 0] = 9999
            mask = np.zeros((1, SIDE, SIDE), np.int16)
            mask[0, 1, :3] = 1
            mask[0, 0, 0] = -1
            write_tif(folder / split / f"{stem}_merged.tif", image)
            write_tif(folder / split / f"{stem}.mask.tif", mask)
    return folder


def write_small_farms(folder: Path, val: str = "validate") -> Path:
    for split, count in (("train", 2), (val, 1), ("test", 1)):
        for number in range(count):
            home = folder / "sentinel-2-asia" / split
            image = RNG.uniform(0, 4000, (4, SIDE, SIDE)).astype(np.float32)
            image[0, 0, 0] = np.nan
            write_tif(home / "images" / f"{number}.tif", image)
            mask = np.zeros((1, SIDE, SIDE), np.uint8)
            mask[0, :2] = 255
            write_tif(home / "masks" / f"{number}.tif", mask)
    return folder


def write_south_sudan(folder: Path) -> Path:
    home = folder / "southsudan"
    partition = {3: 0, 17: 0, 20: 1, 42: 2}
    rows = [f"{number},{code}" for number, code in partition.items()]
    write_csv(home / "list_eval_partition.csv", "id,partition", *rows)
    for number, dates in zip(partition, (9, 4, 6, 7), strict=True):
        name = f"southsudan_{number:06d}.npz"
        series = np.zeros((10, SIDE, SIDE, dates), np.float32) + np.arange(dates) * 100
        truth = RNG.integers(0, 7, (SIDE, SIDE))
        for sub in ("npy", "truth"):
            (home / sub).mkdir(exist_ok=True)
        np.savez(home / "npy" / name, s2=series, s1=np.zeros(1))
        np.savez(home / "truth" / name, truth=truth)
    return folder


def write_streetscapes(folder: Path) -> Path:
    for split, labels in (("train", ["side", "front/back", "side"]), ("test", ["front/back"])):
        rows = []
        for number, label in enumerate(labels):
            write_photo(folder / "img" / f"{split}-{number}.jpeg")
            rows.append(f"{split}-{number},Mapillary,{label}")
        write_csv(folder / split / "view_direction.csv", "uuid,source,view_direction", *rows)
    return folder
