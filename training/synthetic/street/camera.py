"""Cameras: where photos are taken and how, scattered over carriageways or along a street."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, Bytes, Floats, Ints
from gair.errors import GairError
from training.synthetic.conditions import DASHCAM
from training.synthetic.noise import Reals
from training.synthetic.world import PIXEL_M, ROAD, World

SIGHT_M = 220.0
"""Nearer than this to the city's edge no photo is taken."""
CLEAR_M = 2.5
"""No camera stands nearer than this to a house or under a crown."""
CAMERA_SHARES = (0.45, 0.35, 0.15, 0.05)
"""Of phones, dashcams, wide and tele lenses where kinds are not given."""

_FIELD_DEG = np.array([(70, 82), (85, 105), (110, 120), (28, 40)], dtype=np.float64)
_EYE_M = np.array([(1.4, 1.9), (1.3, 1.8), (1.6, 2.6), (1.5, 2.2)], dtype=np.float64)
_HIGH_EYE_M = (4.0, 6.0)
_ROUNDS = 60


@dataclass(frozen=True)
class Cameras:
    """Where photos are taken and how; arrays of length P."""

    x_m: Reals
    y_m: Reals
    """From the city's north-west corner, to the east and to the south."""
    heading_deg: Reals
    """Clockwise from north."""
    eye_m: Reals
    """Height above the ground."""
    field_deg: Reals
    """Horizontal field of view."""
    horizon: Reals
    """Where the horizon lies, as a share of the picture's height from its top."""
    kind: Bytes
    """Numbers of :data:`~training.synthetic.conditions.CAMERAS`."""

    def __len__(self) -> int:
        return len(self.x_m)

    def take(self, which: slice | Ints | Bools) -> Cameras:
        """A part of them."""
        return Cameras(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))


def place_cameras(
    world: World,
    rng: np.random.Generator,
    count: int,
    kind: Bytes | None = None,
    *,
    high: bool = False,
) -> Cameras:
    """Random places on carriageways, at least :data:`SIGHT_M` from the city's edge.

    Args:
        world: the city.
        rng: places, directions and lenses.
        count: P.
        kind: (P,) kinds of the cameras, as in their conditions; None draws them by
            :data:`CAMERA_SHARES`. Half of the dashcams look along their street, the others and
            all else in any direction.
        high: cameras 4 to 6 m above the ground, as on a bus or a mast.

    Raises:
        GairError: the city is too small or has too few streets.
    """
    x_m, y_m = _places(world, rng, count)
    if kind is None:
        kind = rng.choice(4, count, p=CAMERA_SHARES).astype(np.uint8)
    return aim_cameras(world, rng, x_m, y_m, kind, high=high)


def aim_cameras(
    world: World,
    rng: np.random.Generator,
    x_m: Reals,
    y_m: Reals,
    kind: Bytes,
    *,
    high: bool = False,
) -> Cameras:
    """Cameras at places that were chosen; directions and lenses as in :func:`place_cameras`."""
    count = len(x_m)
    heading = rng.uniform(0, 360, count)
    along = street_heading_deg(world, x_m, y_m) + 180.0 * rng.integers(0, 2, count)
    along = along + rng.normal(0, 6, count)
    driving = (kind == DASHCAM) & (rng.random(count) < 0.5)
    heading = np.where(driving, along, heading) % 360
    return _lenses(rng, x_m, y_m, heading, kind, high=high)


def place_sequences(
    world: World,
    rng: np.random.Generator,
    sequences: int,
    frames: int,
    step_m: float = 6.0,
    kind: Bytes | None = None,
) -> tuple[Cameras, Ints]:
    """Drives along streets: frames a few metres apart, each looking ahead.

    Args:
        world: the city.
        rng: places, directions and lenses.
        sequences: S.
        frames: F of each.
        step_m: between frames.
        kind: (S,) kinds of the cameras; None for dashcams.

    Returns:
        Cameras (S * F), one sequence after the other, and the number of each one's sequence.

    Raises:
        GairError: the city has too few streets of that length.
    """
    if kind is None:
        kind = np.full(sequences, DASHCAM, np.uint8)
    runs: list[Floats] = []
    for _ in range(_ROUNDS):
        runs.extend(_drives(world, rng, 2 * sequences + 8, frames, step_m))
        if len(runs) >= sequences:
            break
    else:
        raise GairError(
            f"{sequences} sequences of {frames} frames, {step_m:g} m apart, were not found in a "
            "city of this size: ask for fewer or shorter ones"
        )
    path = np.stack(runs[:sequences])  # (S, F, 3)
    number = np.repeat(np.arange(sequences), frames)
    start_x_m, start_y_m, start_deg = path[:, 0].T
    cameras = _lenses(rng, start_x_m, start_y_m, start_deg, kind).take(number)
    x_m, y_m, heading = path.reshape(-1, 3).T.astype(np.float32)
    return dataclasses.replace(cameras, x_m=x_m, y_m=y_m, heading_deg=heading), number


def street_heading_deg(world: World, x_m: Reals, y_m: Reals) -> Floats:
    """Along the nearest street, (N,), clockwise from north, 0 to below 180."""
    row, column = _pixels(world, x_m, y_m)
    turned = world.axis[row, column].astype(np.float64) * (180 / 256)
    return np.asarray((turned + 90) % 180)


def _places(world: World, rng: np.random.Generator, count: int) -> tuple[Reals, Reals]:
    low, high = SIGHT_M + PIXEL_M, world.side_m - SIGHT_M - PIXEL_M
    if low >= high:
        raise GairError(
            f"a city {world.side_m:g} m wide has no place {SIGHT_M:g} m from its edge for a "
            "camera: make it wider"
        )
    chosen: list[Floats] = []
    for _ in range(_ROUNDS):
        points = rng.uniform(low, high, (8 * count + 64, 2))
        chosen.extend(points[stands_free(world, points[:, 0], points[:, 1])])
        if len(chosen) >= count:
            place = np.asarray(chosen[:count], dtype=np.float32).reshape(count, 2)
            return place[:, 0], place[:, 1]
    raise GairError(f"{count} free places on streets were not found: the city has too few")


def stands_free(world: World, x_m: Reals, y_m: Reals) -> Bools:
    """Whether points lie on carriageways under the open sky, clear of houses and crowns."""
    row, column = _pixels(world, x_m, y_m)
    free = (world.surface[row, column] == ROAD) & (world.height[row, column] == 0)
    for turn in np.arange(8) * (np.pi / 4):
        for away_m in (CLEAR_M / 2, CLEAR_M):
            beside = _pixels(world, x_m + away_m * np.cos(turn), y_m + away_m * np.sin(turn))
            free &= world.height[beside] == 0
    return np.asarray(free)


def _drives(
    world: World, rng: np.random.Generator, tries: int, frames: int, step_m: float
) -> list[Floats]:
    """Those of some random drives that stay on free carriageway: x, y, heading of (F, 3)."""
    x_m, y_m = (values.astype(np.float64) for values in _places(world, rng, tries))
    heading = street_heading_deg(world, x_m, y_m) + 180.0 * rng.integers(0, 2, tries)
    whole = np.ones(tries, dtype=bool)
    path = np.zeros((tries, frames, 3))
    for frame in range(frames):
        if frame:
            radians = np.radians(heading)
            x_m, y_m = x_m + step_m * np.sin(radians), y_m - step_m * np.cos(radians)
        inside = np.minimum(x_m, y_m) > SIGHT_M
        inside &= np.maximum(x_m, y_m) < world.side_m - SIGHT_M
        whole &= inside & stands_free(world, x_m, y_m)
        path[:, frame] = np.stack([x_m, y_m, heading % 360], 1)
        # The street's own direction, of its two the one that goes on.
        along = street_heading_deg(world, x_m, y_m)
        back = np.cos(np.radians(along - heading)) < 0
        along = along + 180.0 * back
        bend = (along - heading + 180) % 360 - 180
        heading = np.where(np.abs(bend) < 30, along, heading)
    return list(path[whole])


def _lenses(
    rng: np.random.Generator,
    x_m: Reals,
    y_m: Reals,
    heading_deg: Reals,
    kind: Bytes,
    *,
    high: bool = False,
) -> Cameras:
    count = len(x_m)
    low_deg, high_deg = _FIELD_DEG[kind].T
    low_m, high_m = np.full((count, 2), _HIGH_EYE_M).T if high else _EYE_M[kind].T
    return Cameras(
        x_m=np.asarray(x_m, np.float32),
        y_m=np.asarray(y_m, np.float32),
        heading_deg=np.asarray(heading_deg, np.float32),
        eye_m=rng.uniform(low_m, high_m).astype(np.float32),
        field_deg=rng.uniform(low_deg, high_deg).astype(np.float32),
        horizon=rng.uniform(0.50, 0.62, count).astype(np.float32),
        kind=np.asarray(kind, np.uint8),
    )


def _pixels(world: World, x_m: Reals, y_m: Reals) -> tuple[Ints, Ints]:
    last = world.floor.shape[0] - 1
    row = np.clip((np.asarray(y_m) / PIXEL_M).astype(np.int64), 0, last)
    column = np.clip((np.asarray(x_m) / PIXEL_M).astype(np.int64), 0, last)
    return row, column
