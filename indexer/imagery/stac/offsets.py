"""Admission of scenes whose pixels fit the offset in their metadata.

Since January 2022 Sentinel-2 products are stored 1,000 too high, and metadata tells to take 0.1 of
reflectance off. Catalogues have scenes from which it was taken off already and whose metadata still
asks for it, and the other way round (https://github.com/Element84/earth-search/issues/66, 71).
No date tells them apart, and of flags only one that says that it was taken off; but pixels do:
ground has hardly any negative reflectance, and two dates of one place never differ by 0.1 in all
six bands from the red edge to the short-wave infrared alike; seasons, haze and sun change them by
different amounts. A scene that its catalogue calls corrected is what others are held against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from gair.arrays import DigitalNumbers, Floats32
from gair.bands import GAIR_BANDS
from gair.errors import SceneError
from indexer.imagery.baseline import OFFSET
from indexer.imagery.stac.cache import WindowPlace
from indexer.imagery.stac.scenes import COARSE_BANDS, StacScene
from indexer.imagery.stac.windows import Windows, clear

LEAST_PIXELS = 500
"""Clear ones; fewer say nothing."""

_COMPARED_WITH = 3  # other scenes that a scene is held against
# Reflectance that no ground has, and how much of it may be. Water, haze and shadow go down to -0.02
# since baseline 04.00, which stores it. An offset taken off twice makes about -0.1 of water, and
# brings below this whatever is darker than 0.07.
_NEGATIVE, _NEGATIVE_SHARE = -0.03, 0.1
_SHIFT, _EVEN = (0.6 * OFFSET, 1.4 * OFFSET), 0.03  # about the offset; bands alike, or about none
_NOTHING, _TOO_BRIGHT = 0.0002, 2.0  # all of it within so little of 0, or half of it above


@dataclass(frozen=True, eq=False)
class Look:
    """A scene's coarse bands in one window."""

    scene: StacScene
    reflectance: Floats32
    """(6, H, W)."""
    clear: npt.NDArray[np.bool_]
    """(H, W)."""

    @classmethod
    def at(cls, scene: StacScene, window: DigitalNumbers) -> Look:
        """Look at a coarse window as stored, (7, H, W): six bands and the classification."""
        stored, classes = window[:-1], window[-1]
        bands = [scene.bands[name] for name in COARSE_BANDS]
        scale = np.array([band.scale for band in bands], dtype=np.float32)[:, None, None]
        offset = np.array([band.offset for band in bands], dtype=np.float32)[:, None, None]
        return cls(scene, stored * scale + offset, clear(stored, classes))

    @property
    def enough(self) -> bool:
        """Whether there is anything to judge by."""
        return int(self.clear.sum()) >= LEAST_PIXELS

    @property
    def darkest(self) -> float:
        """Reflectance of the darkest clear ground, in the band where it is lowest."""
        return float(np.percentile(self.reflectance[:, self.clear], 2, axis=1).min())


def fault_alone(look: Look) -> str | None:
    """What is wrong with a scene by itself; None for nothing."""
    bands = [look.scene.bands[name] for name in GAIR_BANDS]
    if len({(band.scale, band.offset) for band in bands}) > 1:
        return "its metadata scales its bands differently"
    if not look.enough:
        return None
    ground = look.reflectance[:, look.clear]  # (6, N)
    negative = (ground < _NEGATIVE).mean(axis=1)
    if negative.max() > _NEGATIVE_SHARE and bands[0].offset < 0:
        return (
            f"{negative.max():.0%} of its ground in {COARSE_BANDS[int(negative.argmax())]} has "
            f"negative reflectance: the offset of {bands[0].offset:g} that its metadata asks for "
            "was taken off before"
        )
    median = float(np.median(ground))
    if median > _TOO_BRIGHT or float(np.percentile(np.abs(ground), 98)) < _NOTHING:
        return f"its median reflectance is {median:.4g}: its metadata's scale cannot be right"
    return None


def fault_beside(look: Look, others: Sequence[Look]) -> str | None:
    """What is wrong with a scene beside others of the same window; None for nothing.

    Where a scene differs from others by the offset in all bands alike, the minority is wrong; where
    there is none, the brighter one is, unless it has something dark in any band. What its catalogue
    calls corrected outweighs any number of scenes of which it says nothing.
    """
    shifts = [(other, shift) for other in others if (shift := _shift(look, other)) is not None]
    vouched = [pair for pair in shifts if pair[0].scene.corrected]
    judges = vouched or shifts
    apart = [(other, shift) for other, shift in judges if abs(shift) > _SHIFT[0]]
    alike = len(judges) - len(apart) + (0 if vouched else 1)  # itself, too
    if not apart or len(apart) < alike or (vouched and len(apart) == alike):
        return None
    other, shift = apart[0]
    if len(apart) == alike:
        # A tie, as of two scenes. Ground stored too high has nothing darker than the offset.
        brighter = look if shift > 0 else other
        lifted = brighter.darkest > 0.8 * OFFSET
        if lifted != (brighter is look):
            return None
    return (
        f"it is {abs(shift):.2f} of reflectance {'brighter' if shift > 0 else 'darker'} than "
        f"{other.scene.name} in all bands alike: the offset of {_offset(look):g} in its metadata "
        "is not its own"
    )


def _shift(look: Look, other: Look) -> float | None:
    """By how much a scene is brighter, in all bands alike: about the offset or about 0, else None.

    Also None where too little ground is clear in both.
    """
    both = look.clear & other.clear
    if int(both.sum()) < LEAST_PIXELS:
        return None
    # Medians bear what changed on the ground between the dates: fields, ships, roofs.
    bands = np.median(look.reflectance[:, both] - other.reflectance[:, both], axis=1)  # (6,)
    shift = float(bands.mean())
    if np.ptp(bands) >= _EVEN:
        return None
    near_none, near_offset = abs(shift) < _EVEN, _SHIFT[0] < abs(shift) < _SHIFT[1]
    return shift if near_none or near_offset else None


def _offset(look: Look) -> float:
    return look.scene.bands[COARSE_BANDS[0]].offset


class Admission:
    """Verdicts on the scenes of one tile; they do not depend on the order of asking."""

    def __init__(
        self,
        scenes: Sequence[StacScene],
        wanted: Mapping[WindowPlace, BaseGeometry],
        windows: Windows,
    ) -> None:
        self.faults: dict[str, str] = {}
        """Scenes that are left out, and why."""
        self._scenes = scenes
        self._wanted = wanted
        self._windows = windows
        self._admitted: set[str] = set()

    def admits(self, scene: StacScene) -> bool:
        """Whether a scene's metadata fits its pixels.

        Raises:
            ImageryError: A server does not answer, however often it was tried.
        """
        if scene.name not in self._admitted and scene.name not in self.faults:
            try:
                fault = self._fault(scene)
                if fault is None:
                    self._windows.check_fine(scene)
            except SceneError as error:
                fault = str(error).replace(f"scene {scene.name}", "it")
            if fault is None:
                self._admitted.add(scene.name)
            else:
                self.faults[scene.name] = fault
        return scene.name in self._admitted

    def _fault(self, scene: StacScene) -> str | None:
        place = self._best_view(scene)
        if place is None:
            return None
        look = self._look(scene, place)
        fault = fault_alone(look)
        if fault is not None or not look.enough or scene.corrected:
            return fault
        area = self._wanted[place]
        others = [
            other
            for other in self._scenes
            if other.solar_day != scene.solar_day and other.outline.intersects(area)
        ]
        compared: list[Look] = []
        # Those that are vouched for first; a sort keeps the order otherwise, the clearest first.
        for other in sorted(others, key=lambda other: not other.corrected):
            try:
                beside = self._look(other, place)
            except SceneError:  # told when it is asked for itself
                continue
            if beside.enough and fault_alone(beside) is None:
                compared.append(beside)
            if len(compared) == _COMPARED_WITH:
                break
        return fault_beside(look, compared)

    def _best_view(self, scene: StacScene) -> WindowPlace | None:
        """The coarse window where a scene shows most of what is wanted."""
        shown = {
            place: shapely.intersection(area, scene.outline).area
            for place, area in self._wanted.items()
        }
        best = max(shown, key=lambda place: shown[place], default=None)
        return best if best is not None and shown[best] > 0 else None

    def _look(self, scene: StacScene, place: WindowPlace) -> Look:
        return Look.at(scene, self._windows.load([scene], place)[0])
