"""Contents of a data set in the making: what is in so far, and what must not go in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gair.errors import DatasetError, UsageError
from gair.geo import Footprint
from training.dataset.shards.schema import SPLITS, FrameRecord, PhotoRecord

_EDGE = 1 + 1e-6
"""Largest frame coordinate of a photo, with room for rounding."""


@dataclass
class _Entry:
    """A footprint that was named."""

    split: str
    place: str
    shape: Footprint | None = None
    dates: list[str] = field(default_factory=list)
    photos: int = 0
    waiting: list[tuple[str, tuple[float, float]]] = field(default_factory=list)
    """Ids and places of photos that came before the first frame."""

    def check_waiting(self, footprint_id: str) -> None:
        """See that the photos are inside, once it is known where that is."""
        if self.shape is None or not self.waiting:
            return
        xy = self.shape.frame_xy([lonlat for _, lonlat in self.waiting])
        outside = (~(abs(xy) <= _EDGE)).any(axis=1)
        if outside.any():
            photo_id, lonlat = self.waiting[int(outside.argmax())]
            raise DatasetError(
                f"photo {photo_id!r} at longitude {lonlat[0]:.6f}, latitude {lonlat[1]:.6f} lies "
                f"outside its footprint {footprint_id!r}: give it another"
            )
        self.waiting.clear()


class Contents:
    """Keeps places in one split, footprints in one place, photos unique and inside."""

    def __init__(self) -> None:
        self._footprints: dict[str, _Entry] = {}
        self._split_of_place: dict[str, str] = {}
        self._photo_ids: set[str] = set()
        self._last_with_photos: str | None = None
        self._licences: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._attributions: set[str] = set()

    def add_frame(self, split: str, frame: FrameRecord) -> None:
        """Count a frame in, or refuse it."""
        entry = self._entry(split, frame.place, frame.footprint_id)
        shape = Footprint(frame.crs, frame.bounds_wsen)
        if entry.shape is not None and entry.shape != shape:
            raise DatasetError(
                f"footprint {frame.footprint_id!r} has frames with different bounds: "
                "give each square an id of its own"
            )
        if frame.acquired in entry.dates:
            raise DatasetError(
                f"footprint {frame.footprint_id!r} has two frames of {frame.acquired!r}: keep one"
            )
        entry.shape = shape
        entry.dates.append(frame.acquired)
        entry.check_waiting(frame.footprint_id)
        if frame.attribution:
            self._attributions.add(frame.attribution)

    def add_photos(self, split: str, photos: Sequence[PhotoRecord]) -> None:
        """Count photos of one footprint in, or refuse them."""
        for photo in photos:
            first = photos[0]
            if photo.footprint_id != first.footprint_id:
                raise DatasetError(
                    f"photos {first.photo_id!r} and {photo.photo_id!r} are of footprints "
                    f"{first.footprint_id!r} and {photo.footprint_id!r}: add one footprint at once"
                )
            entry = self._entry(split, photo.place, photo.footprint_id)
            if entry.photos and self._last_with_photos != photo.footprint_id:
                raise DatasetError(
                    f"footprint {photo.footprint_id!r} has photos already, and others came "
                    "between: add the photos of a footprint in one go"
                )
            if photo.photo_id in self._photo_ids:
                raise DatasetError(f"photo {photo.photo_id!r} comes twice: keep one")
            self._last_with_photos = photo.footprint_id
            self._photo_ids.add(photo.photo_id)
            entry.photos += 1
            entry.waiting.append((photo.photo_id, photo.lonlat_deg))
            self._licences[photo.licence] += 1
            self._sources[photo.source] += 1
        if photos:
            entry.check_waiting(photos[0].footprint_id)

    def _entry(self, split: str, place: str, footprint_id: str) -> _Entry:
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}; there are: {', '.join(SPLITS)}")
        if self._split_of_place.setdefault(place, split) != split:
            raise DatasetError(
                f"place {place!r} is in the splits {self._split_of_place[place]!r} and {split!r}: "
                "a place belongs to one"
            )
        entry = self._footprints.setdefault(footprint_id, _Entry(split, place))
        if entry.place != place:
            raise DatasetError(
                f"footprint {footprint_id!r} is in the places {entry.place!r} and {place!r}: "
                "a footprint belongs to one"
            )
        return entry

    def summary(self) -> dict[str, Any]:
        """The part of ``dataset.json`` that follows from the contents.

        Raises:
            DatasetError: there are no photos, or a footprint has no frame.
        """
        if not self._photo_ids:
            raise DatasetError("there are no photos to make a data set of: see what was left out")
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for footprint_id, entry in self._footprints.items():
            if entry.shape is None:
                raise DatasetError(
                    f"footprint {footprint_id!r} has {entry.photos} photos and no frame: "
                    "add one, or leave the photos out"
                )
            here = counts[entry.split]
            here.update(photos=entry.photos, footprints=1, frames=len(entry.dates))
        for split in self._split_of_place.values():
            counts[split]["places"] += 1
        return {
            "splits": {split: dict(counts[split]) for split in SPLITS if split in counts},
            "licences": dict(sorted(self._licences.items())),
            "sources": dict(sorted(self._sources.items())),
            "attributions": sorted(self._attributions),
        }
