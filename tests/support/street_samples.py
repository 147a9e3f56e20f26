"""Tables in the layout of Global Streetscapes, and a server that has their photos."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from packing_samples import city_lonlat
from photo_samples import encode
from street_servers import ServedPhoto, street_photo
from toy_city import photo

from training.dataset.streetscapes.options import KARTAVIEW, MAPILLARY
from training.dataset.streetscapes.selection import key_of

CORNERS = {
    "Westham, GB": (300.0, 300.0),
    "Eastham, GB": (2900.0, 300.0),
    "Southend, GB": (300.0, 2900.0),
    "Fareham, GB": (2900.0, 2900.0),
}
"""Made-up cities in the toy city, metres from its north-west corner."""
SIDE_M = 800.0

METADATA = (
    "uuid,source,orig_id,lat,lon,datetime_local,year,month,day,hour,width,height,heading,"
    "projection_type,hFoV,vFoV,sequence_index,sequence_id,sequence_img_count"
).split(",")
SIMPLEMAPS = (
    "uuid,source,orig_id,city,city_ascii,city_id,city_lat,city_lon,country,iso2,iso3,admin_name,"
    "capital,population,continent"
).split(",")
"""Columns as published; see training.dataset.streetscapes.tables."""


@dataclass(frozen=True)
class Listed:
    """A row of the tables, and the photo it speaks of."""

    served: ServedPhoto
    city: str
    when: str = "2019-06-08 10:20:00+00:00"
    projection: str = "perspective"
    width: int = 4032
    height: int = 3024
    place: str = "street"
    quality: str = "good"


def listed_photos(count: int, *, seed: int = 0, per_photo: int = 0) -> list[Listed]:
    """Photos of all cities in turn, every third of KartaView, taken in various months."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        city = list(CORNERS)[number % len(CORNERS)]
        east, south = (start + rng.uniform(0, SIDE_M) for start in CORNERS[city])
        source = KARTAVIEW if number % 3 == 2 else MAPILLARY
        served = ServedPhoto(
            source,
            str(10_000 + number),
            city_lonlat(east, south),
            street_photo(per_photo or number),
            captured_ms=1_560_000_000_000 + number * 10**9,
        )
        month = number % 12 + 1
        rows.append(Listed(served, city, when=f"2019-{month:02d}-08 10:20:00.500000+02:00"))
    return rows


def blurred_photo(seed: int) -> bytes:
    return encode(photo(seed, (500, 320)), "JPEG")


def write_tables(folder: Path, rows: Sequence[Listed]) -> Path:
    """The four tables that are read."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata, cities, places, context = [], [], [], []
    for row in rows:
        one = row.served
        uuid = hashlib.sha256(key_of(one.source, one.image_id).encode()).hexdigest()[:32]
        source = {MAPILLARY: "Mapillary", KARTAVIEW: "KartaView"}[one.source]
        lon, lat = one.lonlat_deg
        metadata.append(
            [uuid, source, one.image_id, repr(lat), repr(lon), row.when, 2019, 6, 8, 10,
             f"{row.width}.0", f"{row.height}.0", "77.25", row.projection, "", "", 1, "seq", 60]
        )  # fmt: skip
        name, country = row.city.split(", ")
        cities.append([uuid, source, one.image_id, name, name, 1, lat, lon, "", country, "", "",
                       "", 1.0, "Europe"])  # fmt: skip
        places.append([uuid, row.place])
        context.append([uuid, row.quality, "False"])
    _write(folder / "metadata_common_attributes.csv", METADATA, metadata)
    _write(folder / "simplemaps.csv", SIMPLEMAPS, cities)
    _write(folder / "places365.csv", ["uuid", "place"], places)
    _write(folder / "contextual.csv", ["uuid", "quality", "pano_status"], context)
    return folder


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
