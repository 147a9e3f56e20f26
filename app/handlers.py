"""What happens when a photo comes in: one search, shown on the page or returned as JSON.

An example is a photo that comes in, too: its handler only says which file it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.examples import Sample
from app.photo import uploaded_file
from app.views.map import NO_PLACES, map_places
from app.views.places import empty_html, error_html, places_html
from gair.errors import GairError, UsageError
from indexer.geolocate import Geolocator

KEPT_SECONDS = 30 * 60
"""How long the server keeps an uploaded photo, so that it can be searched with other settings."""

_SAME_SHARE = 0.0051
"""Shares closer than this are one; the page's slider rounds to a hundredth."""

MOST_PLACES = 100
"""Most places that one call may ask for; the page shows up to 20."""


@dataclass(frozen=True)
class SearchHandlers:
    """The two ways to search: for the page and for programs."""

    geo: Geolocator

    def for_page(self, photo: str | None, places: float, imagery_share: float) -> dict[str, Any]:
        """The list and the map for a photo.

        Args:
            photo: Path of the uploaded file; None once it was removed.
            places: How many places to show.
            imagery_share: Weight of the imagery, 0 to 1; the location gets the rest.

        Returns:
            ``photo``, the path again; ``list``, HTML; ``map``, data. A photo that cannot be
            searched gives an error to read instead of a list.
        """
        if photo is None:
            return {"photo": None, "list": empty_html(KEPT_SECONDS // 60), "map": NO_PLACES}
        started = time.perf_counter()
        try:
            rs_weight, location_weight = self._weights(imagery_share)
            answer = self.geo.search(
                uploaded_file(photo),
                k=int(places),
                rs_weight=rs_weight,
                location_weight=location_weight,
            )
        except GairError as error:
            return {"photo": photo, "list": error_html(str(error)), "map": NO_PLACES}
        seconds = time.perf_counter() - started
        found = places_html(answer, seconds, tuple(self.geo.warnings))
        return {"photo": photo, "list": found, "map": map_places(answer)}

    def _weights(self, imagery_share: float) -> tuple[float | None, float | None]:
        """Imagery and location; none of our own where the share is the calibrated one."""
        calibration = self.geo.calibration
        if calibration and abs(imagery_share - calibration.sharpness.shares[0]) <= _SAME_SHARE:
            return None, None
        return imagery_share, 1 - imagery_share

    def for_programs(
        self,
        photo: str,
        k: float = 5,
        rs_weight: float | None = None,
        location_weight: float | None = None,
    ) -> dict[str, Any]:
        """Find where a street photo may have been taken.

        Args:
            photo: The photo, as an uploaded file.
            k: How many places to return.
            rs_weight: Weight of the similarity with the satellite imagery; as calibrated, or half,
                if not given.
            location_weight: Weight of the similarity with the coordinates; the same.

        Returns:
            The answer: ``candidates``, best first, and what to know before believing them.

        Raises:
            gr.Error: The photo or an argument cannot be used; the message says why.
        """
        if photo is None:
            raise gr.Error("no photo was given; pass one as handle_file(path)")
        try:
            if k > MOST_PLACES:
                raise UsageError(f"k is {k:.0f}: ask for {MOST_PLACES} places or fewer")
            answer = self.geo.search(
                uploaded_file(photo),
                k=int(k),
                rs_weight=rs_weight,
                location_weight=location_weight,
            )
        except GairError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return answer.to_dict()


def share_to_start(geo: Geolocator, wanted: float | None) -> float:
    """The weight of the imagery that the page starts with."""
    if wanted is not None:
        return wanted
    return 0.5 if geo.calibration is None else round(geo.calibration.sharpness.shares[0], 2)


@dataclass(frozen=True)
class ExampleHandler:
    """Puts an example where an upload goes."""

    samples: Sequence[Sample]
    box: gr.Image
    """Where photos are uploaded."""

    def chosen(self, event: gr.EventData) -> str:
        """A copy of the example that was clicked, among the uploads.

        Raises:
            gr.Error: The photo is gone, or there is no such example; only programs ask for one.
        """
        number = event._data.get("number") if isinstance(event._data, dict) else None
        if not isinstance(number, int) or not 1 <= number <= len(self.samples):
            raise gr.Error(f"there is no example {number!r}", print_exception=False)
        photo = self.samples[number - 1].photo
        if not photo.is_file():
            raise gr.Error(f"example photo {number} is gone", print_exception=False)
        return str(self.box.move_resource_to_block_cache(photo))
