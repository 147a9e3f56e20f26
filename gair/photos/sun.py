"""Sun of a photo: where it stood over a place when the photo was taken, to check shadows by.

The time must come with its offset from UTC: an hour more or less turns the sun by 15 degrees, and
what a camera's clock says is local time of somewhere. Position by astral, within 0.1 degrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from gair.errors import UsageError

EXAMPLE = "2024-06-01T14:30+01:00"
NO_TIME = "the photo does not say when it was taken"
NO_OFFSET = "the photo says its time of day, but not its offset from UTC"
Reason = Literal["no_time", "no_offset"]
REASONS: dict[Reason, str] = {"no_time": NO_TIME, "no_offset": NO_OFFSET}
"""Why it is not known where the sun stood: code for programs, words for people."""
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


@dataclass(frozen=True)
class Suns:
    """Where the sun stood over some places when a photo was taken."""

    when: datetime | None
    """In UTC; None where it is not known."""
    reason: Reason | None
    """Why it is not known; None where it is."""
    places: tuple[Sun, ...]
    """In the order of the places; empty where the time is not known."""

    @property
    def said(self) -> str:
        """The time, or why it is not known."""
        return REASONS[self.reason] if self.reason else f"{self.when:%Y-%m-%d %H:%M} UTC"

    def to_dict(self) -> dict[str, Any]:
        """As answers have it: ``at_utc``, ``reason``, ``places``."""
        return {
            "at_utc": None if self.when is None else f"{self.when:%Y-%m-%dT%H:%M:%SZ}",
            "reason": self.reason,
            "places": [vars(sun) for sun in self.places],
        }


def suns_over(lonlats_deg: Sequence[tuple[float, float]], taken_at: str | None) -> Suns:
    """Where the sun stood over some places.

    Args:
        lonlats_deg: the places.
        taken_at: as :func:`first_moment` gives it.
    """
    when, why = moment_of(taken_at)
    if when is None:
        reason: Reason = "no_offset" if why == NO_OFFSET else "no_time"
        return Suns(None, reason, ())
    return Suns(when, None, tuple(sun_at(place, when) for place in lonlats_deg))


def first_moment(captured_at: Iterable[str | None]) -> str | None:
    """Of the times of photos of one place: the first with an offset, else the last there is.

    Args:
        captured_at: as :attr:`gair.photos.exif.Tags.captured_at` gives them.
    """
    told = [text for text in captured_at if text]
    return next((text for text in told if moment_of(text)[0]), told[-1] if told else None)


def sun_at(lonlat_deg: tuple[float, float], when: datetime) -> Sun:
    """Where the sun stands, to a tenth of a degree.

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
    # No finer than it is right: text, JSON and page round the same numbers.
    azimuth_deg = round(azimuth(observer, moment), 1) % 360
    return Sun(azimuth_deg, round(elevation(observer, moment), 1))


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
