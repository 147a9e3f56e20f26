"""Labels of a synthetic city, for models that are taught to see it.

Everything is read from the rasters and the plan that the pictures are drawn from, so labels are
exact: what covers the ground at 10 m, which share of a place's surroundings each cover has, which
way a street runs, and what kind of neighbourhood a place is in.
"""

from __future__ import annotations

import numpy as np

from gair.arrays import Bools, Bytes, Floats, Ints
from training.synthetic.drawing import draw_plan
from training.synthetic.noise import Reals
from training.synthetic.sentinel import FINE
from training.synthetic.world import (
    BUILDING,
    GROUND,
    LAWN,
    PARKING,
    PIXEL_M,
    PLAZA,
    RAIL,
    ROAD,
    SIDEWALK,
    TREE,
    WATER,
    World,
)

COVERS: dict[str, tuple[int, ...]] = {
    "building": (BUILDING,),
    "road": (ROAD, SIDEWALK, RAIL, PARKING, PLAZA),
    "tree": (TREE,),
    "open": (GROUND, LAWN),
    "water": (WATER,),
}
"""Classes of land cover, by what covers a pixel; all that is paved or railed is road."""
KIND_LATENTS = ("height", "trees", "red")
"""The latent numbers that a kind of neighbourhood is made of: each low or high."""


def cover_at_10m(world: World) -> Bytes:
    """The class that covers most of each Sentinel-2 pixel: (H / 4, W / 4), in ``COVERS``' order."""
    count = world.surface.shape[0] // FINE
    votes = np.stack(
        [
            np.isin(world.surface, kinds).reshape(count, FINE, count, FINE).sum(axis=(1, 3))
            for kinds in COVERS.values()
        ]
    )
    return np.asarray(votes.argmax(axis=0), dtype=np.uint8)


def cover_share(world: World, cover: str, x_m: Reals, y_m: Reals, reach_m: float = 60.0) -> Floats:
    """Which share of the square around each place a class covers.

    Args:
        world: the city.
        cover: a key of :data:`COVERS`.
        x_m: (N,) metres to the east of the corner.
        y_m: (N,) metres to the south of it.
        reach_m: half the square's side; squares are cut at the city's edge.

    Returns:
        (N,) from 0 to 1.
    """
    member = np.isin(world.surface, COVERS[cover])
    # A summed-area table: the count in any square is four look-ups of its corners.
    total = np.zeros((member.shape[0] + 1, member.shape[1] + 1), dtype=np.int64)
    total[1:, 1:] = member.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    side, reach = member.shape[0], round(reach_m / PIXEL_M)
    row = (np.asarray(y_m) / PIXEL_M).astype(np.int64)
    column = (np.asarray(x_m) / PIXEL_M).astype(np.int64)
    top, bottom = np.clip(row - reach, 0, side), np.clip(row + reach + 1, 0, side)
    left, right = np.clip(column - reach, 0, side), np.clip(column + reach + 1, 0, side)
    inside = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    return np.asarray(inside / ((bottom - top) * (right - left)), dtype=np.float64)


def street_axis_deg(world: World, x_m: Reals, y_m: Reals) -> Floats:
    """The direction of the street nearest to each place.

    Returns:
        (N,) clockwise from north, from 0 to below 180: a street has two ways.
    """
    row = (np.asarray(y_m) / PIXEL_M).astype(np.int64)
    column = (np.asarray(x_m) / PIXEL_M).astype(np.int64)
    # The raster counts from east towards south, which is clockwise, too.
    return np.asarray((world.axis[row, column] * (180 / 256) + 90) % 180, dtype=np.float64)


def looks_along(heading_deg: Reals, axis_deg: Floats) -> Bools:
    """Whether cameras look along their street (within 45 degrees, either way) or at its side."""
    apart = np.abs((np.asarray(heading_deg, dtype=np.float64) - axis_deg + 90) % 180 - 90)
    return np.asarray(apart < 45)


def neighbourhood_kind(seed: int, side_m: float, x_m: Reals, y_m: Reals) -> Ints:
    """Which of ``2 ** len(KIND_LATENTS)`` kinds of neighbourhood each place is in, (N,).

    Args:
        seed: of the city.
        side_m: of its world, :attr:`World.side_m`.
        x_m: (N,) metres to the east of the corner.
        y_m: (N,) metres to the south of it.
    """
    _, style = draw_plan(seed, side_m)
    kind = np.zeros(np.shape(x_m), dtype=np.int64)
    for bit, name in enumerate(KIND_LATENTS):
        kind |= (style.at(name, np.asarray(x_m), np.asarray(y_m)) > 0.5).astype(np.int64) << bit
    return kind
