"""Reference photos in memory, and the ratio of their likelihood written down as the formula."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.geo import haversine_m
from indexer.ground.reference_photos import ReferencePhotos

if TYPE_CHECKING:
    from indexer.ground.manifest import ReferenceManifest
    from indexer.index.vectors import FaissStore


@dataclass
class Store:
    """Vectors that no file holds."""

    rows: Vectors

    def scores(self, queries: Vectors) -> Vectors:
        return np.asarray(queries, dtype=np.float32) @ self.rows.T

    def vectors(self, rows: Ints) -> Vectors:
        return np.asarray(self.rows[rows])


def references(
    s: Vectors, lonlat_deg: Floats, sequence: Sequence[str] | None = None
) -> ReferencePhotos:
    """Photos of these vectors and places; each by itself where no sequence is named."""
    names = np.array(sequence or [""] * len(s), dtype=np.str_)
    _, first, of_name = np.unique(names, return_index=True, return_inverse=True)
    place = np.where(names == "", np.arange(len(s)), first[of_name])
    photos = ReferencePhotos(
        path=Path("nowhere"),
        manifest=cast("ReferenceManifest", SimpleNamespace(content_sha256=f"{len(s):064d}")),
        lonlat_deg=lonlat_deg,
        place_ids=place.astype(np.int64),
        taken_on=np.full(len(s), "2024-05-06", dtype="datetime64[D]"),
        heading_deg=np.full(len(s), np.nan, dtype=np.float32),
        store=cast("FaissStore", Store(s)),
    )
    hashes = np.array([digest_of(number).encode() for number in range(len(s))], dtype="S64")
    vars(photos).update(content_sha256=hashes, sequence=names)  # else read from a file
    return photos


def digest_of(number: int) -> str:
    """What stands for the content hash of the photo of a number."""
    return f"{number:064d}"


def slow_log_ratios(
    photos: ReferencePhotos,
    s: Vectors,
    points_deg: Floats,
    kernel_m: float,
    sharpness: float,
    left_out: Collection[int] = (),
    pseudo: float = 1.0,
    *,
    cells_deg: Floats | None = None,
    likely: Sequence[float] = (),
    power: float = 1.0,
) -> list[float]:
    """The formula of :mod:`indexer.ground.likelihood`, one photo and point after the other.

    It is shared out among cells that are so likely; without cells it is not.
    """
    there = [row for row in range(len(photos)) if row not in left_out]
    w = {row: math.exp(sharpness * float(s @ photos.vectors(np.array([row]))[0])) for row in there}

    base = sum(w.values()) / len(w) if w else 1.0

    def ratio_at(point: Floats) -> tuple[float, float]:
        alike = around = 0.0
        for row in there:
            away_m = float(haversine_m(point, photos.lonlat_deg[row]))
            if away_m <= 4 * kernel_m:
                kernel = math.exp(-(away_m**2) / (2 * kernel_m**2))
                alike += w[row] / base * kernel
                around += kernel
        return (alike + pseudo) / (around + pseudo), around / (around + 0.1)

    ratios = [ratio_at(point) for point in points_deg]
    if cells_deg is None:
        return [math.log(ratio) for ratio, _ in ratios]
    said = total = 0.0
    for cell, p in zip(cells_deg, likely, strict=True):
        ratio, covered = ratio_at(cell)
        said += p * covered * ratio**power
        total += p * covered
    level = said / total if total else 1.0
    return [math.log(1 - k + k * ratio**power / level) / power for ratio, k in ratios]
