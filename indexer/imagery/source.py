"""Protocol of imagery sources, which local files and catalogues follow alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from gair.geo import Footprint

MOST_DAYS = 8
"""Days that an index keeps pictures of: each is as large as that of the whole."""


@dataclass(frozen=True)
class FramePixels:
    """The pixels of one frame."""

    dn: npt.NDArray[np.uint16]
    """(10, H, W) digital numbers, reflectance x 10000, bands in the order of
    :data:`gair.bands.GAIR_BANDS`, row 0 in the north."""
    valid: npt.NDArray[np.bool_]
    """(H, W) True where the source has imagery in all ten bands; elsewhere ``dn`` was filled in."""

    @property
    def valid_fraction(self) -> float:
        """Share of the pixels that are imagery, 0 to 1."""
        return float(self.valid.mean())


@dataclass(frozen=True)
class Download:
    """What must be fetched before some frames can be read."""

    bytes: int
    """About; dates that are fetched only where clouds hide the ground come on top."""
    windows: int
    """Windows of scenes, each several requests."""
    cached: int
    """Further windows that were fetched before."""


class ImagerySource(Protocol):
    """Sentinel-2 pixels for any footprint.

    ``read`` may be called from several threads at once.
    """

    @property
    def coverage(self) -> BaseGeometry:
        """Where there is imagery: union of the scenes' outlines, longitude/latitude in degrees.

        Nodata inside an outline is not cut out. No outline may cross the antimeridian.
        """
        ...

    @property
    def resolution_m(self) -> float:
        """Side of the finest pixel on the ground, metres."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences a user should read before trusting what is built from this imagery."""
        ...

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        """The pixels of a footprint, resampled to its own CRS.

        Args:
            footprint: the square on the ground; it need not lie inside :attr:`coverage`.
            shape: (H, W) pixels over the footprint.

        Raises:
            ImageryError: a file cannot be read.
            FootprintError: the footprint's CRS is unknown.
        """
        ...

    def read_with_days(
        self, footprint: Footprint, shape: tuple[int, int], days: Collection[str]
    ) -> tuple[FramePixels, dict[str, FramePixels]]:
        """What :meth:`read` gives, and some days by themselves, as their own ``read`` gives them.

        Args:
            footprint: the square on the ground.
            shape: (H, W) pixels over the footprint.
            days: of those that :meth:`by_day` names. One that shows nothing here is left out.

        Raises:
            ImageryError: a file cannot be read.
            FootprintError: the footprint's CRS is unknown.
        """
        ...

    def download(self, footprints: Iterable[Footprint]) -> Download | None:
        """What must be fetched to read some footprints, asking nobody; None where all is here."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain JSON types for a manifest: scenes with files and hashes, dates, licence."""
        ...

    def by_day(self) -> Mapping[str, Self]:
        """Its days, as ``2024-05-31``, each as imagery by itself, where it can show several.

        Nothing where all is of one day, no place was seen on two, or days were mixed.
        """
        ...


def kept_days(imagery: ImagerySource) -> dict[str, ImagerySource]:
    """The days of imagery that an index keeps pictures of: those that show the most.

    Returns:
        At most :data:`MOST_DAYS`, in order.
    """
    days = imagery.by_day()
    largest = sorted(days, key=lambda day: (-days[day].coverage.area, day))
    return {day: days[day] for day in sorted(largest[:MOST_DAYS])}
