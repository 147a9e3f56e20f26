"""An album of small pictures with every kind of trouble, as people hand one over."""

from __future__ import annotations

import shutil
from pathlib import Path

from packing_samples import save_photo
from packing_samples import write_manifest as write_manifest
from small_builds import BOX_WSEN_DEG

HEADER = "file lat lon heading captured_at sequence source link licence attribution".split()
WEST, SOUTH, EAST, NORTH = BOX_WSEN_DEG
GOOD = 6
"""Photos in the box or within 500 m of it."""


def write_album(folder: Path, name: str = "album") -> Path:
    """Seven files of six contents that can be added, and five photos that cannot."""
    lat, lon = (SOUTH + NORTH) / 2, (WEST + EAST) / 2
    rows: list[list[object]] = []
    for number in range(GOOD):
        save_photo(folder / f"{number}.jpg", seed=number)
        where = (lat, lon + number * 1e-4) if number < GOOD - 1 else (NORTH + 0.003, lon)
        about = [90.0 * number, f"2019-05-0{number + 1}T12:00:00", "walk" if number < 2 else ""]
        credit = f"Mapillary image by P{number}, https://www.mapillary.com/app/?pKey={number}"
        rows.append([f"{number}.jpg", *where, *about, "Mapillary", "", "CC BY-SA 4.0", credit])
    shutil.copy(folder / "0.jpg", folder / "copy.jpg")
    save_photo(folder / "far.jpg", seed=20)
    save_photo(folder / "nowhere.jpg", seed=21)
    save_photo(folder / "pole.jpg", seed=22)
    (folder / "text.jpg").write_text("dear diary")
    blank = [""] * 7
    rows += [
        ["copy.jpg", lat, lon, *blank],
        ["far.jpg", NORTH + 0.02, lon, *blank],
        ["nowhere.jpg", "", "", *blank],
        ["pole.jpg", 95, lon, *blank],
        ["text.jpg", lat, lon, *blank],
        ["missing.jpg", lat, lon, *blank],
    ]
    return write_manifest(folder / f"{name}.csv", HEADER, rows)
