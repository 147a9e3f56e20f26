"""Readers of sightings: iNaturalist, the two bird sets, YFCC100M-GEO100."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sighting_samples import CLASSES, predictions, write_birds, write_inat, write_yfcc

from gair.errors import DatasetError
from training.finetune.readers import labelled_places


@pytest.mark.parametrize("year", [2017, 2018])
def test_inat(tmp_path: Path, year: int) -> None:
    data = labelled_places.read_inat(write_inat(tmp_path, year), year, CLASSES)
    assert data.train_labels.tolist() == [1, 2, 3, 0, 1]  # the first has no place
    assert data.train_lonlat_deg[0].tolist() == [11, 5]
    assert data.test_labels.tolist() == [0, 1, 2]
    assert np.isnan(data.test_lonlat_deg[0]).all()
    assert data.test_lonlat_deg[2].tolist() == [112, 5]
    assert data.test_probabilities.argmax(axis=1).tolist() == [0, 1, 2]


def test_inat_that_is_not_as_published(tmp_path: Path) -> None:
    folder = write_inat(tmp_path)
    with pytest.raises(DatasetError, match="preds_sparse.npz: classes: 4 found, 8,142 are pub"):
        labelled_places.read_inat(folder, 2018)
    with pytest.raises(
        DatasetError, match="classes of the train photos .* 0 to 3; expected 0 to 1"
    ):
        labelled_places.read_inat(folder, 2018, 2)
    predictions(folder / "features_inception" / "inat2018_val_preds_sparse.npz", 2)
    with pytest.raises(DatasetError, match="rows: 2 found, 3 are published"):
        labelled_places.read_inat(folder, 2018, CLASSES)
    places = json.loads((folder / "val2018_locations.json").read_text())
    (folder / "val2018_locations.json").write_text(json.dumps(places[1:]))
    with pytest.raises(DatasetError, match=r"val2018_locations.json lacks image 102 and 0 more"):
        labelled_places.read_inat(folder, 2018, CLASSES)
    (folder / "val2018.json").write_text('{"images": [')
    with pytest.raises(DatasetError, match=r"val2018\.json is not JSON"):
        labelled_places.read_inat(folder, 2018, CLASSES)
    (folder / "val2018.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match=r"val2018\.json .* is not as published: .*annotations"):
        labelled_places.read_inat(folder, 2018, CLASSES)


@pytest.mark.parametrize("name", ["birdsnap", "nabirds"])
def test_birds(tmp_path: Path, name: str) -> None:
    data = labelled_places.read_birds(write_birds(tmp_path, name), name, CLASSES)
    assert data.train_labels.tolist() == [0, 2]
    assert data.train_lonlat_deg.tolist() == [[-100, 40], [-90, 40]]
    assert data.test_labels.tolist() == [3, 2]
    assert np.isnan(data.test_lonlat_deg[1]).all()
    with pytest.raises(DatasetError, match="classes: 4 found, 5"):
        labelled_places.read_birds(tmp_path, name)
    (tmp_path / "features_inception" / f"{name}_test_preds_sparse.npz").write_bytes(b"cut")
    with pytest.raises(DatasetError, match=f"cannot read .*{name}_test_preds_sparse.npz"):
        labelled_places.read_birds(tmp_path, name, CLASSES)


def test_yfcc(tmp_path: Path) -> None:
    data = labelled_places.read_yfcc(write_yfcc(tmp_path), CLASSES)
    assert data.train_lonlat_deg.tolist() == [[1, 2], [3, 4]]
    assert data.train_labels.tolist() == [0, 3]
    assert data.test_labels.tolist() == [2]
    assert data.test_probabilities.shape == (1, CLASSES)
    with pytest.raises(DatasetError, match="YFCC_test_preds.npy: classes: 4 found, 100 are"):
        labelled_places.read_yfcc(tmp_path)
    (tmp_path / "features_inception" / "YFCC_test_preds.npy").unlink()
    with pytest.raises(DatasetError, match=r"YFCC_test_preds\.npy is missing"):
        labelled_places.read_yfcc(tmp_path, CLASSES)
    rows = ["lon,lat,class,split", "1,2,0,train", "3,4,3,Train", "7,8,2,test"]
    (tmp_path / "train_test_split.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DatasetError, match="row 2: split is 'Train'; expected train, val or test"):
        labelled_places.read_yfcc(tmp_path, CLASSES)


@pytest.mark.parametrize("bad", [np.nan, -0.5, np.inf])
def test_predictions_that_are_no_probabilities(tmp_path: Path, bad: float) -> None:
    write_yfcc(tmp_path)
    path = tmp_path / "features_inception" / "YFCC_test_preds.npy"
    np.save(path, np.array([[0.1, bad, 0.2, 0.3]]))
    with pytest.raises(DatasetError, match="YFCC_test_preds.npy, row 1: .* no probabilities"):
        labelled_places.read_yfcc(tmp_path, CLASSES)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"id": 101, "lon": 40.0, "lat": 120.0}, "longitude 40.0, latitude 120.0"),
        ({"id": 101, "lon": "west", "lat": 1.0}, "could not convert"),
        ({"id": 101, "lat": 1.0}, "lon"),
    ],
)
def test_places_that_are_none(tmp_path: Path, place: dict[str, Any], words: str) -> None:
    path = write_inat(tmp_path) / "val2018_locations.json"
    places = [place for place in json.loads(path.read_text()) if place["id"] != 101]
    path.write_text(json.dumps([*places, place]))
    with pytest.raises(DatasetError, match=f"val2018_locations.json.*{words}"):
        labelled_places.read_inat(tmp_path, 2018, CLASSES)


def test_birds_at_places_that_are_none(tmp_path: Path) -> None:
    path = write_birds(tmp_path) / "birdsnap_with_loc_2019.json"
    path.write_text(path.read_text().replace("-70", "-700"))
    with pytest.raises(DatasetError, match="longitude -700.0, latitude 40.0"):
        labelled_places.read_birds(tmp_path, "birdsnap", CLASSES)
