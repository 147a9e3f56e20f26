"""Left-out evidence: which reference photos may not speak for a photo whose place is being tested.

Whoever measures how far answers can be believed asks about photos whose place is known. A reference
photo that shows the same thing at the same moment would give the answer away as no reference photo
of somebody else's does: the photo itself, the photos of its walk or drive, and what was taken
within some metres of it, such as a crop or another photo of the same corner. These are left out,
for each photo its own, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Ints, Vectors
from gair.errors import UsageError
from indexer.ground.options import APART_M
from indexer.ground.reference_photos import ReferencePhotos
from indexer.photos.vectors import file_digest
from indexer.regions.cell_field import chord_of, unit_vectors

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors

SAME = 1 - 1e-5
"""Cosine of two vectors of one photo, kept in half precision or saved as another file."""

COPIES, OF_SEQUENCE, NEAR = "copies of it", "of its sequence", "near it"
"""Why a reference photo is left out; the first reason that holds counts."""

_COPIES_AT_MOST = 16
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What is no evidence of each of P photos."""

    rows: tuple[Ints, ...]
    """Of each photo, the reference photos that are left out, ascending."""
    apart_m: float
    """As near as this they are."""
    counts: dict[str, int]
    """Pairs of a photo and a reference photo that is left out for it, by reason."""

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, photos: Ints | slice) -> LeftOut:
        """What is left out for some of the photos; the counts stay those of all."""
        picked = np.arange(len(self.rows))[photos].tolist()
        return replace(self, rows=tuple(self.rows[number] for number in picked))

    def spread(self, rows: Ints, count: int) -> LeftOut:
        """The same where these are (n,) rows of a longer list; for its others nothing is."""
        spread = [_NONE] * count
        for row, own in zip(rows.tolist(), self.rows, strict=True):
            spread[row] = own
        return replace(self, rows=tuple(spread))

    @property
    def photos(self) -> int:
        """How many of the photos something is left out for."""
        return sum(len(rows) > 0 for rows in self.rows)

    @property
    def said(self) -> str:
        """How many were left out, and why, in words."""
        near = f"within {self.apart_m:g} m of it" if self.apart_m else "at its very place"
        said = {NEAR: near}
        reasons = ", ".join(f"{n:,} {said.get(why, why)}" for why, n in self.counts.items())
        return (
            f"reference photos left out as a photo's own evidence: {reasons}, of "
            f"{self.photos:,} of {len(self):,} photos"
        )


def leave_out(
    references: ReferencePhotos,
    s: Vectors,
    lonlat_deg: Floats,
    content_sha256: Sequence[str],
    sequences: Sequence[str],
    apart_m: float = APART_M,
) -> LeftOut:
    """Which reference photos are no evidence of some photos.

    Args:
        references: n reference photos.
        s: (P, D) vectors of the photos.
        lonlat_deg: (P, 2) where they were taken.
        content_sha256: of each one's file; empty where there is none.
        sequences: the name of each one's walk or drive; empty for none.
        apart_m: how near to it a reference photo is left out; 0 for those of its own alone.

    Raises:
        UsageError: the distance is none.
    """
    if not (np.isfinite(apart_m) and apart_m >= 0):
        raise UsageError(f"`ground_apart_m` {apart_m:g}: it must be 0 or more metres")
    counts = dict.fromkeys((COPIES, OF_SEQUENCE, NEAR), 0)
    if not len(references) or not len(s):
        return LeftOut((_NONE,) * len(s), apart_m, counts)
    near = _near(references, lonlat_deg, apart_m)
    copies = _copies(references, s, content_sha256)
    of_name, of_place = _Lookup(references.sequence), _Lookup(references.place_ids)
    rows = []
    for number, name in enumerate(sequences):
        own = of_name.rows(name) if name else _NONE
        # Where the photo itself is among them, so is its walk, whatever either list calls it.
        places = np.unique(references.place_ids[np.concatenate([copies[number], own])])
        walk = np.concatenate([own, *map(of_place.rows, places)])
        reasons = {COPIES: copies[number], OF_SEQUENCE: walk, NEAR: near[number]}
        taken = _NONE
        for reason, of_reason in reasons.items():
            further = np.setdiff1d(of_reason, taken)
            counts[reason] += len(further)
            taken = np.union1d(taken, further)
        rows.append(taken)
    return LeftOut(tuple(rows), apart_m, counts)


def own_references(
    references: ReferencePhotos, photos: PhotoVectors, apart_m: float = APART_M
) -> LeftOut:
    """The same of listed photos, each with a vector and a place.

    Raises:
        UsageError: the distance is none.
    """
    listed = photos.photos
    hashes = [file_digest(photo.path) for photo in listed]
    names = [photo.sequence for photo in listed]
    return leave_out(references, photos.s, photos.lonlat_deg, hashes, names, apart_m)


def _near(references: ReferencePhotos, lonlat_deg: Floats, apart_m: float) -> list[Ints]:
    """The reference photos within a distance of each photo; none for 0."""
    if not apart_m:
        return [_NONE] * len(lonlat_deg)
    reach = chord_of(apart_m) * (1 + 1e-9)
    around = references.tree.query_ball_point(unit_vectors(lonlat_deg), reach)
    return [np.array(rows, dtype=np.int64) for rows in around]


def _copies(references: ReferencePhotos, s: Vectors, content_sha256: Sequence[str]) -> list[Ints]:
    """The reference photos that are the photo itself: the same bytes, or the same vector."""
    by_hash = _Lookup(references.content_sha256)
    _, alike = references.nearest(s, min(_COPIES_AT_MOST, len(references)))
    copies = []
    for number, text in enumerate(content_sha256):
        # Their cosines are those of rounded vectors, which are a little longer or shorter than 1.
        vectors = references.vectors(alike[number])
        cosines = vectors @ s[number] / np.linalg.norm(vectors, axis=1)
        same_bytes = by_hash.rows(text.encode()) if text else _NONE
        copies.append(np.union1d(same_bytes, alike[number][cosines >= SAME]))
    return copies


class _Lookup:
    """Rows by what they hold."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        """Take (n,) values."""
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def rows(self, value: object) -> Ints:
        """Those that hold a value."""
        at = np.asarray([value], dtype=self._sorted.dtype)[0]
        if at != value:  # longer than any of them, and cut
            return _NONE
        first, end = (np.searchsorted(self._sorted, at, side=side) for side in _SIDES)
        return self._order[first:end]
