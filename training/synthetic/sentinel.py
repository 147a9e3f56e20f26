"""Sentinel-2-like scenes of a city: ten bands at 10 m, as uint16 digital numbers.

A pixel's reflectance is the mean over the world's pixels in it, each what its surface's spectrum
(:mod:`~training.synthetic.spectra`) makes of its colour. Houses, trees and hills cast shadows,
slopes are lit as they lie to the sun, and under bare crowns the ground shows through. The six bands
that Sentinel-2 takes at 20 m are averaged over 20 m. A *scene* adds what differs from date to date:
the sun, the season of leaves and grass, haze, and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, DigitalNumbers
from gair.bands import GAIR_BANDS
from gair.errors import UsageError
from training.synthetic.compiled import compiled
from training.synthetic.conditions import (
    SEASONS,
    autumn_colour,
    grass_vigour,
    leaf_cover,
    sun_deg,
)
from training.synthetic.noise import Reals
from training.synthetic.spectra import LEAVES, TWIGS, spectra
from training.synthetic.world import (
    CELL_M,
    HEIGHT_STEP_M,
    PIXEL_M,
    RELIEF_STEP_M,
    TREE,
    World,
)

Numbers = npt.NDArray[np.int32]

FINE = 4
"""World pixels along the side of a Sentinel-2 pixel."""
COARSE_BANDS = ("B5", "B6", "B7", "B8A", "B11", "B12")
"""Bands that Sentinel-2 takes at 20 m."""
SHADE = 0.45
"""Light of the sky alone, as a share of full sunlight."""
TWIG_SHARE = 0.2
"""What of the ground below them bare branches hide."""

_WINTER_DAY = 334
"""The day of the year on which winter begins."""
_SEASON_DAYS = (92, 92, 92, 89)
"""Of :data:`SEASONS`, as :attr:`Conditions.season` counts them."""
_PASS_HOUR = 10.5
"""Solar time of Sentinel-2's passes."""


@dataclass(frozen=True)
class Scene:
    """The conditions of one acquisition."""

    acquired: date
    sun_azimuth_deg: float
    """Clockwise from north."""
    sun_elevation_deg: float
    leaves: float
    """Share of their leaves that deciduous trees carry."""
    turned: float
    """How far these have turned, 0 to 1."""
    grass: float
    """How green grass is; 1 in early summer."""
    vigour: float
    """Gain beyond the red edge of all that grows, about 1."""
    haze: float
    """Reflectance added to the blue band; less at longer waves."""
    gain: float
    noise_dn: float
    snow: float = 0.0
    """Share of the open ground under snow."""

    @classmethod
    def draw(cls, rng: np.random.Generator, year: int = 2024, season: str | None = None) -> Scene:
        """A clear day at half past ten, the hour of Sentinel-2's passes.

        Args:
            rng: which day of the year, and its air.
            year: of the date.
            season: one of :data:`SEASONS`; None is any.
        """
        if season is None:
            day = int(rng.integers(1, 366))
        else:
            day = _day_in(SEASONS.index(season), rng, 0, 1)
        return cls.of_day(day, rng, year)

    @classmethod
    def of_day(cls, day_of_year: int, rng: np.random.Generator, year: int = 2024) -> Scene:
        """A clear day, 1 to 365."""
        day = np.asarray(day_of_year)
        azimuth, elevation = sun_deg(day, np.asarray(_PASS_HOUR + rng.uniform(-0.25, 0.25)))
        return cls(
            acquired=date(year, 1, 1) + timedelta(days=day_of_year - 1),
            sun_azimuth_deg=float(azimuth),
            sun_elevation_deg=float(elevation),
            leaves=float(leaf_cover(day)),
            turned=float(autumn_colour(day)),
            grass=float(grass_vigour(day)),
            vigour=float(rng.uniform(0.95, 1.05)),
            haze=float(rng.uniform(0, 0.015)),
            gain=float(rng.uniform(0.94, 1.06)),
            noise_dn=30.0,
        )


def draw_scenes(rng: np.random.Generator, count: int, year: int = 2024) -> list[Scene]:
    """Scenes of ``count`` different days of a year, oldest first.

    Two are of opposite seasons, four of all; more are spread evenly over them.

    Raises:
        UsageError: more scenes than a year has days.
    """
    if count > 4 * min(_SEASON_DAYS):
        raise UsageError(f"{count} dates do not fit in a year: ask for fewer than 357")
    first = int(rng.integers(4))
    days = []
    for number in range(count):
        place = number % 4
        parts = (count - place + 3) // 4
        season = (first + (0, 2, 1, 3)[place]) % 4
        days.append(_day_in(season, rng, number // 4, parts))
    return [Scene.of_day(day, rng, year) for day in sorted(days)]


def _day_in(season: int, rng: np.random.Generator, part: int, parts: int) -> int:
    """A day of one of the equal parts of a season."""
    begin, length = sum(_SEASON_DAYS[:season]), _SEASON_DAYS[season]
    day = begin + int(rng.integers(part * length // parts, (part + 1) * length // parts))
    return (_WINTER_DAY + day - 1) % 365 + 1


def observe(world: World, scene: Scene, rng: np.random.Generator) -> DigitalNumbers:
    """The digital numbers of one scene.

    Returns:
        (10, H / 4, W / 4) reflectance x 10000, bands in the order of ``GAIR_BANDS``; never 0, which
        means no data.
    """
    reflectance = _reflectance(world, scene)
    observed = np.empty(reflectance.shape, dtype=np.uint16)
    for band, name in enumerate(GAIR_BANDS):
        values = reflectance[band]
        if name in COARSE_BANDS:
            values = _at_20_m(values)
        values += np.float32(scene.haze * (1 - band / len(GAIR_BANDS)) ** 2)
        values *= np.float32(10_000 * scene.gain)
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values += noise * np.float32(scene.noise_dn)
        observed[band] = np.clip(values, 1, 10_000)
    return observed


def shadows(world: World, sun_azimuth_deg: float, sun_elevation_deg: float) -> Bytes:
    """Where the sun is hidden by a house, a tree or a hill: (H, W), 1 in shadow."""
    toward = np.radians(sun_azimuth_deg)
    east, south = float(np.sin(toward)), float(-np.cos(toward))
    slope = float(np.tan(np.radians(sun_elevation_deg)))
    shadow = np.zeros(world.height.shape, dtype=np.uint8)
    if abs(south) >= abs(east):
        _cast(world.height, world.relief_m, south > 0, -east / abs(south), slope, shadow)
    else:
        _cast(world.height.T, world.relief_m.T, east > 0, -south / abs(east), slope, shadow.T)
    return shadow


def _reflectance(world: World, scene: Scene) -> Reals:
    """(10, H / 4, W / 4) float32, all bands at 10 m, without air and noise."""
    toward, up = np.radians(scene.sun_azimuth_deg), np.radians(scene.sun_elevation_deg)
    # How much less light falls on ground that rises by one towards the east and the south.
    along = np.array([np.sin(toward), -np.cos(toward)]) / np.tan(up)
    trees, cells = world.trees, world.tree_cells
    maps = spectra(turned=scene.turned, grass=scene.grass, vigour=scene.vigour, snow=scene.snow)
    side = world.surface.shape[0] // FINE
    reflectance = np.zeros((len(GAIR_BANDS), side, side), dtype=np.float32)
    _reflect(
        world.surface,
        world.top,
        world.floor,
        world.floor_rgb,
        shadows(world, scene.sun_azimuth_deg, scene.sun_elevation_deg),
        world.relief_m,
        along.astype(np.float32),
        (trees.x_m, trees.y_m, trees.radius_m, trees.conifer),
        (cells.side, cells.start, cells.items),
        scene.leaves,
        maps,
        reflectance,
    )
    return reflectance


@compiled
def _cast(
    height: Bytes, relief_m: Reals, from_last: bool, shear: float, slope: float, shadow: Bytes
) -> None:
    """Follow every ray of light from the sunny side, row by row, and mark what it passes above.

    Args:
        height: (H, W), so turned that light runs rather along columns than along rows.
        relief_m: of the terrain, turned likewise.
        from_last: whether the sun stands beyond the last row.
        shear: columns by which light moves on from row to row, at most 1 either way.
        slope: tangent of the sun's elevation.
        shadow: (H, W), to be filled.
    """
    rows, columns = height.shape
    drop = np.float32(PIXEL_M * np.sqrt(1 + shear * shear) * slope)
    step = np.float32(HEIGHT_STEP_M)
    before = int(np.ceil(abs(shear) * rows)) + 1
    # One ray for each column in each row; it carries the height below which it casts shadow.
    ray = np.full(columns + 2 * before, np.float32(-1e9))
    line = np.empty(relief_m.shape[1], dtype=np.float32)
    per_pixel = np.float32(PIXEL_M / RELIEF_STEP_M)
    for number in range(rows):
        row = rows - 1 - number if from_last else number
        y = (np.float32(row) + np.float32(0.5)) * per_pixel
        j = min(int(y), relief_m.shape[0] - 2)
        down = y - np.float32(j)
        for i in range(len(line)):
            line[i] = relief_m[j, i] + down * (relief_m[j + 1, i] - relief_m[j, i])
        first = before - int(np.floor(shear * number + 0.5))
        for column in range(columns):
            x = (np.float32(column) + np.float32(0.5)) * per_pixel
            i = min(int(x), len(line) - 2)
            ground = line[i] + (x - np.float32(i)) * (line[i + 1] - line[i])
            level = ground + height[row, column] * step
            shade = ray[first + column] - drop
            # Within one step heights are equal: a flat roof does not shade itself.
            shadow[row, column] = shade > level + step
            ray[first + column] = max(shade, level)


@compiled
def _reflect(
    surface: Bytes,
    top: Bytes,
    floor: Bytes,
    floor_rgb: Bytes,
    shadow: Bytes,
    relief_m: Reals,
    along: Reals,
    trees: tuple[Reals, Reals, Reals, Bytes],
    cells: tuple[int, Numbers, Numbers],
    leaves: float,
    maps: Reals,
    reflectance: Reals,
) -> None:
    """Sum the world's pixels in each Sentinel-2 pixel by surface, then apply the spectra."""
    bands, height, width = reflectance.shape
    rows = maps.shape[0]
    share = np.float32(1.0 / (FINE * FINE))
    to_unit = np.float32(1.0 / 255)
    part = np.zeros((rows, 4), dtype=np.float32)  # red, green, blue, light of each surface
    leafy = np.float32(leaves)
    bare = np.float32(1) - leafy
    twigs = bare * np.float32(TWIG_SHARE)
    for j in range(height):
        for i in range(width):
            part[:] = 0
            sunny = _sunny(relief_m, along, j, i)
            for row in range(j * FINE, (j + 1) * FINE):
                for column in range(i * FINE, (i + 1) * FINE):
                    light = np.float32(SHADE) if shadow[row, column] else sunny
                    light *= share
                    kind = surface[row, column]
                    if kind == TREE and not _is_conifer(trees, cells, row, column):
                        part[TWIGS, 3] += light * twigs
                        below = floor[row, column]
                        seen = light * (bare - twigs)
                        for k in range(3):
                            part[below, k] += seen * floor_rgb[row, column, k] * to_unit
                        part[below, 3] += seen
                        kind = LEAVES
                        light *= leafy
                    for k in range(3):
                        part[kind, k] += light * top[row, column, k] * to_unit
                    part[kind, 3] += light
            for row in range(rows):
                if part[row, 3] == 0:
                    continue
                for band in range(bands):
                    reflectance[band, j, i] += (
                        maps[row, band, 0] * part[row, 0]
                        + maps[row, band, 1] * part[row, 1]
                        + maps[row, band, 2] * part[row, 2]
                        + maps[row, band, 3] * part[row, 3]
                    )


@compiled
def _sunny(relief_m: Reals, along: Reals, j: int, i: int) -> float:
    """Light on the slope of a Sentinel-2 pixel: 1 on level ground."""
    y = (np.float32(j) + np.float32(0.5)) * np.float32(FINE * PIXEL_M / RELIEF_STEP_M)
    x = (np.float32(i) + np.float32(0.5)) * np.float32(FINE * PIXEL_M / RELIEF_STEP_M)
    row, column = min(int(y), relief_m.shape[0] - 2), min(int(x), relief_m.shape[1] - 2)
    south, east = y - np.float32(row), x - np.float32(column)
    one = np.float32(1)
    step = np.float32(RELIEF_STEP_M)
    nw, ne = relief_m[row, column], relief_m[row, column + 1]
    sw, se = relief_m[row + 1, column], relief_m[row + 1, column + 1]
    rise_east = ((ne - nw) * (one - south) + (se - sw) * south) / step
    rise_south = ((sw - nw) * (one - east) + (se - ne) * east) / step
    # The cosine between the slope's normal and the sun, over that of level ground.
    lean = one - along[0] * rise_east - along[1] * rise_south
    lean /= np.sqrt(one + rise_east * rise_east + rise_south * rise_south)
    light: float = np.float32(SHADE) + np.float32(1 - SHADE) * max(lean, np.float32(0))
    return light


@compiled
def _is_conifer(
    trees: tuple[Reals, Reals, Reals, Bytes],
    cells: tuple[int, Numbers, Numbers],
    row: int,
    column: int,
) -> bool:
    """Whether the crown over a world pixel is evergreen: that of which it is nearest the trunk."""
    x_m, y_m, radius_m, conifer = trees
    side, start, items = cells
    x = (np.float32(column) + np.float32(0.5)) * np.float32(PIXEL_M)
    y = (np.float32(row) + np.float32(0.5)) * np.float32(PIXEL_M)
    cell = int(y / np.float32(CELL_M)) * side + int(x / np.float32(CELL_M))
    nearest = np.float32(np.inf)
    evergreen = False
    for number in range(start[cell], start[cell + 1]):
        tree = items[number]
        dx, dy = x - x_m[tree], y - y_m[tree]
        far = (dx * dx + dy * dy) / (radius_m[tree] * radius_m[tree])
        if far < nearest:
            nearest = far
            evergreen = conifer[tree] == 1
    return evergreen


def _at_20_m(band: Reals) -> Reals:
    """Averaged over 2 x 2 pixels and repeated, as a reader's nearest resampling gives it back."""
    height, width = band.shape[0] // 2 * 2, band.shape[1] // 2 * 2
    means = band[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    out = band.copy()
    out[:height, :width] = np.repeat(np.repeat(means, 2, axis=0), 2, axis=1)
    return out
