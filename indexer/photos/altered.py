"""Altered photos of a list: what their pixels say once they are in fog, in snow or cut.

They teach a calibration how such a photo looks (:mod:`gair.photos.taught`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from gair.arrays import Floats, Ints
from gair.errors import PhotoError
from gair.photos.conditions import COMPARED, SIDE_PX, measure
from gair.photos.photo import open_photo
from gair.photos.texture import TEXTURE
from gair.processes.crew import shared_full, work_off, workers_here
from gair.progress import Progress
from indexer.photos.alterations import TAUGHT
from indexer.photos.vectors import PhotoVectors

MOST_PHOTOS = 500
"""Photos that are altered, of different places as far as there are so many."""
_AT_ONCE = 8
_CUTS = ("an enlargement", "a part of a picture")
"""These are cut out of the whole picture; of the others only the pixels that are measured count."""


@dataclass(frozen=True, eq=False)
class AlteredPhotos:
    """Some photos of a list, altered."""

    rows: Ints
    """(Q,) of the list."""
    values: dict[str, Floats] = field(default_factory=dict)
    """Look to (Q, C), :attr:`gair.photos.conditions.Conditions.values`."""

    def among(self, rows: Ints) -> AlteredPhotos:
        """Those of some rows of the list, ascending, by their number among these."""
        kept = np.flatnonzero(np.isin(self.rows, rows))
        values = {name: of_look[kept] for name, of_look in self.values.items()}
        return AlteredPhotos(np.searchsorted(rows, self.rows[kept]), values)


def altered_photos(
    photos: PhotoVectors, *, most: int = MOST_PHOTOS, seed: int = 0, quiet: bool = False
) -> AlteredPhotos:
    """Alter some photos of a list, and measure them.

    Args:
        photos: those with a vector and a place are altered; one that cannot be opened is left out.
        most: how many, at most.
        seed: chooses.
        quiet: no progress.
    """
    rows = _chosen(photos, most, seed)
    opened = shared_full(len(rows), False, bool)
    told = {name: shared_full((len(rows), COMPARED + TEXTURE), np.nan) for name in TAUGHT}

    def alter_some(block: range) -> int:
        for number in block:
            try:
                rgb = open_photo(photos.photos[rows[number]].path).rgb
            except PhotoError:  # it was there when its vector was made
                continue
            opened[number] = True
            seen = rgb.resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST)
            for name, alter in TAUGHT.items():
                told[name][number] = measure(alter(rgb if name in _CUTS else seen)).values
        return len(block)

    blocks = [range(len(rows))[at : at + _AT_ONCE] for at in range(0, len(rows), _AT_ONCE)]
    with Progress("altered", len(rows), "photo", quiet=quiet) as progress:
        work_off(alter_some, blocks, workers_here(), forked=True, done=progress.advance)
    values = {name: np.array(each[opened]) for name, each in told.items() if opened.any()}
    return AlteredPhotos(rows[opened], values)


def _chosen(photos: PhotoVectors, most: int, seed: int) -> Ints:
    """Rows of usable photos, one of each place before any second one."""
    rows = np.flatnonzero(photos.usable & photos.shows_something)
    rows = np.random.default_rng(seed).permutation(rows)
    place: Sequence[int] = photos.place_of_photo[rows].tolist()
    seen: dict[int, int] = {}
    nth = []
    for at in place:
        nth.append(seen.get(at, 0))
        seen[at] = nth[-1] + 1
    return np.sort(rows[np.argsort(nth, kind="stable")[:most]])
