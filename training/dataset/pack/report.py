"""What became of the photos that were to be packed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.dataset.pack.checks import REASONS

EXAMPLES = 3
"""Names that are given for each reason."""


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
        known = [day for day in self.days if day]
        dates = "day unknown" if not known else known[0]
        if len(known) > 1:
            dates = f"{len(known)} days, {known[0]} to {known[-1]}"
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
