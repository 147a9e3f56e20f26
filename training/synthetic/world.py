"""Rasters of a city: what covers the ground, how high it is, its colours from above and beside.

Everything follows from the seed: the layout (:mod:`~training.synthetic.layout`) says where streets,
lots and water are, the style (:mod:`~training.synthetic.style`) what they look like.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Bytes
from training.synthetic import style as looks
from training.synthetic.layout import SIDEWALK_M, Layout
from training.synthetic.noise import Reals, Words, hashed, uniform

PIXEL_M = 2.5
"""Side of a world pixel; four make a Sentinel-2 pixel."""
STYLE_STEP_M = 20.0
"""Style is looked up on a grid of this step."""
HEIGHT_STEP_M = 0.25
"""Unit of the height raster."""
STRIP_ROWS = 128
"""Rows drawn at once: a multiple of 8, small enough for a processor's cache."""

GROUND, ROAD, SIDEWALK, WATER, BUILDING, TREE, LAWN = range(7)
"""What covers a pixel."""


@dataclass(frozen=True)
class World:
    """One city, (H, W) pixels of :data:`PIXEL_M`, row 0 in the north."""

    seed: int
    surface: Bytes
    height: Bytes
    """In steps of :data:`HEIGHT_STEP_M`."""
    top: Bytes
    """(H, W, 3) colour seen from above."""
    side: Bytes
    """(H, W, 3) colour of walls; of crowns for trees."""
    along: Bytes
    """Position along a wall in half metres, modulo 256; tells where windows are."""

    @property
    def side_m(self) -> float:
        """Length of the square city's side."""
        return float(self.surface.shape[0] * PIXEL_M)


def draw_world(seed: int, side_m: float, *, threads: int = 2) -> World:
    """Draw a city.

    Args:
        seed: the same seed and side give the same city.
        side_m: length of its side, rounded up to whole strips of the raster.
        threads: strips drawn at a time.
    """
    strips = int(np.ceil(side_m / (STRIP_ROWS * PIXEL_M)))
    count = strips * STRIP_ROWS
    side_m = count * PIXEL_M
    layout, looks_of_city = draw_plan(seed, side_m)
    style = _style_grid(looks_of_city, side_m)
    world = World(
        seed,
        np.empty((count, count), np.uint8),
        np.empty((count, count), np.uint8),
        np.empty((count, count, 3), np.uint8),
        np.empty((count, count, 3), np.uint8),
        np.empty((count, count), np.uint8),
    )
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda strip: _Strip(world, layout, style, strip).draw(), range(strips)))
    return world


def draw_plan(seed: int, side_m: float) -> tuple[Layout, looks.Style]:
    """Where streets are and how neighbourhoods look, which a city's rasters are drawn from.

    Args:
        seed: of the city.
        side_m: of its world, :attr:`World.side_m`.
    """
    rng = np.random.default_rng([seed, 7])
    return Layout.draw(rng, seed, side_m), looks.Style.draw(rng, side_m)


def _style_grid(style: looks.Style, side_m: float) -> dict[str, Reals]:
    """Each latent number on the style grid."""
    at = (np.arange(int(side_m / STYLE_STEP_M) + 1, dtype=np.float32) + 0.5) * STYLE_STEP_M
    return {name: style.at(name, at[None, :], at[:, None]) for name in looks.LATENTS}


class _Strip:
    """Some rows of a world, drawn layer over layer."""

    def __init__(self, world: World, layout: Layout, style: dict[str, Reals], number: int) -> None:
        self.rows = slice(number * STRIP_ROWS, (number + 1) * STRIP_ROWS)
        count = world.surface.shape[1]
        self.seed = world.seed
        self.x = ((np.arange(count, dtype=np.float32) + 0.5) * np.float32(PIXEL_M))[None, :]
        self.y = (
            (np.arange(self.rows.start, self.rows.stop, dtype=np.float32) + 0.5)
            * np.float32(PIXEL_M)
        )[:, None]
        self.ground = layout.at(self.x, self.y)
        self.style = style
        self.world = world
        self.surface = world.surface[self.rows]
        self.height = world.height[self.rows]
        self.top = world.top[self.rows]
        self.side = world.side[self.rows]

    def draw(self) -> None:
        """Fill this strip's part of the world."""
        self.world.along[self.rows] = (self.ground.along_m * 2).astype(np.int64) & 255
        self._open_ground()
        self._roads()
        self._buildings()
        self._trees()
        self._water()

    def _here(self, name: str, where: Bools | None = None) -> Reals:
        """A latent number at this strip's pixels, or at some of them."""
        row = (self.y[:, 0] / STYLE_STEP_M).astype(np.int64)
        column = (self.x[0] / STYLE_STEP_M).astype(np.int64)
        values: Reals = self.style[name][row[:, None], column[None, :]]
        return values if where is None else np.asarray(values[where])

    def _open_ground(self) -> None:
        grain = 0.9 + 0.2 * uniform(self._pixel_hash(1))
        self.is_park = uniform(self.ground.block, 5) < 0.03 + 0.25 * self._here("parks") ** 3
        colour = looks.ground_rgb(self._here("ground"), self._here("ground_tone"))
        self.top[:] = _bytes(colour * grain[..., None])
        self.side[:] = self.top
        self.height[:] = 0
        self.surface[:] = np.where(self.is_park, LAWN, GROUND)

    def _roads(self) -> None:
        road, sidewalk = self.ground.road_m > 0, self.ground.road_m > -SIDEWALK_M
        colour = looks.road_rgb(self._here("road", sidewalk), self._here("road_tone", sidewalk))
        verge = ~road[sidewalk]
        colour[verge] = 0.3 * colour[verge] + self.top[sidewalk][verge] * np.float32(0.7 / 255)
        grain = 0.94 + 0.12 * uniform(self._pixel_hash(2)[sidewalk])
        self.top[sidewalk] = _bytes(colour * grain[:, None])
        self.surface[sidewalk] = np.where(verge, SIDEWALK, ROAD)

    def _buildings(self) -> None:
        ground = self.ground
        lots = (self.surface == GROUND) & (ground.road_m < -SIDEWALK_M)
        lot = ground.lot[lots]
        limit = len(self.style["height"]) - 1
        row = np.clip((ground.lot_y_m[lots] / STYLE_STEP_M).astype(np.int64), 0, limit)
        column = np.clip((ground.lot_x_m[lots] / STYLE_STEP_M).astype(np.int64), 0, limit)
        latent = {name: grid[row, column] for name, grid in self.style.items()}
        density = latent["density"]
        chance = np.where(ground.interior[lots], 0.55 * density, 0.55 + 0.45 * density)
        gap_m = 1.0 + 4.5 * (1 - density) * (0.5 + uniform(lot, 1))
        inside = (ground.inset_u[lots] > gap_m * 0.6) & (ground.inset_v[lots] > gap_m)
        built = inside & (uniform(lot, 2) < chance)
        where = np.zeros(lots.shape, dtype=bool)
        where[lots] = built
        lot = lot[built]
        latent = {name: values[built] for name, values in latent.items()}
        tall = 4 + 22 * latent["height"] ** 1.7
        height_m = tall * (0.75 + 0.5 * uniform(lot, 3)) * np.where(uniform(lot, 4) < 0.03, 2, 1)
        self.height[where] = np.clip(height_m / HEIGHT_STEP_M, 8, 255).astype(np.uint8)
        material = [
            _near(latent[name], lot, 6 + n) for n, name in enumerate(("red", "green", "blue"))
        ]
        self.top[where] = _bytes(looks.roof_rgb(*material))
        self.side[where] = _bytes(looks.wall_rgb(*material))
        self.surface[where] = BUILDING

    def _trees(self) -> None:
        step = np.float32(7.5)
        i, j = np.floor(self.x / step), np.floor(self.y / step)
        tree = hashed(self.seed, 77, i.astype(np.int64), j.astype(np.int64))
        off_x = self.x - (i + 0.5 + 0.5 * (uniform(tree, 1) - 0.5)) * step
        off_y = self.y - (j + 0.5 + 0.5 * (uniform(tree, 2) - 0.5)) * step
        radius = 1.6 + 1.7 * uniform(tree, 3)
        wanted = self._here("trees") ** 1.5
        road_m = self.ground.road_m
        chance = np.select(
            [
                self.surface == LAWN,
                self.surface == GROUND,
                self.surface == SIDEWALK,
            ],
            [0.15 + 0.6 * wanted, 0.05 + 0.75 * wanted, 0.65 * wanted],
            default=np.float32(0),
        )
        grows = (
            (uniform(tree, 4) < chance)
            & (off_x**2 + off_y**2 < radius**2)
            & (road_m < -0.5)
            & (self.surface != BUILDING)
        )
        tree = np.broadcast_to(tree, grows.shape)[grows]
        kind = _near(self._here("foliage", grows), tree, 5)
        shade = (0.85 + 0.3 * uniform(self._pixel_hash(3)[grows]))[:, None]
        colour = looks.foliage_rgb(kind) * shade
        height_m = 4 + 8 * (0.5 * uniform(tree, 6) + 0.5 * self._here("trees", grows))
        self.height[grows] = (height_m / HEIGHT_STEP_M).astype(np.uint8)
        self.top[grows] = _bytes(colour)
        self.side[grows] = _bytes(colour * 0.9)
        self.surface[grows] = TREE

    def _water(self) -> None:
        pond = self.is_park & (uniform(self.ground.block, 9) < 0.3)
        pond &= self.ground.interior & (self.surface == LAWN)
        bridge = self.ground.road_m > 2
        water = pond | (self.ground.water & ~bridge)
        ripple = 0.9 + 0.2 * uniform(self._pixel_hash(4)[water])
        self.top[water] = _bytes(np.array([0.10, 0.20, 0.28]) * ripple[:, None])
        self.side[water] = self.top[water]
        self.height[water] = 0
        self.surface[water] = WATER
        self.height[bridge & self.ground.water] = 0

    def _pixel_hash(self, stream: int) -> Words:
        rows = np.arange(self.rows.start, self.rows.stop)[:, None]
        return hashed(self.seed, 1000 + stream, rows, np.arange(self.x.shape[1])[None, :])


def _near(latent: Reals, words: Words, stream: int) -> Reals:
    """A latent number as one house or tree has it: its neighbourhood's, a little off."""
    return np.clip(latent + 0.10 * (uniform(words, stream) - 0.5), 0, 1).astype(np.float32)


def _bytes(colour: npt.NDArray[np.floating]) -> Bytes:
    scaled: Bytes = (np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8)
    return scaled
