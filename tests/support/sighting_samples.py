"""Made-up species and photo sightings in their published layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

CLASSES = 4


def predictions(path: Path, rows: int, classes: int = CLASSES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.eye(classes, dtype=np.float32)[np.arange(rows) % classes]
    if path.suffix == ".npz":
        sparse.save_npz(path, sparse.csr_matrix(values))
    else:
        np.save(path, values)


def write_inat(folder: Path, year: int = 2018) -> Path:
    for split, first, count in (("train", 0, 6), ("val", 100, 3)):
        ids = [first + number for number in range(count)]
        content: dict[str, Any] = {
            "images": [{"id": number, "file_name": f"{number}.jpg"} for number in ids],
            "annotations": [
                {"image_id": number, "category_id": number % CLASSES} for number in reversed(ids)
            ],
        }
        places = [
            {"id": n, "lon": None if n == first else 10.0 + n, "lat": None if n == first else 5.0}
            for n in ids
        ]
        (folder / f"{split}{year}.json").write_text(json.dumps(content))
        (folder / f"{split}{year}_locations.json").write_text(json.dumps(places[::-1]))
    predictions(folder / "features_inception" / f"inat{year}_val_preds_sparse.npz", 3)
    return folder


def write_birds(folder: Path, name: str = "birdsnap") -> Path:
    def photo(label: int, lon: float | None, valid: bool = True) -> dict[str, Any]:
        lat = None if lon is None else 40.0
        return {
            "valid_image": valid,
            "class_id": label,
            "im_path": "x.jpg",
            "ebird_meta": {"lon": lon, "lat": lat, "user_id": 1, "date": 0.1},
            "orig_meta": {"lon": 0.0, "lat": 0.0, "user_id": 1, "date": 0.1},
        }

    content = {
        "classes": ["wren", "owl", "crow", "kite"],
        "train": [photo(0, -100), photo(1, None), photo(2, -90), photo(3, -80, valid=False)],
        "valid": [],
        "test": [photo(3, -70), photo(2, None)],
    }
    (folder / f"{name}_with_loc_2019.json").write_text(json.dumps(content))
    predictions(folder / "features_inception" / f"{name}_test_preds_sparse.npz", 2)
    return folder


def write_yfcc(folder: Path) -> Path:
    rows = ["lon,lat,class,split", "1,2,0,train", "3,4,3,train", "5,6,1,val", "7,8,2,test"]
    (folder / "train_test_split.csv").write_text("\n".join(rows) + "\n")
    predictions(folder / "features_inception" / "YFCC_test_preds.npy", 1)
    return folder
