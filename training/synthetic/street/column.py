"""Column of a photo: one ray over the ground and through the houses, front to back.

Ground and houses together are a surface with one height at each place: along a ray the highest
image row reached so far only rises, so every row is painted once, by the first thing to reach it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Floats32
from training.synthetic.compiled import inlined
from training.synthetic.street.eye import LAMP_RGB, Eye
from training.synthetic.street.facade import Hit, paint_roof, paint_wall, roof_m
from training.synthetic.street.floor import floor_rgb
from training.synthetic.street.light import Light
from training.synthetic.street.shadow import crossing, shade_height, shaded
from training.synthetic.street.stage import BASE, COS, EAVES, RISE, SIN, Stage, X, Y
from training.synthetic.street.terrain import relief_at
from training.synthetic.world import CELL_M

FAR_M = 600.0
"""Nothing further away is drawn."""
NEAR_M = 0.7
"""Where rays begin."""
HITS = 64
"""No ray remembers more houses than this that it has not come to yet."""
_UNKNOWN = 2
_FINE_M = 0.25
"""Where a sample covers less ground than this, it is shared."""


def depth_steps() -> Floats32:
    """Depths at which rays look at the terrain and at shadows: closer together near the camera."""
    depths = [NEAR_M]
    while depths[-1] < FAR_M:
        depths.append(depths[-1] + 0.6 + 0.05 * depths[-1])
    depths[-1] = FAR_M
    return np.asarray(depths, dtype=np.float32)


class Ray(NamedTuple):
    """What the columns of one photo share, and what they write."""

    steps: Floats32
    """(K,) depths."""
    clear: Floats32
    """(K,) share of the light that haze lets through from there."""
    lit: npt.NDArray[np.uint8]
    """(K,) whether the sun shines on the ground there; 2 for not yet asked."""
    edge: Floats32
    """(K,) depth at which that changes before the next."""
    lamps: Floats32
    """(L, 2) where street lamps stand."""
    seen: npt.NDArray[np.int32]
    """(N,) the last ray that met a house."""
    patch: Floats
    """(PATCH,) the floor that was last read."""
    mirrors: bool
    """Whether two by two samples make a pixel, of which near ground needs but two."""
    waiting: npt.NDArray[np.int32]
    """(2, HITS) room for houses that a ray meets, and their walls."""
    between: Floats32
    """(2, HITS) room for the depths at which it enters and leaves them."""


@inlined
def cast(
    stage: Stage,
    light: Light,
    eye: Eye,
    ray: Ray,
    stamp: int,
    dx: float,
    dy: float,
    rgb: Floats32,
    depth: Floats32,
) -> int:
    """Paint one column; returns its first painted row, above which is sky.

    Args:
        stage: the world.
        light: of the photo.
        eye: the camera.
        ray: of the photo; the lit steps are kept from one column to the next.
        stamp: a number of this ray's own.
        dx: east, for each metre of depth.
        dy: south.
        rgb: (rows, 3) to paint.
        depth: (rows,) to paint.
    """
    ids, walls = ray.waiting[0], ray.waiting[1]
    enters, leaves = ray.between[0], ray.between[1]
    waiting = 0
    # A bare 0 is a type of its own at first: what follows would be compiled for it, too.
    top, step = eye.rows, int(np.int64(0))
    before = relief_at(stage, eye.x + dx * NEAR_M, eye.y + dy * NEAR_M)
    column, row = int(eye.x / CELL_M), int(eye.y / CELL_M)
    way_x, way_y = (1 if dx > 0 else -1), (1 if dy > 0 else -1)
    each_x, each_y = CELL_M / max(abs(dx), 1e-9), CELL_M / max(abs(dy), 1e-9)
    next_x = abs((column + (1 if dx > 0 else 0)) * CELL_M - eye.x) / max(abs(dx), 1e-9)
    next_y = abs((row + (1 if dy > 0 else 0)) * CELL_M - eye.y) / max(abs(dy), 1e-9)
    into = 0.0
    while top > 0:
        slope = _slope(eye, top)
        out = min(next_x, next_y, FAR_M)
        if 0 <= column < stage.casters.cells and 0 <= row < stage.casters.cells:
            cell = row * stage.casters.cells + column
            last = stage.casters.house_start[cell + 1]
            # Too low to be seen over what is painted.
            if slope > 0 and stage.casters.roof_tops[cell] - eye.z < slope * into:
                last = stage.casters.house_start[cell]
            for item in range(stage.casters.house_start[cell], last):
                house = stage.casters.house_items[item]
                if ray.seen[house] == stamp or waiting == HITS:
                    continue
                ray.seen[house] = stamp
                enter, leave, wall = crossing(stage.casters, house, eye.x, eye.y, dx, dy)
                if leave > enter and enter > NEAR_M:
                    at = waiting
                    while at > 0 and enters[at - 1] > enter:
                        ids[at], enters[at] = ids[at - 1], enters[at - 1]
                        leaves[at], walls[at] = leaves[at - 1], walls[at - 1]
                        at -= 1
                    ids[at], enters[at], leaves[at], walls[at] = house, enter, leave, wall
                    waiting += 1
        # Nothing beyond is high enough to be seen over what is painted.
        over = out >= FAR_M or _hidden(eye, max(stage.casters.roofs_m, stage.hills_m), out, top)
        done = 0
        while top > 0:
            meets = done < waiting and enters[done] <= out
            if not meets and not over:
                break
            until = float(enters[done]) if meets else FAR_M
            top, step, before = _ground(
                stage, light, eye, ray, step, before, until, top, stamp, dx, dy, rgb, depth
            )
            if not meets:
                return top
            hit = Hit(int(ids[done]), int(walls[done]), until, float(leaves[done]), dx, dy)
            top = _house(stage, light, eye, hit, top, rgb, depth)
            done += 1
        for at in range(done, waiting):
            ids[at - done], enters[at - done] = ids[at], enters[at]
            leaves[at - done], walls[at - done] = leaves[at], walls[at]
        waiting -= done
        into = out
        if next_x < next_y:
            next_x, column = next_x + each_x, column + way_x
        else:
            next_y, row = next_y + each_y, row + way_y
    return top


@inlined
def _slope(eye: Eye, top: int) -> float:
    """Of the line of sight through the lowest row that is not painted yet."""
    return (eye.horizon - top + 0.5) / eye.focal


@inlined
def _hidden(eye: Eye, highest: float, t: float, top: int) -> bool:
    """Whether nothing at a depth or beyond it reaches above what is painted."""
    over = highest - eye.z
    return over / (t if over > 0 else FAR_M) < _slope(eye, top)


@inlined
def _ground(
    stage: Stage,
    light: Light,
    eye: Eye,
    ray: Ray,
    step: int,
    before: float,
    until: float,
    top: int,
    stamp: int,
    dx: float,
    dy: float,
    rgb: Floats32,
    depth: Floats32,
) -> tuple[int, int, float]:
    """Paint the ground up to a depth; returns the top row, the step reached, its height."""
    amb, sun = light.ambient_rgb, light.direct_rgb
    haze = light.haze_rgb
    toward = light.sun
    flat = max(np.sqrt(toward[0] * toward[0] + toward[1] * toward[1]), 1e-6)
    sx, sy, climb = toward[0] / flat, toward[1] / flat, max(toward[2] / flat, 0.03)
    sunny = sun[0] > 0.02
    dark = light.night > 0
    last = len(ray.steps) - 1
    while step < last and ray.steps[step] < until and top > 0:
        if _hidden(eye, stage.hills_m, float(ray.steps[step]), top):
            # Whatever ground follows is hidden.
            while step < last and ray.steps[step + 1] <= until:
                step += 1
            at = float(ray.steps[step])
            before = relief_at(stage, eye.x + dx * at, eye.y + dy * at)
            break
        t0, t1 = float(ray.steps[step]), float(ray.steps[step + 1])
        after = relief_at(stage, eye.x + dx * t1, eye.y + dy * t1)
        grade = (after - before) / (t1 - t0)
        end = min(t1, until)
        lowest = eye.horizon - eye.focal * (before + grade * (end - t0) - eye.z) / end
        first = max(int(np.ceil(lowest - 0.5)), 0)
        if first < top:
            if sunny and (ray.lit[step] == _UNKNOWN or ray.lit[step + 1] == _UNKNOWN):
                _light_up(stage, light, eye, ray, step, before, after, dx, dy, sx, sy, climb)
            clear0 = float(ray.clear[step])
            clearer = (ray.clear[step + 1] - clear0) / (t1 - t0)
            lamp0, brighter = 0.0, 0.0
            if dark:
                lamp0 = _lamp(ray, eye.x + dx * t0, eye.y + dy * t0) * light.night
                lamp1 = _lamp(ray, eye.x + dx * t1, eye.y + dy * t1) * light.night
                brighter = (lamp1 - lamp0) / (t1 - t0)
            seen_r, seen_g, seen_b, seen_t = 0.0, 0.0, 0.0, t0
            drop = 1 / (eye.focal * max(eye.z - before, 0.5))
            for row in range(top - 1, first - 1, -1):
                # One of a pixel's two rows: the upper in one of its columns, the lower in the next.
                pair = ray.mirrors and drop * t0 * t0 < _FINE_M
                if pair and row % 2 == 0 and row + 1 < top:
                    rgb[row, 0], rgb[row, 1], rgb[row, 2] = seen_r, seen_g, seen_b
                    depth[row] = seen_t
                    continue
                m = (eye.horizon - row - (-0.5 if pair and stamp % 2 == 0 else 0.5)) / eye.focal
                t = (eye.z - before + grade * t0) / (grade - m)
                t = min(max(t, t0), t1)
                x, y = eye.x + dx * t, eye.y + dy * t
                red, green, blue = floor_rgb(stage, light, ray.patch, x, y, t, t * t * drop)
                shine = 0.0
                if sunny:
                    shine = float(ray.lit[step] if t < ray.edge[step] else ray.lit[step + 1])
                lamp = lamp0 + brighter * (t - t0)
                clear = clear0 + clearer * (t - t0)
                red *= amb[0] + sun[0] * shine + LAMP_RGB[0] * lamp
                green *= amb[1] + sun[1] * shine + LAMP_RGB[1] * lamp
                blue *= amb[2] + sun[2] * shine + LAMP_RGB[2] * lamp
                seen_r = red * clear + haze[0] * (1 - clear)
                seen_g = green * clear + haze[1] * (1 - clear)
                seen_b = blue * clear + haze[2] * (1 - clear)
                seen_t = t
                rgb[row, 0], rgb[row, 1], rgb[row, 2] = seen_r, seen_g, seen_b
                depth[row] = t
            top = first
        if t1 > until:
            break
        step, before = step + 1, after
    return top, step, before


@inlined
def _light_up(
    stage: Stage,
    light: Light,
    eye: Eye,
    ray: Ray,
    step: int,
    before: float,
    after: float,
    dx: float,
    dy: float,
    sx: float,
    sy: float,
    climb: float,
) -> None:
    """Find out where between two steps the sun shines on the ground."""
    leaf = float(light.leaf)
    t0, t1 = float(ray.steps[step]), float(ray.steps[step + 1])
    low, high = t0, t1
    ray.edge[step] = t1
    # First both ends, then, where they differ, halfway between what is known of each.
    for probe in range(6):
        if probe == 0:
            t, z = t0, before
            if ray.lit[step] != _UNKNOWN:
                continue
        elif probe == 1:
            t, z = t1, after
            if ray.lit[step + 1] != _UNKNOWN:
                continue
        elif ray.lit[step] == ray.lit[step + 1]:
            break
        else:
            t, z = 0.5 * (low + high), before
        x, y = eye.x + dx * t, eye.y + dy * t
        bright = 0 if shaded(stage.casters, x, y, z, sx, sy, climb, leaf) else 1
        if probe == 0:
            ray.lit[step] = bright
        elif probe == 1:
            ray.lit[step + 1] = bright
        elif bright == ray.lit[step]:
            low = t
        else:
            high = t
    if ray.lit[step] != ray.lit[step + 1]:
        ray.edge[step] = 0.5 * (low + high)


@inlined
def _lamp(ray: Ray, x: float, y: float) -> float:
    """How brightly street lamps light a point of the ground."""
    total = 0.12
    for lamp in range(len(ray.lamps)):
        ox, oy = x - ray.lamps[lamp, 0], y - ray.lamps[lamp, 1]
        total += 1 / (1 + (ox * ox + oy * oy) / 22) ** 2
    return min(total, 1.3)


@inlined
def _house(
    stage: Stage,
    light: Light,
    eye: Eye,
    hit: Hit,
    top: int,
    rgb: Floats32,
    depth: Floats32,
) -> int:
    """Paint what a column shows of a house above what is painted; returns the new top row."""
    h = stage.casters.houses[hit.house]
    t = hit.enter
    # The ridge may show behind the eaves, at the far end at the highest.
    crest = h[BASE] + h[EAVES] + h[RISE] - eye.z
    if crest / (t if crest > 0 else hit.leave) < _slope(eye, top) - 1 / eye.focal:
        return top
    x, y = eye.x + hit.dx * t, eye.y + hit.dy * t
    ox, oy = x - h[X], y - h[Y]
    u, v = ox * h[COS] + oy * h[SIN], oy * h[COS] - ox * h[SIN]
    foot = float(h[BASE])
    over = foot + roof_m(stage, hit.house, u, v) - eye.z
    clear = np.exp(-t / light.clear_m)
    first = max(int(np.ceil(eye.horizon - eye.focal * over / t - 0.5)), 0)
    if first < top:
        lit_above = -1e9
        toward = light.sun
        side = -1.0 if hit.wall % 2 == 0 else 1.0
        nx = side * h[COS] if hit.wall < 2 else -side * h[SIN]
        ny = side * h[SIN] if hit.wall < 2 else side * h[COS]
        if light.direct_rgb[0] > 0.02 and nx * toward[0] + ny * toward[1] > 0 and t < 200:
            flat = max(np.sqrt(toward[0] * toward[0] + toward[1] * toward[1]), 1e-6)
            sx, sy, climb = toward[0] / flat, toward[1] / flat, max(toward[2] / flat, 0.03)
            lit_above = shade_height(stage.casters, hit.house, x, y, foot, sx, sy, climb)
        paint_wall(stage, light, eye, hit, first, top, lit_above, clear, rgb, depth)
        top = first
    if top > 0 and (h[RISE] > 0 or over < 0):
        top = min(top, paint_roof(stage, light, eye, hit, top, clear, rgb, depth))
    return top
