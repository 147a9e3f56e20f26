"""What the page may ask, checked: whoever calls the server sends what they like.

Programs ask by :mod:`app.http.questions`; the page asks more, and in smaller pieces.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from app.engine.limits import MOST_PHOTOS, MOST_PLACES
from app.page.coordinates import parse_coordinates
from gair.errors import UsageError

if TYPE_CHECKING:
    from app.engine.uploads import Upload, Uploads

Layer = Literal["fused", "imagery", "location"]
"""What a heat map shows."""
Kind = Literal["geojson", "csv", "kml", "report"]
"""What can be downloaded."""

MOST_CORNERS = 500
"""Corners of an area that was drawn."""
MOST_RADIUS_M = 1_000_000.0
"""Largest radius of a claim."""
_TEXT = 4096


@dataclass(frozen=True)
class Asked:
    """One question of the page; each property says what is wrong with its part of it."""

    values: dict[str, Any]
    uploads: Uploads
    """Where the paths of photos lead."""

    @classmethod
    def of(cls, values: object, uploads: Uploads) -> Asked:
        """Take whatever was sent.

        Raises:
            UsageError: it is no JSON object.
        """
        if not isinstance(values, dict):
            raise UsageError(f"a question is a JSON object, not {_kind_of(values)}")
        return cls(values, uploads)

    @property
    def what(self) -> str:
        """Which question it is."""
        return self.text("do")

    @property
    def index(self) -> str:
        """Name of the index."""
        return self.text("index")

    @functools.cached_property
    def photos(self) -> list[Upload]:
        """The photos of the one place, one or more.

        Raises:
            PhotoError: one is gone, or was never uploaded.
        """
        return [self.uploads.take(path) for path in self.paths]

    @property
    def paths(self) -> list[str]:
        """What the photos are known by: only :class:`app.engine.uploads.Uploads` says where it leads."""
        found = self.values.get("photos")
        if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
            raise UsageError("photos must be a list of uploaded photos")
        if not 1 <= len(found) <= MOST_PHOTOS:
            raise UsageError(f"{len(found)} photos: give 1 to {MOST_PHOTOS} of one place")
        return [path[:_TEXT] for path in found]

    @property
    def places(self) -> int:
        """How many places to rank."""
        return int(self.number("k", 1, MOST_PLACES))

    @property
    def share(self) -> float | None:
        """Weight of the imagery, the location has the rest; None: as calibrated, or half."""
        return None if self.values.get("share") is None else self.number("share", 0, 1)

    @property
    def area(self) -> dict[str, Any] | None:
        """The area that the search is limited to, a GeoJSON Polygon; None for the whole index."""
        ring = self.values.get("area")
        if ring is None:
            return None
        if not isinstance(ring, list) or not 3 <= len(ring) <= MOST_CORNERS:
            raise UsageError(f"an area has 3 to {MOST_CORNERS} corners")
        corners = [_lonlat(corner) for corner in ring]
        return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}

    @property
    def layer(self) -> Layer:
        """Which heat map."""
        return cast("Layer", self._one_of("layer", get_args(Layer)))

    @property
    def kind(self) -> Kind:
        """Which download."""
        return cast("Kind", self._one_of("kind", get_args(Kind)))

    @property
    def claim(self) -> tuple[float, float]:
        """Longitude, latitude in degrees of what is claimed."""
        return parse_coordinates(self.text("claim"))

    @property
    def radius_m(self) -> float:
        """How far from there the photo may have been taken."""
        return self.number("radius_m", 1, MOST_RADIUS_M)

    @property
    def lonlat_deg(self) -> tuple[float, float]:
        """A point on the map."""
        lon, lat = _lonlat(self.values.get("lonlat"))
        return lon, lat

    def text(self, name: str) -> str:
        """A text of bounded length."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise UsageError(f"{name} must be text, not {_kind_of(value)}")
        return value[:_TEXT]

    def number(self, name: str, least: float, most: float) -> float:
        """A finite number in a range."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{name} must be a number, not {_kind_of(value)}")
        if not least <= value <= most:  # NaN fails, too
            raise UsageError(f"{name} is {value:.6g}: it must be from {least:g} to {most:g}")
        return float(value)

    def _one_of(self, name: str, known: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in known:
            raise UsageError(f"{name} is {value[:40]!r}: choose {', '.join(known)}")
        return value


def _lonlat(value: object) -> list[float]:
    if not isinstance(value, list) or len(value) != 2:
        raise UsageError("a point is a pair of longitude and latitude")
    for number, limit in zip(value, (180, 90), strict=True):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UsageError(f"a coordinate must be a number, not {_kind_of(number)}")
        if not (math.isfinite(number) and abs(number) <= limit):
            raise UsageError("a coordinate is no longitude or latitude in degrees")
    return [float(number) for number in value]


def _kind_of(value: object) -> str:
    return "nothing" if value is None else type(value).__name__
