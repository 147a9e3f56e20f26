"""Exploring on the page: similar places, reference photos of a place, two photos.

As everything the page asks, these come as JSON and go as pieces of HTML and data for the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.page.request import NearPhotosRequest, PlainKind, SimilarRequest
from app.views.explored import explored_points, near_photos_html, similar_html
from app.views.wording import counted
from gair.coordinates.text import parse_coordinates
from indexer.explore.files import Explored, explored_csv, explored_geojson
from indexer.search.maps.ground_picture import chip_at

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from indexer.explore.near_photos import NearPhotos
    from indexer.explore.similar import SimilarPlaces

TYPES = {"geojson": "application/geo+json", "csv": "text/csv"}
"""Media types of the files."""
MOST_LISTED = 10
"""Places and photos that the page lists."""


def similar_reply(engine: Engine, request: SimilarRequest) -> dict[str, Any]:
    """Similar places: a ``list``, ``points`` of the map, and what is ``said``."""
    explored, geo = _similar(engine, request), engine.indexes.get(request.index)
    chips = {}
    if geo.index.manifest.build == explored.build:
        chips = {place.rank: chip_at(geo.index, place.row) for place in explored.places}
    return {
        "list": similar_html(explored, {rank: c for rank, c in chips.items() if c is not None}),
        "points": explored_points(explored),
        "said": f"{counted(len(explored.places), 'similar place')} found",
    }


def near_photos_reply(engine: Engine, request: NearPhotosRequest) -> dict[str, Any]:
    """Reference photos of a place, in the same way."""
    explored = _near(engine, request)
    return {
        "list": near_photos_html(explored),
        "points": explored_points(explored),
        "said": f"{counted(len(explored.photos), 'reference photo')} found",
    }


def similar_file(engine: Engine, request: SimilarRequest, kind: PlainKind) -> dict[str, Any]:
    """Similar places as a file: its ``name``, its media ``type`` and its ``text``."""
    return _file("similar-places", _similar(engine, request), kind)


def near_photos_file(engine: Engine, request: NearPhotosRequest, kind: PlainKind) -> dict[str, Any]:
    """Reference photos of a place as a file, without those that are private."""
    return _file("reference-photos", _near(engine, request), kind)


def _similar(engine: Engine, request: SimilarRequest) -> SimilarPlaces:
    like, unlike = (
        [parse_coordinates(text) for text in texts] for texts in (request.like, request.unlike)
    )
    return engine.similar(request.index, like, unlike, k=MOST_LISTED)


def _near(engine: Engine, request: NearPhotosRequest) -> NearPhotos:
    place = parse_coordinates(request.at)
    return engine.photos_near(request.index, *place, k=MOST_LISTED, order=request.order)


def _file(what: str, explored: Explored, kind: PlainKind) -> dict[str, Any]:
    write = explored_csv if kind == "csv" else explored_geojson
    name = f"{what}-in-{explored.index}.{kind}"
    return {"name": name, "type": TYPES[kind], "text": write(explored)}
