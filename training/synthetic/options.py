"""Options of the synthetic world and of a single city; reading them needs nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gair.fields import check_range, option

Mix = Literal["day", "any", "winter", "fog", "snow", "rain", "dusk", "night", "tele", "high"]
"""What photos are taken under: ``day`` is any season's dry daylight, ``any`` everything by its
share, the others one condition alone."""


@dataclass(frozen=True)
class WorldOptions:
    """How much of the world to photograph for a data set."""

    cities: int = 36
    """Training cities, beside the seen one."""
    photos: int = 1_900
    """Photos of each training city in an epoch; the seen city has in proportion to its area."""
    side_km: float = 6.08
    """Side of each training city."""
    dates: int = 3
    """Sentinel-2 dates, in several seasons."""
    drawn_ahead: bool = False
    """Draw the training photos now, as JPEGs that every epoch shows again. Without it training
    draws them: other places under other conditions in each epoch, no photo twice."""
    processes: int = 2
    """Cities drawn at a time."""
    validation_photos: int = option(1_000, flags=None)
    """Photos of the validation city."""

    def __post_init__(self) -> None:
        check_range(self, 1, "cities", "photos", "dates", "processes", "validation_photos")
        check_range(self, 1.5, "side_km", most=40)

    @property
    def side_m(self) -> float:
        """Side of a training city, metres."""
        return self.side_km * 1000


@dataclass(frozen=True)
class CityOptions:
    """Which city to write as files, and how much of it."""

    seed: int = 3
    """Which city."""
    side_km: float = 11.5
    """Its side."""
    photos: int = 200
    """How many photos, each of another place; --sequences takes others instead."""
    condition: Mix = "day"
    """Under which conditions photos are taken: day is any season's dry daylight, any is everything
    by its share, the others are one condition alone. The places stay the same."""
    sequences: int = 0
    """Drives along streets, instead of scattered photos: each of one day and one camera."""
    frames: int = 8
    """Photos of each drive."""
    step_m: float = 6.0
    """Metres between two photos of a drive."""
    calibration_photos: int = 0
    """As many more, in calibration.csv, for python -m indexer calibrate."""
    reference_photos: int = 0
    """As many more, in references.csv, for python -m indexer add-photos."""
    dates: int = 2
    """Sentinel-2 dates, in several seasons."""
    from_held_out_blocks: bool = option(False, one_of="areas")
    """Take photos only in the fifth of the city's blocks that a training city of this seed keeps
    out of its training photos, to test a model that was trained on it. No photo near was trained
    on, but of the ground 44 percent lies inside a training frame."""
    between_training_places: bool = option(False, one_of="areas")
    """Take photos only in gaps: squares of 150 m that training photos keep out of by 25 m and stand
    around. A test of what a model that was trained on the city knows of places it did not see in
    streets that it did."""

    def __post_init__(self) -> None:
        check_range(self, 1.5, "side_km", most=40)
        check_range(self, 1, "photos", "dates", "frames")
        check_range(self, 0, "calibration_photos", "reference_photos", "seed", "sequences")
        check_range(self, 1, "step_m", most=100)
