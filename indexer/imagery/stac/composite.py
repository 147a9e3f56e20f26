"""Composites of a tile's windows from the dates that show them, without clouds.

A date's pixel counts where the scene classification calls it ground or water and every band has a
value. Of what is left, either the median of each band is taken, or the pixel of the best date.

For a coarse window the least cloudy dates are fetched, then further ones, one by one, as long as
clouds hide much of the region on all of them. Which dates those are depends on the catalogue's
answer and on the pixels alone, not on the order in which windows are asked for, so a build that is
interrupted goes on with the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, DigitalNumbers
from gair.errors import SceneError
from indexer.imagery.days import LEAST_DN, MISSING, MOST_DN, combine, merge_day
from indexer.imagery.digital_numbers import DN_PER_REFLECTANCE
from indexer.imagery.stac.cache import WindowPlace
from indexer.imagery.stac.offsets import Admission
from indexer.imagery.stac.query import StacQuery
from indexer.imagery.stac.scenes import COARSE_BANDS, FINE_BANDS, StacBand, StacScene
from indexer.imagery.stac.windows import Windows, clear

Day = tuple[StacScene, ...]
"""Scenes of one tile and one solar day, the clearest first."""

SPARE_ABOVE = 0.005
"""Share of the region in a window that must be hidden for a further date to be fetched: roofs that
every classification takes for clouds are no reason."""


@dataclass(frozen=True, eq=False)
class View:
    """A scene in a coarse window."""

    scene: StacScene
    seen: Bools
    """(H, W) where it shows the ground, at 20 m."""


@dataclass(frozen=True, eq=False)
class CoarseWindow:
    """A coarse window, composed, and what its fine windows need to know."""

    days: tuple[tuple[View, ...], ...]
    """What it is made from, the best date first."""
    composite: DigitalNumbers
    """(6, H, W)."""
    hidden: int
    """Pixels of the region that no date shows."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.composite.nbytes + sum(v.seen.nbytes for day in self.days for v in day)


class Composer:
    """Makes windows of one tile."""

    def __init__(self, query: StacQuery, windows: Windows, admission: Admission) -> None:
        self._query = query
        self._windows = windows
        self._admission = admission

    def coarse(self, place: WindowPlace, days: Sequence[Day], region: Bools) -> CoarseWindow:
        """A coarse window.

        Args:
            place: which.
            days: dates that show it, the least cloudy first.
            region: (H, W) where it matters that there is imagery.

        Raises:
            SceneError: No scene is there and right.
            ImageryError: A server does not answer, however often it was tried.
        """
        hidden = region.copy()  # (H, W), less what each date shows
        dates: list[DigitalNumbers] = []
        views: list[tuple[View, ...]] = []
        most = self._query.dates_a_place + self._query.spare_dates
        for day in self._admitted(days):
            enough = int(hidden.sum()) <= SPARE_ABOVE * int(region.sum())
            if len(views) == most or (len(views) >= self._query.dates_a_place and enough):
                break
            shown, date = self._date(day, place)
            views.append(shown)
            dates.append(date)
            hidden &= date[0] == MISSING
        if not views:
            raise self._none_admitted(days)
        composite = combine(dates, self._query.composite)
        return CoarseWindow(tuple(views), composite, int(hidden.sum()))

    def fine(
        self, place: WindowPlace, coarse: CoarseWindow, quadrant: tuple[slice, slice]
    ) -> DigitalNumbers:
        """A fine window, (4, H, W), of the dates of the coarse one around it.

        Args:
            place: which.
            coarse: around it.
            quadrant: rows and columns of the coarse window that it covers.
        """
        dates = []
        for day in coarse.days:
            views = [view for view in day if view.seen[quadrant].any()]
            if not views:
                continue
            stored = self._windows.load([view.scene for view in views], place)
            dates.append(
                merge_day(
                    [
                        _fine_numbers(view, pixels, quadrant)
                        for view, pixels in zip(views, stored, strict=True)
                    ]
                )
            )
        if not dates:
            height, width = (2 * (side.stop - side.start) for side in quadrant)
            return np.full((len(FINE_BANDS), height, width), MISSING, dtype=np.uint16)
        return combine(dates, self._query.composite)

    def _admitted(self, days: Sequence[Day]) -> Iterator[Day]:
        for day in days:
            if admitted := tuple(scene for scene in day if self._admission.admits(scene)):
                yield admitted

    def _date(self, day: Day, place: WindowPlace) -> tuple[tuple[View, ...], DigitalNumbers]:
        """One date of a coarse window: what its scenes show, and its digital numbers."""
        views, layers = [], []
        for scene, window in zip(day, self._windows.load(list(day), place), strict=True):
            stored, classes = window[:-1], window[-1]
            seen = clear(stored, classes)
            views.append(View(scene, seen))
            bands = [scene.bands[name] for name in COARSE_BANDS]
            layers.append(digital_numbers(stored, bands, seen))
        return tuple(views), merge_day(layers)

    def _none_admitted(self, days: Sequence[Day]) -> SceneError:
        names = [scene.name for day in days for scene in day]
        reasons = [f"{name}: {self._admission.faults[name]}" for name in names[:2]]
        return SceneError(
            f"none of the {len(names)} scenes of a place can be used ({'; '.join(reasons)}): widen "
            "`dates`, or pass another `collection`"
        )


def _fine_numbers(
    view: View, stored: DigitalNumbers, quadrant: tuple[slice, slice]
) -> DigitalNumbers:
    """Digital numbers of a scene's 10 m bands, where its 20 m mask is clear."""
    seen = view.seen[quadrant].repeat(2, axis=0).repeat(2, axis=1)  # 20 m to 10 m
    seen = seen[: stored.shape[1], : stored.shape[2]] & (stored != 0).all(axis=0)
    return digital_numbers(stored, [view.scene.bands[name] for name in FINE_BANDS], seen)


def digital_numbers(
    stored: DigitalNumbers, bands: Sequence[StacBand], seen: Bools
) -> DigitalNumbers:
    """Reflectance x 10000 of one scene, by the scale and offset of its own metadata.

    Args:
        stored: (B, H, W) as stored.
        bands: what they are.
        seen: (H, W) where they show the ground.

    Returns:
        (B, H, W); :data:`MISSING` elsewhere.
    """
    numbers = np.empty_like(stored)
    for layer, out, band in zip(stored, numbers, bands, strict=True):
        scale, offset = band.scale * DN_PER_REFLECTANCE, band.offset * DN_PER_REFLECTANCE
        plain = (scale, offset) == (1.0, 0.0)
        values = layer if plain else np.rint(layer * np.float32(scale) + np.float32(offset))
        out[:] = np.clip(values, LEAST_DN, MOST_DN)
        out[~seen] = MISSING
    return numbers
