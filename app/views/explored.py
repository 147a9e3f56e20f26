"""Cards of what was explored: similar places, photos of a place, two photos; and its map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.views.templates import render
from app.views.wording import coordinates
from indexer.explore.near_photos import NearPhotos
from indexer.regions.cells import cell_boundary_lonlat_deg, cell_from_hex

if TYPE_CHECKING:
    from indexer.explore.compare import PhotoPair
    from indexer.explore.similar import SimilarPlaces
    from indexer.search.maps.ground_picture import Chip


def similar_html(explored: SimilarPlaces, chips: Mapping[int, Chip]) -> str:
    """Similar places as a list.

    Args:
        explored: what the index says.
        chips: satellite pictures of the places, by rank, as far as there are some.
    """
    return render("similar.html", explored=explored, chips=chips)


def near_photos_html(explored: NearPhotos) -> str:
    """Reference photos of a place as a list."""
    return render("near_photos.html", explored=explored)


def comparison_html(pair: PhotoPair) -> str:
    """How alike two photos are to the model, and how likely of one place."""
    return render("comparison.html", pair=pair, names=pair.photos)


def explored_points(explored: SimilarPlaces | NearPhotos) -> list[dict[str, Any]]:
    """What the map draws: per point its ``mark``, ``position`` (latitude first) and ``label``.

    Places and examples have the corners of their ``cell``, too.
    """
    if isinstance(explored, NearPhotos):
        at = {"mark": "", "position": [explored.lat_deg, explored.lon_deg], "label": "The place"}
        photos = [
            {
                "mark": str(photo.rank),
                "position": [photo.lat_deg, photo.lon_deg],
                "label": f"Reference photo {photo.rank}",
            }
            for photo in explored.photos
        ]
        return [at, *photos]
    points = []
    for mark, words, group in (
        ("+", "Example", explored.like),
        ("\u2212", "Counter-example", explored.unlike),
    ):
        points += [_point(mark, f"{words} at", one) for one in group]
    return points + [
        _point(str(one.rank), f"Similar place {one.rank}:", one) for one in explored.places
    ]


def _point(mark: str, words: str, one: Any) -> dict[str, Any]:  # noqa: ANN401 (a place or example)
    corners = cell_boundary_lonlat_deg(cell_from_hex(one.h3_cell))
    return {
        "mark": mark,
        "position": [one.lat_deg, one.lon_deg],
        "label": f"{words} {coordinates(one.lon_deg, one.lat_deg)}",
        "cell": [[float(lat), float(lon)] for lon, lat in corners],
    }
