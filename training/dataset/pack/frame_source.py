"""Where the frames of a data set come from: local files or a catalogue.

A source knows on which days it may show a footprint, and reads it as of a day. :class:`FewDays`
takes a few of them, far apart in time, so that a data set has several dates and not all there are.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from shapely.geometry.base import BaseGeometry

from gair.errors import UsageError
from gair.geo import Footprint
from indexer.imagery.source import FramePixels


class FrameSource(Protocol):
    """Sentinel-2 frames by footprint and day; a context manager."""

    @property
    def coverage(self) -> BaseGeometry:
        """Where there is imagery on any day, longitude and latitude in degrees."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences a user should read."""
        ...

    def days_over(self, footprint: Footprint) -> list[str]:
        """ISO dates, ascending, that may show a footprint; always the same for the same source."""
        ...

    def read(self, day: str, footprint: Footprint) -> FramePixels:
        """The pixels of a footprint on a day.

        Raises:
            ImageryError: they cannot be read.
        """
        ...

    def attribution(self, day: str) -> str:
        """The credit line of a day's imagery."""
        ...

    def describe(self) -> list[dict[str, Any]]:
        """What it is, in plain JSON types and without paths."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class FewDays:
    """A source that shows at most some days of each footprint, spread over those there are."""

    def __init__(self, source: FrameSource, most: int) -> None:
        """Take ``most`` days of each footprint.

        Raises:
            UsageError: that is none.
        """
        if most < 1:
            raise UsageError(f"--dates-per-footprint {most} is below 1: a data set needs imagery")
        self._source = source
        self._most = most

    @property
    def coverage(self) -> BaseGeometry:
        """See :class:`FrameSource`."""
        return self._source.coverage

    @property
    def warnings(self) -> tuple[str, ...]:
        """See :class:`FrameSource`."""
        return self._source.warnings

    def days_over(self, footprint: Footprint) -> list[str]:
        """See :class:`FrameSource`."""
        days = self._source.days_over(footprint)
        if len(days) <= self._most:
            return days
        ends = (0, len(days) - 1) if self._most > 1 else (len(days) // 2,) * 2
        return [days[round(at)] for at in np.linspace(*ends, self._most).tolist()]

    def read(self, day: str, footprint: Footprint) -> FramePixels:
        """See :class:`FrameSource`."""
        return self._source.read(day, footprint)

    def attribution(self, day: str) -> str:
        """See :class:`FrameSource`."""
        return self._source.attribution(day)

    def describe(self) -> list[dict[str, Any]]:
        """See :class:`FrameSource`."""
        return self._source.describe()

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._source.__exit__(kind, error, trace)
