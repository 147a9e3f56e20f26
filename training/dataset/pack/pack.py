r"""Packing of photos and imagery into a data set.

::

    options = PackOptions(Path("photos.csv"), (Path("sentinel2/"),), Path("dataset"))
    print("\n".join(pack(options).lines))

The same photos, imagery and options give the same shards, byte for byte, whatever the folders are
called. A frame's pixels are filled in from around where its imagery has none, as for an index.
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.errors import DatasetError, PhotoError
from gair.geo import haversine_m
from gair.progress import Progress
from indexer.imagery.source import FramePixels
from indexer.photos.listing import BROKEN
from training.dataset.pack.checks import MOSTLY_EMPTY, NO_DATA, REASONS
from training.dataset.pack.dated_imagery import SYNTHETIC_ATTRIBUTION, DatedImagery, FrameSource
from training.dataset.pack.footprints import Square
from training.dataset.pack.options import PackOptions
from training.dataset.pack.photo_bytes import PhotoBytes, photo_bytes
from training.dataset.pack.plan import PackPlan, plan_pack
from training.dataset.pack.split import SPLITS
from training.dataset.shards import ShardWriter
from training.dataset.shards.schema import FrameRecord, PhotoRecord

__all__ = ["PackOptions", "PackReport", "pack"]

EXAMPLES = 3
"""Names that are given for each reason."""
UNKNOWN = "unknown"
"""Licence and source of photos for which nothing states them."""

_PHOTOS_AT_ONCE = 256  # in memory
_GPS_APART_M = 1000.0  # tags that say another place than the manifest are worth a warning


@dataclass(frozen=True)
class SplitCounts:
    """How much a split holds."""

    photos: int = 0
    footprints: int = 0
    frames: int = 0
    places: int = 0


@dataclass(frozen=True)
class PackReport:
    """What became of the photos that were to be packed; every one is counted once."""

    photos_in: int
    splits: Mapping[str, SplitCounts]
    """By name, those with photos."""
    left_out: Mapping[str, int]
    """Photos by the reason they are left out for."""
    examples: Mapping[str, tuple[str, ...]]
    """A few names for each reason."""
    days: tuple[str, ...]
    """ISO dates of the frames in use; "" stands for unknown."""
    warnings: tuple[str, ...]
    """Sentences a user should read."""
    size_bytes: int = 0

    def __post_init__(self) -> None:
        counted = self.photos_packed + sum(self.left_out.values())
        assert counted == self.photos_in, f"{counted} of {self.photos_in} photos are accounted for"

    @property
    def photos_packed(self) -> int:
        """Photos in the data set."""
        return sum(split.photos for split in self.splits.values())

    @property
    def lines(self) -> list[str]:
        """The report for a terminal."""
        lines = [
            f"photos: {self.photos_in:,} found, {self.photos_packed:,} packed, "
            f"{self.photos_in - self.photos_packed:,} left out"
        ]
        for name, split in self.splits.items():
            lines.append(
                f"  {name:5}  {split.photos:,} photos, {split.footprints:,} footprints, "
                f"{split.frames:,} frames, {split.places:,} places"
            )
        if self.left_out:
            lines += ["left out:", *self._left_out_lines()]
        dated = [day for day in self.days if day]
        dates = "day unknown" if not dated else dated[0]
        if len(dated) > 1:
            dates = f"{len(dated)} days, {dated[0]} to {dated[-1]}"
        lines += [f"imagery: {dates}", f"size: {self.size_bytes / 1e6:,.1f} MB"]
        return [*lines, *(f"warning: {warning}" for warning in self.warnings)]

    def reasons_in_words(self) -> str:
        """For example ``52 outside the imagery, 5 no coordinates``, the most frequent first."""
        ordered = sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{count:,} {reason}" for reason, count in ordered)

    def _left_out_lines(self) -> list[str]:
        lines = []
        for reason in sorted(self.left_out, key=REASONS.index):
            count, names = self.left_out[reason], self.examples[reason]
            more = ", ..." if count > len(names) else ""
            lines.append(f"  {count:6,}  {reason}: {', '.join(names)}{more}")
        return lines


def pack(options: PackOptions) -> PackReport:
    """Make a data set.

    Raises:
        DatasetError: Photos cannot be read, or none of them can be used.
        ImageryError: The imagery cannot be used.
        UsageError: An option cannot work, or the folder holds a data set.
        StorageError: The disk refused.
    """
    _writer(options)  # refuses before anything is opened
    with DatedImagery(options.imagery, options.reading) as imagery:
        return pack_with(options, imagery)


def pack_with(
    options: PackOptions,
    imagery: FrameSource,
    *,
    left_out: Mapping[str, int] | None = None,
    facts: Mapping[str, object] | None = None,
) -> PackReport:
    """Make a data set with frames of a source of one's own.

    Args:
        options: their imagery is not looked at.
        imagery: where frames come from; open, and left open.
        left_out: what was left out before, by reason, to be counted in ``dataset.json``.
        facts: what else to keep there.

    Raises:
        DatasetError: as :func:`pack`.
        StorageError: as :func:`pack`.
        UsageError: as :func:`pack`.
    """
    writer = _writer(options)
    packing = _Packing(options, imagery, plan_pack(options, imagery.coverage), writer)
    with writer:
        packing.run()
        report = packing.report()
        if not report.photos_packed:
            raise DatasetError(
                f"none of {report.photos_in:,} photos can be used: {report.reasons_in_words()}"
            )
        writer.left_out.update(left_out or {})
        writer.left_out.update(report.left_out)
        writer.facts.update(_facts(options, imagery))
        writer.facts.update(facts or {})
    size_bytes = sum(file.stat().st_size for file in options.out.rglob("*") if file.is_file())
    return dataclasses.replace(report, size_bytes=size_bytes)


def _writer(options: PackOptions) -> ShardWriter:
    return ShardWriter(
        options.out,
        footprint_mercator_m=options.footprint_m,
        synthetic=options.synthetic,
        overwrite=options.overwrite,
    )


class _Packing:
    """Writes what a plan says, and counts."""

    def __init__(
        self, options: PackOptions, imagery: FrameSource, plan: PackPlan, writer: ShardWriter
    ) -> None:
        self._options = options
        self._imagery = imagery
        self._plan = plan
        self._writer = writer
        self._photos: dict[str, int] = defaultdict(int)
        self._frames: dict[str, int] = defaultdict(int)
        self._squares: dict[str, list[Square]] = defaultdict(list)
        self._days: set[str] = set()
        self._gps_elsewhere: list[str] = []
        self._complaints: dict[int, str] = {}

    def run(self) -> None:
        """Write all footprints."""
        total = sum(len(square.photos) for _, square in self._plan.footprints)
        with (
            Progress("packing", total, "photo", quiet=self._options.quiet) as progress,
            ThreadPoolExecutor(_threads(), thread_name_prefix="photos") as self._pool,
        ):
            for split, square in self._plan.footprints:
                self._write(split, square)
                progress.advance(len(square.photos))

    def report(self) -> PackReport:
        """What was written and what was not."""
        names: dict[str, list[str]] = defaultdict(list)
        for number, reason in enumerate(self._plan.reasons):
            if reason:
                name = self._plan.photos[number].name
                names[reason].append(self._complaints.get(number, name))
        return PackReport(
            photos_in=len(self._plan.photos),
            splits={
                split: SplitCounts(
                    photos=self._photos[split],
                    footprints=len(self._squares[split]),
                    frames=self._frames[split],
                    places=len({square.place for square in self._squares[split]}),
                )
                for split in SPLITS
                if self._photos[split]
            },
            left_out={reason: len(photos) for reason, photos in names.items()},
            examples={reason: tuple(photos[:EXAMPLES]) for reason, photos in names.items()},
            days=tuple(sorted(self._days)),
            warnings=(*self._imagery.warnings, *self._plan.warnings, *self._photo_warnings()),
        )

    def _photo_warnings(self) -> list[str]:
        if not self._gps_elsewhere:
            return []
        names = ", ".join(self._gps_elsewhere[:EXAMPLES])
        return [
            f"{len(self._gps_elsewhere):,} photos carry GPS tags more than 1 km from where the "
            f"manifest puts them; the manifest was believed: {names}"
        ]

    def _write(self, split: str, square: Square) -> None:
        """Write a footprint's frames and photos, where there are some of both."""
        frames = self._usable_frames(square)
        if not frames:
            return
        numbers = np.asarray(square.photos)
        xy = square.footprint.frame_xy(self._plan.lonlat_deg(square.photos))
        seen = _seen(frames.values(), xy)
        self._plan.leave_out(numbers[~seen].tolist(), NO_DATA)
        written = 0
        for start in range(0, int(seen.sum()), _PHOTOS_AT_ONCE):
            batch = numbers[seen][start : start + _PHOTOS_AT_ONCE].tolist()
            contents = self._pool.map(self._read_photo, batch)
            records = [
                self._record(number, content, square)
                for number, content in zip(batch, contents, strict=True)
                if content is not None
            ]
            if records and not written:
                for day, pixels in frames.items():
                    self._writer.add_frame(split, self._frame(day, pixels, square))
            if records:
                self._writer.add_photos(split, records)
            written += len(records)
        if written:
            self._photos[split] += written
            self._frames[split] += len(frames)
            self._squares[split].append(square)
            self._days.update(frames)

    def _usable_frames(self, square: Square) -> dict[str, FramePixels]:
        """The frames of a footprint by day; where there is none, its photos are left out."""
        footprint = square.footprint
        frames = {d: self._imagery.read(d, footprint) for d in self._imagery.days_over(footprint)}
        least = self._options.min_valid
        usable = {day: pixels for day, pixels in frames.items() if pixels.valid_fraction >= least}
        if not usable:
            partly = any(pixels.valid.any() for pixels in frames.values())
            self._plan.leave_out(square.photos, MOSTLY_EMPTY if partly else NO_DATA)
        return usable

    def _read_photo(self, number: int) -> PhotoBytes | None:
        """None for a photo that cannot be used; threads call this."""
        photo = self._plan.photos[number]
        try:
            return photo_bytes(photo.path, photo.name, self._options.max_px)
        except PhotoError as error:
            self._plan.leave_out([number], BROKEN)
            self._complaints[number] = str(error)
            return None

    def _record(self, number: int, content: PhotoBytes, square: Square) -> PhotoRecord:
        photo, options = self._plan.photos[number], self._options
        assert photo.lonlat_deg is not None
        gps = content.gps_lonlat_deg
        if gps is not None and haversine_m(gps, photo.lonlat_deg) > _GPS_APART_M:
            self._gps_elsewhere.append(photo.name)
        return PhotoRecord(
            photo_id=photo.photo_id,
            jpeg=content.jpeg,
            lonlat_deg=photo.lonlat_deg,
            footprint_id=square.footprint_id,
            place=square.place,
            heading_deg=photo.heading_deg,
            captured_at=photo.captured_at,
            licence=photo.licence or options.licence or UNKNOWN,
            source=photo.source or options.source or UNKNOWN,
            attribution=photo.attribution,
        )

    def _frame(self, day: str, pixels: FramePixels, square: Square) -> FrameRecord:
        synthetic = self._options.synthetic
        return FrameRecord(
            footprint_id=square.footprint_id,
            place=square.place,
            acquired=day,
            crs=square.footprint.crs,
            bounds_wsen=square.bounds_wsen,
            dn=pixels.dn,
            valid_fraction=pixels.valid_fraction,
            attribution=SYNTHETIC_ATTRIBUTION if synthetic else self._imagery.attribution(day),
        )


def _threads() -> int:
    """As many as there are cores: Pillow lets other threads run while it works on pixels."""
    return min(16, os.cpu_count() or 1)


def _seen(frames: Iterable[FramePixels], xy: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(N,) whether the pixel under each frame coordinate is imagery in any of the frames."""
    seen = np.zeros(len(xy), dtype=np.bool_)
    for pixels in frames:
        shape = np.array(pixels.valid.shape[::-1])  # (W, H), in the order of x and y
        column, row = np.clip(((xy + 1) / 2 * shape).astype(np.int64), 0, shape - 1).T
        seen |= pixels.valid[row, column]
    return seen


def _facts(options: PackOptions, imagery: FrameSource) -> dict[str, Any]:
    """How the data set was made, without paths: they tell nothing to others."""
    return {
        "made_by": "python -m training.dataset pack",
        "footprints": options.footprints,
        "min_valid": options.min_valid,
        "max_px": options.max_px,
        "split": dataclasses.asdict(options.split),
        "reading": dataclasses.asdict(options.reading),
        "imagery": imagery.describe(),
    }
