"""MOSAIKS' labels of places, as TorchSpatial publishes them.

https://github.com/seai-lab/TorchSpatial: ``Y_population.csv``, ``Y_elevation.csv``,
``Y_forest_cover.csv`` and ``Y_nightlights.csv`` in one folder, each with the columns ``lon``,
``lat``, ``split`` (train, val, test) and its own name.
"""

from __future__ import annotations

from pathlib import Path

from gair.errors import DatasetError
from training.finetune.readers.checking import (
    check_sums,
    lonlat_deg,
    needed,
    numbers,
    read_csv,
    splits_of,
)
from training.finetune.supervised import Labelled, PlaceData


def read(folder: Path, variable: str) -> PlaceData:
    """One variable; the split val is fitted with train.

    TorchSpatial names the column of ``Y_forest_cover.csv`` like its file, or by the first word.

    Raises:
        DatasetError: the file is missing or damaged, or a split is empty.
    """
    check_sums(folder)
    path = needed(folder / f"Y_{variable}.csv")
    rows = read_csv(path, ("lon", "lat", "split"))
    column = variable if variable in rows[0] else variable.split("_")[0]
    rows = read_csv(path, ("lon", "lat", "split", column))
    is_test = splits_of(path, rows) == "test"
    for name, here in (("test", is_test), ("train", ~is_test)):
        if not here.any():
            raise DatasetError(f"{path} has no row of the split {name}")
    places = lonlat_deg(path, rows)
    values = numbers(path, rows, column)[:, None]
    train, test = (Labelled(places[here], values[here]) for here in (~is_test, is_test))
    return PlaceData("regression", (variable,), train, test)
