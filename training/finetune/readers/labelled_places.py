"""Readers of labelled places: MOSAIKS' numbers, and sightings of species and scenes.

**MOSAIKS' labels of places, as TorchSpatial publishes them.**
https://github.com/seai-lab/TorchSpatial: ``Y_population.csv``, ``Y_elevation.csv``,
``Y_forest_cover.csv`` and ``Y_nightlights.csv`` in one folder, each with the columns ``lon``,
``lat``, ``split`` (train, val, test) and its own name.

**Sightings of species and scenes, with an image classifier's predictions.**
The layout of Mac Aodha's geo prior (https://github.com/macaodha/geo_prior) and TorchSpatial::

    train2018.json, val2018.json                   images: id; annotations: image_id, category_id
    train2018_locations.json, val2018_locations.json       id, lon, lat (null where unknown)
    features_inception/inat2018_val_preds_sparse.npz       (photos, classes) probabilities

and likewise 2017; ``birdsnap_with_loc_2019.json`` and ``nabirds_with_loc_2019.json`` (classes,
train, test; of each photo ``valid_image``, ``class_id``, ``ebird_meta``: lon, lat) with
``features_inception/birdsnap_test_preds_sparse.npz``; and YFCC100M-GEO100's
``train_test_split.csv`` (lon, lat, class, split) with ``features_inception/YFCC_test_preds.npy``.
Of the birds' two sets of places those of eBird are taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gair.arrays import Floats, Floats32, Ints
from gair.errors import DatasetError
from training.finetune.readers.checking import (
    check_count,
    check_places,
    check_sums,
    lonlat_deg,
    needed,
    numbers,
    read_csv,
    read_json,
    splits_of,
)
from training.finetune.species import PriorData
from training.finetune.supervised import Labelled, PlaceData

CLASSES = {"inat2017": 5089, "inat2018": 8142, "birdsnap": 500, "nabirds": 555, "yfcc": 100}
_META = "ebird_meta"


def read_mosaiks(folder: Path, variable: str) -> PlaceData:
    """One variable of MOSAIKS; the split val is fitted with train.

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


def read_inat(folder: Path, year: int, classes: int | None = None) -> PriorData:
    """The iNaturalist competition of 2017 or 2018, tested on its split val.

    Args:
        folder: of the files above.
        year: 2017 or 2018.
        classes: how many, if not those published.

    Raises:
        DatasetError: a file is missing or damaged, or counts differ.
    """
    check_sums(folder)
    train, labels = _inat_split(folder, f"train{year}")
    with_place = np.isfinite(train).all(axis=1)
    test, truth = _inat_split(folder, f"val{year}")
    count = CLASSES[f"inat{year}"] if classes is None else classes
    predictions = folder / "features_inception" / f"inat{year}_val_preds_sparse.npz"
    return _prior(count, train[with_place], labels[with_place], test, truth, predictions)


def read_birds(folder: Path, name: str, classes: int | None = None) -> PriorData:
    """``birdsnap`` or ``nabirds``, tested on its split test; arguments as above."""
    check_sums(folder)
    path = folder / f"{name}_with_loc_2019.json"
    content = read_json(path)
    splits = {}
    try:
        for split in ("train", "test"):
            photos = [photo for photo in content[split] if photo["valid_image"]]
            places = _lonlat_deg(path, [photo[_META] for photo in photos])
            labels = np.array([photo["class_id"] for photo in photos], dtype=np.int64)
            splits[split] = places, labels
        listed = len(content["classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path} is not as published: {error!r}") from error
    count = CLASSES[name] if classes is None else classes
    check_count(f"{path}: classes", listed, count)
    (train, labels), (test, truth) = splits["train"], splits["test"]
    with_place = np.isfinite(train).all(axis=1)
    predictions = folder / "features_inception" / f"{name}_test_preds_sparse.npz"
    return _prior(count, train[with_place], labels[with_place], test, truth, predictions)


def read_yfcc(folder: Path, classes: int | None = None) -> PriorData:
    """YFCC100M-GEO100, tested on its split test; arguments as above."""
    check_sums(folder)
    path = folder / "train_test_split.csv"
    rows = read_csv(path, ("lon", "lat", "class", "split"))
    places, labels = lonlat_deg(path, rows), numbers(path, rows, "class").astype(np.int64)
    train, test = (splits_of(path, rows) == split for split in ("train", "test"))
    count = CLASSES["yfcc"] if classes is None else classes
    predictions = folder / "features_inception" / "YFCC_test_preds.npy"
    return _prior(count, places[train], labels[train], places[test], labels[test], predictions)


def _inat_split(folder: Path, split: str) -> tuple[Floats, Ints]:
    """Floats (NaN where unknown) and classes, in the order of the images."""
    path, places_path = folder / f"{split}.json", folder / f"{split}_locations.json"
    content, places = read_json(path), read_json(places_path)
    try:
        category = {a["image_id"]: a["category_id"] for a in content["annotations"]}
        ids = [image["id"] for image in content["images"]]
        labels = np.array([category[number] for number in ids], dtype=np.int64)
        place_of_image = {place["id"]: place for place in places}
        lost = [number for number in ids if number not in place_of_image]
        if lost:
            raise DatasetError(f"{places_path} lacks image {lost[0]} and {len(lost) - 1} more")
        return _lonlat_deg(places_path, [place_of_image[number] for number in ids]), labels
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path} or {places_path.name} is not as published: {error!r}"
        ) from error


def _lonlat_deg(path: Path, objects: list[Any]) -> Floats:
    """The members ``lon`` and ``lat`` of JSON objects, (N, 2); NaN where they are null."""
    pairs = [(item["lon"], item["lat"]) for item in objects]
    places = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    check_places(str(path), places)
    return places


def _prior(
    classes: int, train: Floats, labels: Ints, test: Floats, truth: Ints, predictions: Path
) -> PriorData:
    for split, class_numbers in (("train", labels), ("test", truth)):
        if not len(class_numbers) or class_numbers.min() < 0 or class_numbers.max() >= classes:
            seen = (
                f"{class_numbers.min()} to {class_numbers.max()}" if len(class_numbers) else "none"
            )
            raise DatasetError(
                f"classes of the {split} photos beside {predictions.parent} are {seen}; expected 0 "
                f"to {classes - 1}"
            )
    probabilities = _probabilities(predictions)
    check_count(f"{predictions}: rows", probabilities.shape[0], len(truth))
    check_count(f"{predictions}: classes", probabilities.shape[1], classes)
    sound = np.isfinite(probabilities).all(axis=1) & (probabilities.min(axis=1) >= 0)
    if not sound.all():
        row = int(sound.argmin())
        raise DatasetError(
            f"{predictions}, row {row + 1}: there are numbers below 0 or not finite, so they are "
            "no probabilities"
        )
    return PriorData(classes, train, labels, test, truth, probabilities)


def _probabilities(path: Path) -> Floats32:
    """(photos, classes), from a sparse ``.npz`` or a plain ``.npy``."""
    needed(path)
    try:
        if path.suffix == ".npz":
            from scipy.sparse import load_npz

            array = load_npz(path).astype(np.float32).toarray()  # dense in float64 takes twice
        else:
            array = np.load(path, allow_pickle=False).astype(np.float32, copy=False)
        return np.asarray(array).reshape(len(array), -1)
    except Exception as error:  # scipy and zipfile have many kinds
        raise DatasetError(f"cannot read {path} ({error}): download it again") from error
