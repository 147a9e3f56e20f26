"""Labelled street photos: Global Streetscapes' manual labels, and tables of numbers.

Global Streetscapes (https://huggingface.co/datasets/NUS-UAL/global-streetscapes, CC BY-SA 4.0), the
folder ``manual_labels``::

    train/platform.csv, test/platform.csv                 uuid, platform, ...
    train/view_direction.csv, test/view_direction.csv     uuid, view_direction, ...
    img/UUID.jpeg

Numbers (perception scores, socio-economic indicators) come as the table that a study publishes or
that is made of it: ``labels.csv`` with the columns ``file``, ``split`` (train or test) and one
column a target, beside the photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes
from gair.errors import DatasetError
from gair.photos.photo import open_photo
from training.finetune.encoders.encoder import Photos
from training.finetune.readers.checking import (
    check_apart,
    check_sums,
    needed,
    numbers,
    read_csv,
    splits_of,
)
from training.finetune.supervised import Goal, Labelled, PhotoData

LABELS = "labels.csv"


class PhotoFiles(Sequence[Bytes]):
    """Photos on disk, decoded when they are asked for.

    Raises:
        PhotoError: on reading one that is broken; the file is named.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Bytes:  # type: ignore[override]
        return np.asarray(open_photo(self.paths[number]).rgb)


def read_streetscapes(folder: Path, attribute: str) -> PhotoData:
    """An attribute of Global Streetscapes as classes.

    Args:
        folder: with ``train``, ``test`` and ``img``.
        attribute: ``platform`` or ``view_direction``.

    Raises:
        DatasetError: files are missing, a label is, the test has a class that training lacks, or a
            photo of it.
    """
    check_sums(folder)
    rows = {
        split: read_csv(folder / split / f"{attribute}.csv", ("uuid", attribute))
        for split in ("train", "test")
    }
    for split, split_rows in rows.items():
        for number, row in enumerate(split_rows, start=1):
            if not row[attribute]:
                path = folder / split / f"{attribute}.csv"
                raise DatasetError(f"{path}, row {number}: {attribute} is empty")
    names = tuple(sorted({row[attribute] for row in rows["train"]}))
    untaught = sorted({row[attribute] for row in rows["test"]} - set(names))
    if untaught:
        raise DatasetError(
            f"{folder / 'test' / attribute}.csv has {untaught[0]!r}, which no photo of train is"
        )
    labelled = {
        split: (
            [needed(folder / "img" / f"{row['uuid']}.jpeg") for row in split_rows],
            np.array([names.index(row[attribute]) for row in split_rows], dtype=np.int64),
        )
        for split, split_rows in rows.items()
    }
    return _photo_data("classification", names, labelled)


def read_numbers(folder: Path) -> PhotoData:
    """Every further column of ``labels.csv`` as a target.

    Raises:
        DatasetError: a file is missing or in both splits, a value is no number, or a split is
            empty.
    """
    check_sums(folder)
    path = folder / LABELS
    rows = read_csv(path, ("file", "split"))
    targets = tuple(name for name in rows[0] if name not in ("file", "split"))
    if not targets:
        raise DatasetError(f"{path} has no column beside file and split: add the numbers to learn")
    split_of = splits_of(path, rows, ("train", "test"))
    values = np.stack([numbers(path, rows, name) for name in targets], axis=1)
    files = [needed(folder / row["file"]) for row in rows]
    labelled = {}
    for split in ("train", "test"):
        mine = np.flatnonzero(split_of == split)
        if not len(mine):
            raise DatasetError(f"{path} has no row whose split is {split}")
        labelled[split] = [files[i] for i in mine], values[mine]
    return _photo_data("regression", targets, labelled)


def _photo_data(
    goal: Goal, names: tuple[str, ...], labelled: dict[str, tuple[list[Path], npt.NDArray[Any]]]
) -> PhotoData:
    """Files and labels of train and of test, which may share no file."""
    check_apart(labelled["train"][0], labelled["test"][0])
    train, test = (
        Labelled[Photos](PhotoFiles(files), targets)
        for files, targets in (labelled["train"], labelled["test"])
    )
    return PhotoData(goal, names, train, test)
