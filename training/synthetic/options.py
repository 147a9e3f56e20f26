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

    cities: int = 26
    """Training cities, beside the seen one."""
    photos: int = 1_900
    """Photos of each training city; the seen city has in proportion to its area."""
    side_km: float = 6.08
    """Side of each training city."""
    processes: int = 2
    """Cities drawn at a time."""
    validation_photos: int = option(1_000, flags=None)
    """Photos of the validation city."""

    def __post_init__(self) -> None:
        check_range(self, 1, "cities", "photos", "processes", "validation_photos")
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
    """How many photos."""
    calibration_photos: int = 0
    """As many more, in calibration.csv, for python -m indexer calibrate."""
    dates: int = 2
    """Sentinel-2 dates."""
    from_held_out_blocks: bool = False
    """Take photos only in the fifth of the city's blocks that a training city of this seed keeps
    out of its training photos: a fair test of a model that was trained on it."""

    def __post_init__(self) -> None:
        check_range(self, 1.5, "side_km", most=40)
        check_range(self, 1, "photos", "dates")
        check_range(self, 0, "calibration_photos", "seed")
