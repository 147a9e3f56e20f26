"""Photos, manifests and two days of imagery of a toy city, for the tests of what packs them."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pyproj
from photo_samples import GPS_TAG, encode, exif_with
from PIL import Image
from toy_city import NORTH_M, WEST_M, photo

from training.dataset.pack.pack import PackOptions, PackReport, SplitCounts, pack

CITY_M = 4000.0
"""Side of what ``toy_city.write_city`` writes."""


@functools.cache
def _to_lonlat() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs("EPSG:32630", "OGC:CRS84", always_xy=True)


def city_lonlat(east_m: float, south_m: float) -> tuple[float, float]:
    """Longitude, latitude so many metres from the toy city's north-west corner."""
    lon, lat = _to_lonlat().transform(WEST_M + east_m, NORTH_M - south_m)
    return float(lon), float(lat)


def random_lonlats(count: int, seed: int = 0, inset_m: float = 50.0) -> npt.NDArray[np.float64]:
    """(N, 2) places in the toy city."""
    metres = np.random.default_rng(seed).uniform(inset_m, CITY_M - inset_m, (count, 2))
    return np.array([city_lonlat(east, south) for east, south in metres])


def exif_at(lonlat_deg: tuple[float, float], **tags: Any) -> Image.Exif:
    """EXIF with GPS tags of a place, and other GPS tags by number."""
    lon, lat = lonlat_deg
    gps: dict[int, Any] = {
        1: "N" if lat >= 0 else "S",
        2: (abs(lat), 0.0, 0.0),
        3: "E" if lon >= 0 else "W",
        4: (abs(lon), 0.0, 0.0),
    }
    gps |= {int(number): value for number, value in tags.items()}
    return exif_with({GPS_TAG: gps})


def save_photo(path: Path, seed: int = 0, size: tuple[int, int] = (96, 64), **options: Any) -> Path:
    """A small JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(photo(seed, size), "JPEG", **options))
    return path


def write_manifest(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_photos(folder: Path, lonlat_deg: npt.ArrayLike, cities: Sequence[str] = ()) -> Path:
    """One photo for each place, and the manifest that names them."""
    rows = []
    for number, (lon, lat) in enumerate(np.asarray(lonlat_deg).tolist()):
        name = f"{number:04d}.jpg"
        save_photo(folder / name, seed=number)
        rows.append((name, repr(lat), repr(lon), cities[number] if cities else ""))
    return write_manifest(folder / "photos.csv", ["file", "lat", "lon", "city"], rows)


def pack_quietly(photos: Path, imagery: Path, out: Path, **options: Any) -> PackReport:
    """Pack, and check that ``dataset.json`` says what the report says."""
    report = pack(PackOptions(photos, (imagery,), out, quiet=True, **options))
    manifest = json.loads((out / "dataset.json").read_bytes())
    assert manifest["left_out"] == dict(report.left_out)
    assert {name: SplitCounts(**counts) for name, counts in manifest["splits"].items()} == dict(
        report.splits
    )
    return report


def column(out: Path, kind: str, name: str) -> list[Any]:
    """A column of all shards of a kind, ``photos`` or ``frames``."""
    files = sorted((out / kind).glob("*.parquet"))
    return [value for file in files for value in pq.read_table(file)[name].to_pylist()]
