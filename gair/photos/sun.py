"""Sun of a photo: where it stood over a place when the photo was taken, to check shadows by.

The time must come with its offset from UTC: an hour more or less turns the sun by 15 degrees, and
what a camera's clock says is local time of somewhere. Position by astral, within 0.1 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gair.errors import UsageError

EXAMPLE = "2024-06-01T14:30+01:00"
NO_TIME = "the photo does not say when it was taken"
NO_OFFSET = "the photo says its time of day, but not its offset from UTC"
_POINTS = (
    "north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west",
)  # fmt: skip


@dataclass(frozen=True)
class Sun:
    """Where the sun stands over a place."""

    azimuth_deg: float
    """Clockwise from north, 0 to 360."""
    elevation_deg: float
    """Above the horizon, with refraction; below it where negative."""

    @property
    def said(self) -> str:
        """In words: the sun, and where shadows point."""
        if self.elevation_deg < 0:
            return f"sun {-self.elevation_deg:.0f}° below the horizon: no shadows"
        shadow_deg = (self.azimuth_deg + 180) % 360
        return (
            f"sun in the {_point(self.azimuth_deg)} ({_whole(self.azimuth_deg)}°), "
            f"{self.elevation_deg:.0f}° high; shadows point {_point(shadow_deg)} "
            f"({_whole(shadow_deg)}°)"
        )


def sun_at(lonlat_deg: tuple[float, float], when: datetime) -> Sun:
    """Where the sun stands.

    Args:
        lonlat_deg: the place.
        when: with its offset from UTC.

    Raises:
        UsageError: it has none.
    """
    from astral import Observer
    from astral.sun import azimuth, elevation

    if when.tzinfo is None:
        raise _no_offset(when.isoformat())
    observer = Observer(latitude=lonlat_deg[1], longitude=lonlat_deg[0])
    moment = when.astimezone(UTC)
    return Sun(azimuth(observer, moment), elevation(observer, moment))


def parse_moment(text: str) -> datetime:
    """A time that somebody typed, in UTC.

    Args:
        text: ISO 8601 with an offset, such as ``2024-06-01T14:30+01:00`` or ``...13:30Z``.

    Raises:
        UsageError: it is no time, or has no offset.
    """
    try:
        when = datetime.fromisoformat(text.strip())
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text[:60]!r} is no time: write date, time and offset from UTC, such as {EXAMPLE}"
        ) from None
    raise _no_offset(text[:60])


def moment_of(captured_at: str | None) -> tuple[datetime | None, str]:
    """When a photo was taken in UTC; without that, why it is not known.

    Args:
        captured_at: as :attr:`gair.photos.exif.Tags.captured_at` gives it.
    """
    if not captured_at:
        return None, NO_TIME
    try:
        return parse_moment(captured_at), ""
    except UsageError:
        return None, NO_OFFSET if "T" in captured_at else NO_TIME


def _no_offset(text: str) -> UsageError:
    return UsageError(
        f"{text!r} has no offset from UTC, so nobody knows when it was: write {EXAMPLE}, or Z for "
        "UTC"
    )


def _whole(azimuth_deg: float) -> int:
    """In whole degrees; north is 0."""
    return round(azimuth_deg) % 360


def _point(azimuth_deg: float) -> str:
    return _POINTS[round(azimuth_deg / 45) % 8]
