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

from pathlib import Path

import numpy as np

from gair.errors import DatasetError
from training.finetune.encoders import Photos
from training.finetune.readers.checking import check_sums, needed, numbers, read_csv
from training.finetune.street_view import PhotoData, PhotoFiles
from training.finetune.supervised import Labelled

LABELS = "labels.csv"


def read_streetscapes(folder: Path, attribute: str) -> PhotoData:
    """An attribute of Global Streetscapes as classes.

    Args:
        folder: with ``train``, ``test`` and ``img``.
        attribute: ``platform`` or ``view_direction``.

    Raises:
        DatasetError: files are missing, or the test has a class that training lacks.
    """
    check_sums(folder)
    rows = {
        split: read_csv(folder / split / f"{attribute}.csv", ("uuid", attribute))
        for split in ("train", "test")
    }
    names = tuple(sorted({row[attribute] for row in rows["train"]}))
    odd = sorted({row[attribute] for row in rows["test"]} - set(names))
    if odd:
        raise DatasetError(
            f"{folder / 'test' / attribute}.csv has {odd[0]!r}, which no photo of train is"
        )
    labelled = {
        split: Labelled[Photos](
            PhotoFiles([needed(folder / "img" / f"{row['uuid']}.jpeg") for row in found]),
            np.array([names.index(row[attribute]) for row in found], dtype=np.int64),
        )
        for split, found in rows.items()
    }
    return PhotoData("classification", names, labelled["train"], labelled["test"])


def read_numbers(folder: Path) -> PhotoData:
    """Every further column of ``labels.csv`` as a target.

    Raises:
        DatasetError: a file is missing, a value is no number, or a split is empty.
    """
    check_sums(folder)
    path = folder / LABELS
    rows = read_csv(path, ("file", "split"))
    targets = tuple(name for name in rows[0] if name not in ("file", "split"))
    if not targets:
        raise DatasetError(f"{path} has no column beside file and split: add the numbers to learn")
    labelled = {}
    for split in ("train", "test"):
        mine = [row for row in rows if row["split"] == split]
        if not mine:
            raise DatasetError(f"{path} has no row whose split is {split}")
        labelled[split] = Labelled[Photos](
            PhotoFiles([needed(folder / row["file"]) for row in mine]),
            np.stack([numbers(path, mine, name) for name in targets], axis=1),
        )
    odd = [row["split"] for row in rows if row["split"] not in labelled]
    if odd:
        raise DatasetError(f"{path} has split {odd[0]!r}: expected train or test")
    return PhotoData("regression", targets, labelled["train"], labelled["test"])
