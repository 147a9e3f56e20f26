"""Street photos of a city, ray-cast through its rasters.

Each image column is a ray over the height raster. Along a ray the highest angle seen so far grows
with distance; a pixel shows the first place whose top reaches the pixel's angle. Walls have windows
and a roof above them, leaves have shade; the sky, the light, haze, a few cars and the camera's
noise differ from photo to photo. A photo holds no text and nothing that only a photo could know.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, Bytes, Ints
from training.synthetic.noise import Reals, hashed, uniform
from training.synthetic.world import BUILDING, HEIGHT_STEP_M, PIXEL_M, ROAD, TREE, World

WIDTH_PX, HEIGHT_PX = 128, 96
SIGHT_M = 220.0
"""Nothing further away is drawn; nearer to the city's edge no photo is taken."""

CLEAR_PX = 2
"""No camera stands nearer than this to a wall or a tree, world pixels."""


@dataclass(frozen=True)
class Cameras:
    """Where photos are taken and how; arrays of length P."""

    x_m: Reals
    y_m: Reals
    """From the city's north-west corner, to the east and to the south."""
    heading_deg: Reals
    """Clockwise from north."""
    eye_m: Reals
    focal_px: Reals
    horizon_px: Reals
    """Row of the horizon."""

    def __len__(self) -> int:
        return len(self.x_m)

    def take(self, which: slice | Ints | Bools) -> Cameras:
        """A part of them."""
        return Cameras(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))


@dataclass(frozen=True)
class Weather:
    """The light of each photo; arrays of length P."""

    sky_rgb: Reals
    """(P, 3)."""
    light_rgb: Reals
    """(P, 3) gain of the whole scene."""
    clear_m: Reals
    """Distance over which haze takes two thirds of the contrast."""
    sun_deg: Reals

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int) -> Weather:
        """From blue noon over grey to a warm evening."""
        cloud, warm = rng.random((count, 1)), rng.random((count, 1)) ** 3
        blue, grey = np.array([0.45, 0.65, 0.95]), np.array([0.78, 0.80, 0.82])
        sky = (blue + (grey - blue) * cloud) * (1 - 0.4 * warm * np.array([-0.3, 0.4, 1.0]))
        gain = rng.uniform(0.85, 1.1, (count, 1)) * (1 - 0.1 * cloud)
        tint = 1 + 0.08 * warm * np.array([1.0, 0.0, -1.0]) + rng.normal(0, 0.015, (count, 3))
        return cls(
            sky.astype(np.float32),
            (gain * tint).astype(np.float32),
            rng.uniform(250, 1500, count).astype(np.float32),
            rng.uniform(0, 360, count).astype(np.float32),
        )


def place_cameras(world: World, rng: np.random.Generator, count: int) -> Cameras:
    """Random places on carriageways, at least :data:`SIGHT_M` from the city's edge."""
    edge = int(SIGHT_M / PIXEL_M) + 1
    side = world.surface.shape[0]
    found_row: list[Ints] = []
    found_column: list[Ints] = []
    while sum(map(len, found_row)) < count:
        row, column = rng.integers(edge, side - edge, (2, 8 * count))
        road = world.surface[row, column] == ROAD
        for step in (-CLEAR_PX, CLEAR_PX):
            road &= world.height[row + step, column] == 0
            road &= world.height[row, column + step] == 0
        found_row.append(row[road])
        found_column.append(column[road])
    row, column = np.concatenate(found_row)[:count], np.concatenate(found_column)[:count]
    return Cameras(
        x_m=((column + rng.random(count)) * PIXEL_M).astype(np.float32),
        y_m=((row + rng.random(count)) * PIXEL_M).astype(np.float32),
        heading_deg=rng.uniform(0, 360, count).astype(np.float32),
        eye_m=rng.uniform(1.5, 2.6, count).astype(np.float32),
        focal_px=(WIDTH_PX / 2 / np.tan(np.radians(rng.uniform(80, 100, count) / 2))).astype(
            np.float32
        ),
        horizon_px=(HEIGHT_PX * rng.uniform(0.50, 0.60, count)).astype(np.float32),
    )


def photograph(world: World, cameras: Cameras, weather: Weather, rng: np.random.Generator) -> Bytes:
    """The photos of some cameras, (P, HEIGHT_PX, WIDTH_PX, 3) RGB.

    Memory grows with P: about 60 MB for 64.
    """
    rays = _Rays(world, cameras)
    cell, depth, kind = rays.see()
    colour = _surface_colours(world, cameras, weather, cell, depth, kind)
    haze = np.exp(-depth / weather.clear_m[:, None, None])[..., None]
    horizon = 0.5 + 0.5 * weather.sky_rgb[:, None, None]
    lit = colour * weather.light_rgb[:, None, None] * haze + horizon * (1 - haze) * 0.9
    picture = np.where((kind == _SKY)[..., None], _sky(cameras, weather), lit)
    _park_cars(picture, depth, cameras, weather, rng)
    picture += rng.normal(0, 0.012, picture.shape).astype(np.float32)
    photos: Bytes = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return photos


_SKY, _GROUND, _OBSTACLE = 0, 1, 2


class _Rays:
    """The rays of some cameras through a world."""

    def __init__(self, world: World, cameras: Cameras) -> None:
        self.world, self.cameras = world, cameras
        heading = np.radians(cameras.heading_deg)
        column = np.arange(WIDTH_PX, dtype=np.float32) + 0.5 - WIDTH_PX / 2
        aside = column[None, :] / cameras.focal_px[:, None]  # (P, W), per metre of depth
        forward_x, forward_y = np.sin(heading)[:, None], -np.cos(heading)[:, None]
        self.dx = (forward_x - forward_y * aside).astype(np.float32)
        self.dy = (forward_y + forward_x * aside).astype(np.float32)
        self.rows = np.arange(HEIGHT_PX, dtype=np.float32) + 0.5

    def see(self) -> tuple[Ints, Reals, Bytes]:
        """What each pixel shows: world pixel, depth in metres, sky, ground or obstacle."""
        cameras = self.cameras
        cell = self._cells(self.dx[:, :, None] * _DEPTHS_M, self.dy[:, :, None] * _DEPTHS_M)
        height_m = self.world.height.ravel()[cell] * np.float32(HEIGHT_STEP_M)  # (P, W, T)
        above = (height_m - cameras.eye_m[:, None, None]) / _DEPTHS_M
        top = cameras.horizon_px[:, None, None] - cameras.focal_px[:, None, None] * above
        top = np.where(height_m > 0.3, top, np.float32(HEIGHT_PX + 9))
        # Image rows count downwards, so the highest top so far is the least row, (P, W, T).
        first = _first_at_or_above(np.minimum.accumulate(top, axis=2))  # (P, H, W)
        hit = first < len(_DEPTHS_M)
        first = np.minimum(first, len(_DEPTHS_M) - 1)
        obstacle_m = np.where(hit, _DEPTHS_M[first], np.float32(np.inf))
        # Flat ground: a row that is `below` the horizon shows it at focal * eye / below.
        below = self.rows[None, :] - cameras.horizon_px[:, None]  # (P, H)
        ground_m = np.where(
            below > 0,
            cameras.focal_px[:, None] * cameras.eye_m[:, None] / np.maximum(below, 1e-3),
            np.inf,
        ).astype(np.float32)[:, :, None]
        is_obstacle = obstacle_m < ground_m
        is_ground = ~is_obstacle & (ground_m < SIGHT_M)
        kind = np.where(is_obstacle, _OBSTACLE, np.where(is_ground, _GROUND, _SKY))
        depth = np.minimum(np.where(is_obstacle, obstacle_m, ground_m), SIGHT_M)
        # (P, H, W), at its depth for each image pixel
        ground_cell = self._cells(self.dx[:, None, :] * depth, self.dy[:, None, :] * depth)
        obstacle_cell = np.take_along_axis(cell.transpose(0, 2, 1), first, axis=1)
        return (
            np.where(is_obstacle, obstacle_cell, ground_cell),
            depth.astype(np.float32),
            kind.astype(np.uint8),
        )

    def _cells(self, east_m: Reals, south_m: Reals) -> Ints:
        """World pixels at offsets from the cameras, (P, ., .)."""
        side = self.world.surface.shape[0]
        x_m = self.cameras.x_m[:, None, None] + east_m
        y_m = self.cameras.y_m[:, None, None] + south_m
        column = np.clip((x_m * np.float32(1 / PIXEL_M)).astype(np.int64), 0, side - 1)
        row = np.clip((y_m * np.float32(1 / PIXEL_M)).astype(np.int64), 0, side - 1)
        return np.asarray(row * side + column, dtype=np.int64)


def _depths() -> Reals:
    """Distances at which rays look: every 0.8 m at first, then every 2 percent."""
    depths = [1.5]
    while depths[-1] < SIGHT_M:
        depths.append(depths[-1] + max(0.8, 0.02 * depths[-1]))
    return np.asarray(depths, dtype=np.float32)


_DEPTHS_M = _depths()


def _first_at_or_above(top: Reals) -> Ints:
    """For each image row, the first step along the ray whose top reaches it.

    Args:
        top: (P, W, T) image row of the highest top so far, not increasing along T.

    Returns:
        (P, H, W); T where no step reaches the row.
    """
    photos, width, steps = top.shape
    reached = np.clip(np.ceil(top - 0.5), 0, HEIGHT_PX).astype(np.int64)  # first row it reaches
    lane = np.arange(photos * width).reshape(photos, width, 1) * (HEIGHT_PX + 1)
    counts = np.bincount((lane + reached).ravel(), minlength=photos * width * (HEIGHT_PX + 1))
    # until[r]: steps whose top reaches row r or a higher one. Along the ray the highest top so far
    # never falls, so those are the last ones, and the first of them is step T - until.
    until = counts.reshape(photos, width, HEIGHT_PX + 1)[:, :, :HEIGHT_PX].cumsum(axis=2)
    return np.ascontiguousarray((steps - until).transpose(0, 2, 1))


def _surface_colours(
    world: World,
    cameras: Cameras,
    weather: Weather,
    cell: Ints,
    depth_m: Reals,
    kind: Bytes,
) -> Reals:
    """The unlit colour of each pixel, (P, H, W, 3)."""
    top = world.top.reshape(-1, 3)
    colour = top[cell].astype(np.float32) / 255
    where = kind == _OBSTACLE
    at, far = cell[where], depth_m[where]
    photo, row, _ = np.nonzero(where)
    up_m = (
        cameras.eye_m[photo]
        + (cameras.horizon_px[photo] - row - 0.5) * far / (cameras.focal_px[photo])
    )
    surface = world.surface.ravel()[at]
    height_m = world.height.ravel()[at] * np.float32(HEIGHT_STEP_M)
    roof = (surface == BUILDING) & (up_m > height_m - np.minimum(0.3 * height_m, 3.5))
    side = world.side.reshape(-1, 3)[at].astype(np.float32) / 255
    side = np.where(roof[:, None], colour[where], side)
    column = (world.along.ravel()[at] // np.uint8(2 * PIXEL_M)) % 2 == 0
    storey = (up_m / 3.1) % 1
    window = (surface == BUILDING) & ~roof & column & (storey > 0.35) & (storey < 0.8)
    seen = np.clip(1.3 - far / 70, 0, 1)[:, None]  # windows melt together far away
    side = np.where(window[:, None], side * (1 - 0.6 * seen), side * (1 - 0.13 * (1 - seen)))
    trunk = (surface == TREE) & (up_m < 1.6)
    side = np.where(trunk[:, None], np.array([0.26, 0.20, 0.15], dtype=np.float32), side)
    leaf = 0.8 + 0.4 * uniform(hashed(at, (up_m * 2).astype(np.int64)))
    side *= np.where(surface == TREE, leaf, np.float32(1))[:, None]
    colour[where] = side * _facing(world, at, weather.sun_deg[photo])[:, None]
    return colour


def _facing(world: World, cell: Ints, sun_deg: Reals) -> Reals:
    """Brightness of a wall by how it faces the sun."""
    height = world.height.ravel()
    side = world.surface.shape[0]
    limit = height.size - 1
    east = height[np.minimum(cell + 1, limit)].astype(np.float32)
    east -= height[np.maximum(cell - 1, 0)]
    south = height[np.minimum(cell + side, limit)].astype(np.float32)
    south -= height[np.maximum(cell - side, 0)]
    size = np.maximum(np.hypot(east, south), 1e-3)
    sun = np.radians(sun_deg)
    toward = (-east * np.sin(sun) + south * np.cos(sun)) / size  # the normal points downhill
    return np.asarray(0.8 + 0.2 * toward, dtype=np.float32)


def _sky(cameras: Cameras, weather: Weather) -> Reals:
    """Paler towards the horizon, (P, H, 1, 3)."""
    row = np.arange(HEIGHT_PX, dtype=np.float32)[None, :]
    up = np.clip(1 - row / cameras.horizon_px[:, None], 0, 1)[:, :, None, None]
    sky = weather.sky_rgb[:, None, None]
    return np.asarray(sky * (0.4 + 0.6 * up) + 0.55 * (1 - up), dtype=np.float32)


def _park_cars(
    picture: Reals, depth_m: Reals, cameras: Cameras, weather: Weather, rng: np.random.Generator
) -> None:
    """Up to three boxes on wheels in each photo, which no satellite will see."""
    for photo in range(len(cameras)):
        focal, horizon = cameras.focal_px[photo], cameras.horizon_px[photo]
        for _ in range(int(rng.integers(0, 4))):
            far, aside = rng.uniform(6, 35), rng.uniform(-9, 9)
            wide, paint = rng.uniform(1.8, 4.2), rng.uniform(0.08, 0.9, 3)
            bottom = horizon + focal * cameras.eye_m[photo] / far
            rows = slice(max(0, int(bottom - focal * 1.5 / far)), min(HEIGHT_PX, int(bottom)))
            middle = WIDTH_PX / 2 + focal * aside / far
            half = focal * wide / 2 / far
            columns = slice(max(0, int(middle - half)), min(WIDTH_PX, int(middle + half)))
            part = picture[photo, rows, columns]
            if not part.size:
                continue
            paint = paint * weather.light_rgb[photo]
            height = np.linspace(1, 0, part.shape[0])[:, None, None]
            shade = np.where((height > 0.55) & (height < 0.9), 0.45, np.where(height < 0.2, 0.2, 1))
            seen = depth_m[photo, rows, columns] > far - 1
            part[seen] = np.broadcast_to(paint * shade, part.shape)[seen]
