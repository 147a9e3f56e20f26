"""Checks of downloaded files: they are there, readable, as many as published, and unchanged."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from gair.errors import DatasetError
from gair.files import sha256_of
from gair.inputs.documents import json_of

CHECKSUMS = "checksums.sha256"


def check_sums(folder: Path) -> None:
    """Compare files with a list of their sha256, where the folder has one.

    Raises:
        DatasetError: a file differs or is missing, or the list is malformed.
    """
    listing = folder / CHECKSUMS
    if not listing.is_file():
        return
    for number, line in enumerate(listing.read_text(errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        wanted, _, name = line.partition(" ")
        name = name.strip().lstrip("*")
        if len(wanted) != 64 or not name:
            raise DatasetError(f"{listing}, line {number}: expected a sha256 and a file name")
        digest = sha256_of(needed(folder / name))
        if digest != wanted.lower():
            raise DatasetError(
                f"{folder / name} has sha256 {digest[:12]}..., and {CHECKSUMS} says "
                f"{wanted[:12]}...: download it again"
            )


def check_count(counted: str, count: int, published: int | None) -> None:
    """Refuse another number than the authors publish; None where that is not known.

    Raises:
        DatasetError: it differs.
    """
    if published is not None and count != published:
        raise DatasetError(
            f"{counted}: {count:,} found, {published:,} are published; download again"
        )


def needed(path: Path) -> Path:
    """The path of a file that must be there.

    Raises:
        DatasetError: it is not.
    """
    if not path.is_file():
        raise DatasetError(f"{path} is missing: download the data set again, whole")
    return path


def read_json(path: Path) -> Any:  # noqa: ANN401
    """A JSON file's content.

    Raises:
        DatasetError: it is missing or no JSON.
    """
    try:
        return json_of(needed(path).read_text())
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON ({error}): download it again") from error


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file.

    Raises:
        DatasetError: it is missing, no CSV, empty, or lacks a column.
    """
    with needed(path).open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            head, rows = reader.fieldnames or (), list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path} is no CSV ({error}): download it again") from error
    lacking = [name for name in columns if name not in head]
    if lacking:
        there = ", ".join(head) or "nothing"
        raise DatasetError(f"{path} has no column {', '.join(lacking)}; it has {there}")
    if not rows:
        raise DatasetError(f"{path} has no rows: download it again")
    return rows


def numbers(path: Path, rows: Sequence[dict[str, str]], column: str) -> Floats:
    """A column of numbers.

    Raises:
        DatasetError: a value is none, or not finite; its row is named.
    """
    values = np.full(len(rows), np.nan)
    for i, row in enumerate(rows):
        with contextlib.suppress(TypeError, ValueError):
            values[i] = float(row[column])
        if not np.isfinite(values[i]):
            raise DatasetError(f"{path}, row {i + 1}: {column} is {row[column]!r}, no number")
    return values


def splits_of(
    path: Path, rows: Sequence[dict[str, str]], splits: Sequence[str] = ("train", "val", "test")
) -> npt.NDArray[np.str_]:
    """The column ``split``, (N,).

    Raises:
        DatasetError: a value is another; its row is named.
    """
    for i, row in enumerate(rows):
        if row["split"] not in splits:
            expected = f"{', '.join(splits[:-1])} or {splits[-1]}"
            raise DatasetError(
                f"{path}, row {i + 1}: split is {row['split']!r}; expected {expected}"
            )
    return np.array([row["split"] for row in rows])


def check_places(table: str, lonlat_deg: Floats) -> None:
    """Refuse places off the globe, as of swapped columns, (N, 2); NaN is a place not known.

    Raises:
        DatasetError: there is one.
    """
    wrong = np.flatnonzero((np.abs(lonlat_deg) > (180.0, 90.0)).any(axis=1))
    if len(wrong):
        lon, lat = lonlat_deg[wrong[0]]
        raise DatasetError(f"{table}, row {wrong[0] + 1}: longitude {lon}, latitude {lat}")


def lonlat_deg(path: Path, rows: Sequence[dict[str, str]]) -> Floats:
    """The columns ``lon`` and ``lat``, (N, 2).

    Raises:
        DatasetError: a place is none; its row is named.
    """
    places = np.stack([numbers(path, rows, "lon"), numbers(path, rows, "lat")], axis=1)
    check_places(str(path), places)
    return places


def check_apart(train: Sequence[Path], test: Sequence[Path]) -> None:
    """Refuse a test on what was learned.

    Raises:
        DatasetError: a file is in both.
    """
    twice = sorted(set(train) & set(test))
    if twice:
        raise DatasetError(f"{twice[0]} is in train and in test, as are {len(twice) - 1} more")


def read_arrays(path: Path, *names: str) -> list[npt.NDArray[Any]]:
    """Arrays of an ``.npz`` file by name.

    Raises:
        DatasetError: the file is missing, damaged, or lacks one.
    """
    try:
        with needed(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DatasetError(f"cannot read {', '.join(names)} of {path}: {error}") from error
    except Exception as error:  # zipfile has errors of its own
        raise DatasetError(f"{path} is damaged ({type(error).__name__}): download it") from error


def read_raster(path: Path) -> npt.NDArray[Any]:
    """All bands of a GeoTIFF, (C, H, W).

    Raises:
        DatasetError: it is missing or damaged.
    """
    import rasterio

    try:
        with rasterio.open(needed(path)) as raster:
            return np.asarray(raster.read())
    except rasterio.errors.RasterioError as error:
        raise DatasetError(f"cannot read {path} ({error}): download it again") from error
