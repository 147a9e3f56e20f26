"""Files of what was explored, for other programs: GeoJSON (RFC 7946) and CSV.

Reference photos that are private are left out, and counted.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from gair.files import write_whole
from gair.spreadsheets import plain_cell
from indexer.explore.near_photos import NearPhoto, NearPhotos
from indexer.explore.similar import SimilarPlace, SimilarPlaces

Explored = SimilarPlaces | NearPhotos
"""What can be written."""

_HIDDEN = ("row", "private", "lon_deg", "lat_deg")
"""Fields that mean nothing elsewhere, or that the geometry has."""


def write_explored(explored: Explored, path: Path) -> None:
    """Write ``.geojson`` or ``.csv``, whole or not at all.

    Raises:
        UsageError: the name ends otherwise.
        StorageError: the disk refused.
    """
    check_explored_suffix(path)
    write = explored_csv if path.suffix.lower() == ".csv" else explored_geojson
    write_whole(path, write(explored).encode())


def check_explored_suffix(path: Path) -> None:
    """Refuse a name that says no format.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in (".geojson", ".csv"):
        raise UsageError(f"{str(path)!r} must end in .geojson or .csv: choose one of them")


def explored_geojson(explored: Explored) -> str:
    """A point for each place or photo; of similar places for each example, too."""
    document = explored.to_dict()
    features = [_feature(one, _kind(one)) for one in _listed(explored)]
    if isinstance(explored, SimilarPlaces):
        for kind in ("like", "unlike"):
            features += [_feature(example, kind) for example in getattr(explored, kind)]
    for name in ("like", "unlike", "places", "photos"):
        document.pop(name, None)
    if isinstance(explored, NearPhotos):
        document["private_photos_left_out"] = len(explored.photos) - len(_listed(explored))
    return json.dumps(
        {"type": "FeatureCollection", **document, "features": features}, indent=1, allow_nan=False
    )


def explored_csv(explored: Explored) -> str:
    """A line for each place or photo; what is not known is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    kind = SimilarPlace if isinstance(explored, SimilarPlaces) else NearPhoto
    names = [name for name in kind.__dataclass_fields__ if name not in _HIDDEN]
    names = [names[0], "lat", "lon", *names[1:]]
    writer.writerow([*names, "index", "build", "model"])
    about = [_plain(v) for v in (explored.index, explored.build, explored.model)]
    for one in _listed(explored):
        values = {name: _plain(value) for name, value in asdict(one).items()}
        values |= {"lat": f"{one.lat_deg:.7f}", "lon": f"{one.lon_deg:.7f}"}
        writer.writerow([*(values[name] for name in names), *about])
    return buffer.getvalue()


def _listed(explored: Explored) -> Sequence[SimilarPlace | NearPhoto]:
    if isinstance(explored, SimilarPlaces):
        return explored.places
    return [photo for photo in explored.photos if not photo.private]


def _kind(one: object) -> str:
    return "place" if isinstance(one, SimilarPlace) else "reference_photo"


def _feature(one: Any, kind: str) -> dict[str, Any]:  # noqa: ANN401 (any of the dataclasses)
    properties = {name: value for name, value in asdict(one).items() if name not in _HIDDEN}
    point = [round(one.lon_deg, 7), round(one.lat_deg, 7)]
    return {
        "type": "Feature",
        "properties": {"kind": kind, **properties},
        "geometry": {"type": "Point", "coordinates": point},
    }


def _plain(value: object) -> str:
    """A cell of the table."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    return plain_cell(value)
