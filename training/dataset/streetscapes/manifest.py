"""Manifest of the fetched photos, as :mod:`training.dataset.pack.pack` reads it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial import cKDTree

from gair.files import write_whole
from gair.geo import EARTH_RADIUS_M
from training.dataset.streetscapes.fetch import NOT_TO_BE_HAD, Wanted, alike
from training.dataset.streetscapes.journal import Outcome, photo_path

NEAR_DUPLICATE = "looks like one beside it"
NEAR_M = 50.0
"""Photos further apart may look alike and still are two."""


@dataclass(frozen=True)
class Manifest:
    """What can be packed."""

    path: Path
    photos: int
    left_out: Counter[str]
    """The others, by reason."""
    complaints: tuple[str, ...]
    """What exactly is wrong with some of them."""


def write_manifest(
    folder: Path, wanted: Sequence[Wanted], cities: Sequence[str], outcomes: Mapping[str, Outcome]
) -> Manifest:
    """List what was fetched, without photos that look like one beside them.

    Args:
        folder: the working folder.
        wanted: the photos that were chosen; of two that look alike the first stays.
        cities: their cities.
        outcomes: what came of them by key; those that are missing could not be had.
    """
    left_out: Counter[str] = Counter()
    complaints = []
    fetched = []
    for number, photo in enumerate(wanted):
        outcome = outcomes.get(photo.key)
        if outcome is None:
            left_out[NOT_TO_BE_HAD] += 1
        elif outcome.reason:
            left_out[outcome.reason] += 1
            complaints += [outcome.complaint] if outcome.complaint else []
        else:
            fetched.append(number)
    lonlat_deg = np.array([wanted[i].lonlat_deg for i in fetched]).reshape(-1, 2)
    looks = [outcomes[wanted[i].key].look for i in fetched]
    again = near_duplicates(lonlat_deg, looks)
    if again:
        left_out[NEAR_DUPLICATE] += len(again)
    rows = [
        _row(folder, wanted[i], cities[i], outcomes[wanted[i].key])
        for at, i in enumerate(fetched)
        if at not in again
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), buffer)
    path = folder / "manifest.parquet"
    write_whole(path, buffer.getvalue())
    return Manifest(path, len(rows), left_out, tuple(complaints))


def near_duplicates(lonlat_deg: np.ndarray, looks: Sequence[int]) -> set[int]:
    """Which photos look like an earlier one that stays and is near.

    Args:
        lonlat_deg: (N, 2) where they are.
        looks: (N) their difference hashes.
    """
    if len(looks) < 2:
        return set()
    lon, lat = np.radians(lonlat_deg).T
    on_sphere = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    # A chord is shorter than its arc: by less than a nanometre at 50 m.
    tree = cKDTree(on_sphere.T * EARTH_RADIUS_M)
    again: set[int] = set()
    for number, near in enumerate(tree.query_ball_tree(tree, NEAR_M)):
        earlier = (i for i in near if i < number and i not in again)
        if any(alike(looks[i], looks[number]) for i in earlier):
            again.add(number)
    return again


_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("file", "id", "city", "captured_at")),
        *(pa.field(name, pa.float64()) for name in ("lon", "lat", "heading")),
        *(pa.field(name, pa.string()) for name in ("licence", "source", "attribution")),
    ]
)


def _row(folder: Path, photo: Wanted, city: str, outcome: Outcome) -> dict[str, object]:
    return {
        "file": photo_path(folder, photo.key).relative_to(folder).as_posix(),
        "id": photo.key,
        "city": city,
        "captured_at": outcome.captured_at,
        "lon": photo.lonlat_deg[0],
        "lat": photo.lonlat_deg[1],
        "heading": outcome.heading_deg,
        "licence": outcome.licence,
        "source": outcome.source,
        "attribution": outcome.attribution,
    }
