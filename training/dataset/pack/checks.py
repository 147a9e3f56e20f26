"""Checks of photos: which cannot be used, and why; each gets the first reason that holds.

Two rules need explaining. *Swapped*: the point lies outside the imagery and the point with latitude
and longitude exchanged inside it; such photos are reported and never mended. *The same photo*:
files of equal bytes less than :data:`SAME_PLACE_M` apart count once; further apart, nothing says
which of the places is right, so none is used.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from gair.arrays import Bools, Floats
from gair.errors import DatasetError
from gair.files import open_file, sha256_of
from gair.geo import WEB_MERCATOR_MAX_LATITUDE_DEG, haversine_m
from indexer.photos.listing import BROKEN, ListedPhoto

NO_COORDINATES = "no coordinates"
NULL_ISLAND = "coordinates (0, 0)"
SWAPPED = "latitude and longitude probably swapped"
IMPOSSIBLE = "impossible coordinates"
POLAR = "beyond 85.05 degrees, where Web Mercator ends"
FILE_MISSING = "file missing"
DUPLICATE = "the same photo again"
CONTRADICTORY = "the same photo given at different places"
OUTSIDE = "outside the imagery"
NO_DATA = "no data in the imagery"
MOSTLY_EMPTY = "too little imagery around it"
IN_BUFFER = "in the buffer between splits"

REASONS = (
    NO_COORDINATES,
    NULL_ISLAND,
    SWAPPED,
    IMPOSSIBLE,
    POLAR,
    FILE_MISSING,
    DUPLICATE,
    CONTRADICTORY,
    OUTSIDE,
    IN_BUFFER,
    MOSTLY_EMPTY,
    NO_DATA,
    BROKEN,
)
"""Why photos are left out, in the order in which it is asked; the last four while packing."""

SAME_PLACE_M = 10.0
"""Nearer than this, two mentions of one photo mean one place."""

_ZERO_DEG = 1e-6  # a tenth of a metre
_HEAD_BYTES = 1 << 16  # what is compared before whole files are

Key = TypeVar("Key", bound=Hashable)


def check_photos(photos: Sequence[ListedPhoto], coverage: BaseGeometry) -> list[str]:
    """Why each photo is left out as far as its row and its file tell; empty for those in use.

    Args:
        photos: as :func:`indexer.photos.listing.read_photos` gives them.
        coverage: where there is imagery, longitude and latitude in degrees.

    Raises:
        DatasetError: A photo cannot be read, or two have one id.
    """
    lonlat_deg = np.array([photo.lonlat_deg or (np.nan, np.nan) for photo in photos])
    inside = _inside(lonlat_deg, coverage)
    missing = np.array([photo.lonlat_deg is None for photo in photos], dtype=np.bool_)
    checks = coordinate_checks(lonlat_deg, missing)
    checks.insert(2, (SWAPPED, _inside(lonlat_deg[:, ::-1], coverage) & ~inside))
    reasons = [
        photo.left_out or reason or ("" if photo.path.is_file() else FILE_MISSING)
        for photo, reason in zip(photos, first_reasons(checks, len(photos)), strict=True)
    ]
    _mark_repeated(photos, lonlat_deg, reasons)
    reasons = [r or ("" if here else OUTSIDE) for r, here in zip(reasons, inside, strict=True)]
    _check_ids(photo for photo, reason in zip(photos, reasons, strict=True) if not reason)
    return reasons


def coordinate_checks(lonlat_deg: Floats, missing: Bools) -> list[tuple[str, Bools]]:
    """What can be wrong with coordinates alone: reasons, and (N,) for whom each holds.

    Args:
        lonlat_deg: (N, 2) degrees, anything where there are none.
        missing: (N,) where there are none.
    """
    size = np.abs(lonlat_deg)  # NaN is neither small nor possible
    return [
        (NO_COORDINATES, missing),
        (NULL_ISLAND, np.logical_and(*(size < _ZERO_DEG).T)),
        (IMPOSSIBLE, ~np.logical_and(*(size <= (180.0, 90.0)).T)),
        (POLAR, size[:, 1] > WEB_MERCATOR_MAX_LATITUDE_DEG),
    ]


def first_reasons(checks: Sequence[tuple[str, Bools]], count: int) -> npt.NDArray[np.object_]:
    """(count,) the first reason that holds for each; empty where none does."""
    reasons = np.full(count, "", dtype=object)
    for reason, holds in reversed(checks):  # so that the first one has the last word
        reasons[holds] = reason
    return reasons


def _inside(lonlat_deg: Floats, coverage: BaseGeometry) -> npt.NDArray[np.bool_]:
    """(N,) which points lie in the coverage; NaN lies nowhere."""
    shapely.prepare(coverage)
    finite = np.isfinite(lonlat_deg).all(axis=1)
    inside = np.zeros(len(lonlat_deg), dtype=np.bool_)
    inside[finite] = shapely.intersects_xy(coverage, *lonlat_deg[finite].T)
    return inside


def _mark_repeated(photos: Sequence[ListedPhoto], lonlat_deg: Floats, reasons: list[str]) -> None:
    """Mark photos that come more than once, in place; the first of those in one place stays."""
    sound = [i for i, reason in enumerate(reasons) if not reason]
    for group in _equal_files(sound, photos):
        first = lonlat_deg[group[0]]
        apart_m = haversine_m(first, lonlat_deg[group])
        if apart_m.max() > SAME_PLACE_M:
            for i in group:
                reasons[i] = CONTRADICTORY
        else:
            for i in group[1:]:
                reasons[i] = DUPLICATE


def _equal_files(numbers: Sequence[int], photos: Sequence[ListedPhoto]) -> list[list[int]]:
    """Groups of two or more photos with equal bytes.

    Only files that agree in size are opened, and only those that agree in their beginning are read.
    What cannot be read equals nothing.
    """
    groups = _grouped((photos[i].path.stat().st_size, i) for i in numbers)
    for limit in (_HEAD_BYTES, -1):
        groups = [g for old in groups for g in _grouped((_sha(photos[i], limit), i) for i in old)]
    return groups


def _grouped(pairs: Iterable[tuple[Key, int]]) -> list[list[int]]:
    """The numbers that share a key with another one."""
    groups: defaultdict[Key, list[int]] = defaultdict(list)
    for key, number in pairs:
        groups[key].append(number)
    return [group for group in groups.values() if len(group) > 1]


def _sha(photo: ListedPhoto, limit: int) -> str:
    """Of the beginning of a photo's file, or of all of it (-1)."""
    try:
        if limit < 0:
            return sha256_of(photo.path)
        with open_file(photo.path) as file:
            return hashlib.sha256(file.read(limit)).hexdigest()
    except OSError:
        return f"unreadable {photo.path}"


def _check_ids(photos: Iterable[ListedPhoto]) -> None:
    names: dict[str, str] = {}
    for photo in photos:
        if photo.photo_id in names:
            raise DatasetError(
                f"{names[photo.photo_id]} and {photo.name} have the same id {photo.photo_id!r}: "
                "make ids unique, or leave the column out"
            )
        names[photo.photo_id] = photo.name
