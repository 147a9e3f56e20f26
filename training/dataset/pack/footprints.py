"""Footprints of photos: which square of imagery goes with which photo.

``tiles``: the square of a grid that the photo lies in. With the default side these are the zoom-14
tiles of web maps, as in Streetscape1M (arXiv 2503.16683, section 3).

``centred``: a square around the photo, moved at random so that photos do not always lie in the
middle. Photos of the same place that lie in its inner part share it. Of several random squares the
first that lies wholly in the imagery is taken: what ``tiles`` would lose at an edge is kept.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from gair.geo import WEB_MERCATOR_CIRCUMFERENCE_M, Footprint, lonlat_to_web_mercator
from indexer.build.frames import INNER_SHARE
from indexer.regions.antimeridian import cut

_TRIES = 64  # random squares around a photo near the imagery's edge
_HALF_WORLD_M = WEB_MERCATOR_CIRCUMFERENCE_M / 2


@dataclass(frozen=True)
class Square:
    """A footprint and the photos in it."""

    footprint_id: str
    bounds_wsen: tuple[float, float, float, float]
    """EPSG:3857 metres."""
    place: str
    """The place of most of its photos."""
    photos: tuple[int, ...]
    """Numbers of its photos, ascending."""

    @property
    def footprint(self) -> Footprint:
        """The square as the rest of the project knows it."""
        return Footprint("EPSG:3857", self.bounds_wsen)


def tile_squares(
    photos: Sequence[int],
    lonlat_deg: npt.NDArray[np.float64],
    places: Sequence[str],
    side_m: float,
) -> list[Square]:
    """The squares of a grid that hold photos, from the north-west corner of the map.

    Args:
        photos: (N) numbers of the photos.
        lonlat_deg: (N, 2) where they are.
        places: (N) their places.
        side_m: side of a square, EPSG:3857 metres.

    Returns:
        One square for each tile in use, by row and column.
    """
    points = lonlat_to_web_mercator(lonlat_deg)
    columns = np.floor((points[:, 0] + _HALF_WORLD_M) / side_m).astype(np.int64)
    rows = np.floor((_HALF_WORLD_M - points[:, 1]) / side_m).astype(np.int64)
    photos_of: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for i, key in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        photos_of[key].append(i)
    zoom = math.log2(WEB_MERCATOR_CIRCUMFERENCE_M / side_m)
    grid = f"z{round(zoom)}" if abs(zoom - round(zoom)) < 1e-9 else f"m{side_m:g}"
    squares = []
    for (row, column), inside in sorted(photos_of.items()):
        west, north = column * side_m - _HALF_WORLD_M, _HALF_WORLD_M - row * side_m
        squares.append(
            Square(
                footprint_id=f"{grid}-{column}-{row}",
                bounds_wsen=(west, north - side_m, west + side_m, north),
                place=_commonest([places[i] for i in inside]),
                photos=tuple(photos[i] for i in inside),
            )
        )
    return squares


def centred_squares(
    photos: Sequence[int],
    lonlat_deg: npt.NDArray[np.float64],
    places: Sequence[str],
    photo_ids: Sequence[str],
    coverage: BaseGeometry,
    *,
    side_m: float,
    seed: int,
) -> list[Square]:
    """Randomly moved squares around photos.

    Args:
        photos: (N) numbers of the photos.
        lonlat_deg: (N, 2) where they are.
        places: (N) their places.
        photo_ids: (N) their ids: a photo's square depends on its id and the seed.
        coverage: where there is imagery, longitude and latitude in degrees.
        side_m: side of a square, EPSG:3857 metres.
        seed: of the random moves.

    Returns:
        Squares by the photo that each was made for.
    """
    points = lonlat_to_web_mercator(lonlat_deg)
    reach_m = side_m / 2 * INNER_SHARE
    shapely.prepare(coverage)
    centres: list[tuple[float, float]] = []
    members: list[list[int]] = []
    near: defaultdict[tuple[str, int, int], list[int]] = defaultdict(list)  # squares by grid cell
    for i, (x, y) in enumerate(points.tolist()):
        column, row = math.floor(x / side_m), math.floor(y / side_m)
        around = [
            square
            for c in (column - 1, column, column + 1)
            for r in (row - 1, row, row + 1)
            for square in near.get((places[i], c, r), ())
        ]
        joined = [
            square
            for square in around
            if max(abs(centres[square][0] - x), abs(centres[square][1] - y)) <= reach_m
        ]
        if joined:
            members[min(joined)].append(i)
            continue
        rng = np.random.default_rng([seed, *_seed_words(photo_ids[i])])
        cx, cy = _centre((x, y), reach_m, side_m, coverage, rng)
        near[places[i], math.floor(cx / side_m), math.floor(cy / side_m)].append(len(centres))
        centres.append((cx, cy))
        members.append([i])
    half = side_m / 2
    return [
        Square(
            footprint_id=f"around-{photo_ids[inside[0]]}",
            bounds_wsen=(cx - half, cy - half, cx + half, cy + half),
            place=places[inside[0]],
            photos=tuple(photos[i] for i in inside),
        )
        for (cx, cy), inside in zip(centres, members, strict=True)
    ]


def _centre(
    point: tuple[float, float],
    reach_m: float,
    side_m: float,
    coverage: BaseGeometry,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """A centre so that the point lies in the inner part, and the square in the imagery if it can.

    Where none of the tries lies wholly inside, the one that shows most is taken.
    """
    moves = rng.uniform(-reach_m, reach_m, (_TRIES, 2))
    centres = np.asarray(point) + moves
    half = side_m / 2
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    best, best_share = 0, -1.0
    for number, (x, y) in enumerate(centres.tolist()):
        square = Footprint("EPSG:3857", (x - half, y - half, x + half, y + half))
        outline = cut(shapely.Polygon(square.lonlat_deg(corners)))
        if coverage.contains_properly(outline):
            return x, y
        share = shapely.intersection(coverage, outline).area / outline.area
        if share > best_share:
            best, best_share = number, share
    x, y = centres[best].tolist()
    return x, y


def _seed_words(text: str) -> list[int]:
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


def _commonest(places: Sequence[str]) -> str:
    """The place that is named most; of several the first by name."""
    counts = Counter(places)
    return min(counts, key=lambda place: (-counts[place], place))
