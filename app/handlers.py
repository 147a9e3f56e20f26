"""What happens when a photo comes in: one search, shown on the page or returned as JSON."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.photo import uploaded_file
from app.views.map import NO_PLACES, map_places
from app.views.places import empty_html, error_html, places_html
from gair.errors import GairError, UsageError
from indexer.geolocate import Geolocator

KEPT_SECONDS = 30 * 60
"""How long the server keeps an uploaded photo, so that it can be searched with other settings."""

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
            answer = self.geo.search(
                uploaded_file(photo),
                k=int(places),
                rs_weight=imagery_share,
                location_weight=1 - imagery_share,
            )
        except GairError as error:
            return {"photo": photo, "list": error_html(str(error)), "map": NO_PLACES}
        seconds = time.perf_counter() - started
        found = places_html(answer, seconds, tuple(self.geo.warnings))
        return {"photo": photo, "list": found, "map": map_places(answer)}

    def for_programs(
        self, photo: str, k: float = 5, rs_weight: float = 0.5, location_weight: float = 0.5
    ) -> dict[str, Any]:
        """Find where a street photo may have been taken.

        Args:
            photo: The photo, as an uploaded file.
            k: How many places to return.
            rs_weight: Weight of the similarity with the satellite imagery.
            location_weight: Weight of the similarity with the coordinates.

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
