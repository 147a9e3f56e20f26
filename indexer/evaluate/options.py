"""Options of an evaluation: one place for Python callers and the command line.

Nothing heavy is imported, so that ``--help`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gair.errors import UsageError
from gair.fields import option
from indexer.ground.options import APART_M

if TYPE_CHECKING:
    from indexer.search.query import Query

WEIGHTS = (
    "weights of your own",
    "instead of those of the calibration or the model's card; places then have no probabilities",
)
"""The flags of both weights."""


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of an evaluation."""

    slice_by: tuple[str, ...] = option((), metavar="COLUMN")
    """Numbers for each value of a column of the manifest; may be given again."""
    thorough: bool = False
    """Measure also what takes minutes: whether photos match their own place better than those
    around it, and what noise on the cells' coordinates costs."""
    stress: bool = False
    """Ask about every photo again as another season, light or camera shows it: what answers then
    say, what is so, and whether promises are withheld. It encodes each photo ten times."""
    allow_calibration_photos: bool = False
    """Do not refuse photos that the index was calibrated on; the report says how many."""
    seed: int = 0
    """Of the intervals."""
    quiet: bool = False
    """No progress."""
    rs_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the imagery (default, if the other is given: 1)."""
    location_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the location (default, if the other is given: 0)."""
    ground_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the reference photos (default, if one of the others is given: 0)."""
    ground: bool = option(True, flags="--no-ground", help="leave reference photos out")
    ground_apart_m: float = option(APART_M, metavar="M")
    """Reference photos as near as this to a photo are no evidence of it, like its copies and its
    sequence, which never are; 0 where they are of another campaign, metres."""
    resamples: int = option(1000, flags=None)
    """Of the bootstrap."""
    command: str = option("", flags=None)
    """What was typed, for the report."""
    manifest: str = option("", flags=None)
    """Where the photos come from, for the report."""
    threads: int | None = option(None, flags=None)
    """Or forked children, which judge at once; as many as there are processors if None."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"`seed` {self.seed}: it must be 0 or more")

    @property
    def query(self) -> Query:
        """What a search is asked."""
        from indexer.search.query import Query

        return Query(
            rs_weight=self.rs_weight,
            location_weight=self.location_weight,
            ground_weight=self.ground_weight if self.ground else 0.0,
        )
