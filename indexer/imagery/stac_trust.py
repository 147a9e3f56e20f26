"""Which scenes of a tile are used: each is looked at once, where it shows most of the region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import shapely
from shapely.geometry.base import BaseGeometry

from indexer.imagery.stac_cache import WindowPlace
from indexer.imagery.stac_checks import Look, fault_alone, fault_beside
from indexer.imagery.stac_scenes import StacScene
from indexer.imagery.stac_windows import Windows

_COMPARED_WITH = 3  # other scenes that a scene is held against


class Trust:
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
        self._fine: set[str] = set()

    def trusted(self, scene: StacScene) -> bool:
        """Whether a scene's metadata fits its pixels.

        Raises:
            ImageryError: Its pixels cannot be fetched.
        """
        if scene.name not in self._fine and scene.name not in self.faults:
            fault = self._fault(scene)
            if fault is None:
                self._fine.add(scene.name)
            else:
                self.faults[scene.name] = fault
        return scene.name in self._fine

    def _fault(self, scene: StacScene) -> str | None:
        place = self._best_view(scene)
        if place is None:
            return None
        look = self._look(scene, place)
        fault = fault_alone(look)
        if fault is not None or not look.enough:
            return fault
        area = self._wanted[place]
        others = (
            other
            for other in self._scenes
            if other.solar_day != scene.solar_day and other.outline.intersects(area)
        )
        compared: list[Look] = []
        for other in others:
            beside = self._look(other, place)
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
