"""Column of a photo: one ray over the ground and through the houses, front to back.

Ground and houses together are a surface with one height at each place: along a ray the highest
image row reached so far only rises, so every row is painted once, by the first thing to reach it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats32
from training.synthetic.compiled import compiled
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
_HITS = 64
_UNKNOWN = 2


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


@compiled
def cast(
    stage: Stage,
    light: Light,
    photo: int,
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
        light: of all photos.
        photo: which.
        eye: the camera.
        ray: of the photo; the lit steps are kept from one column to the next.
        stamp: a number of this ray's own.
        dx: east, for each metre of depth.
        dy: south.
        rgb: (rows, 3) to paint.
        depth: (rows,) to paint.
    """
    ids, enters = np.empty(_HITS, np.int32), np.empty(_HITS, np.float32)
    leaves, walls = np.empty(_HITS, np.float32), np.empty(_HITS, np.int32)
    waiting = 0
    top, step = eye.rows, 0
    before = relief_at(stage, eye.x + dx * NEAR_M, eye.y + dy * NEAR_M)
    column, row = int(eye.x / CELL_M), int(eye.y / CELL_M)
    way_x, way_y = (1 if dx > 0 else -1), (1 if dy > 0 else -1)
    each_x, each_y = CELL_M / max(abs(dx), 1e-9), CELL_M / max(abs(dy), 1e-9)
    next_x = abs((column + (1 if dx > 0 else 0)) * CELL_M - eye.x) / max(abs(dx), 1e-9)
    next_y = abs((row + (1 if dy > 0 else 0)) * CELL_M - eye.y) / max(abs(dy), 1e-9)
    while top > 0:
        out = min(next_x, next_y, FAR_M)
        if 0 <= column < stage.cells and 0 <= row < stage.cells:
            cell = row * stage.cells + column
            for item in range(stage.house_start[cell], stage.house_start[cell + 1]):
                house = stage.house_items[item]
                if ray.seen[house] == stamp or waiting == _HITS:
                    continue
                ray.seen[house] = stamp
                enter, leave, wall = crossing(stage, house, eye.x, eye.y, dx, dy)
                if leave > enter and enter > NEAR_M:
                    at = waiting
                    while at > 0 and enters[at - 1] > enter:
                        ids[at], enters[at] = ids[at - 1], enters[at - 1]
                        leaves[at], walls[at] = leaves[at - 1], walls[at - 1]
                        at -= 1
                    ids[at], enters[at], leaves[at], walls[at] = house, enter, leave, wall
                    waiting += 1
        done = 0
        while done < waiting and enters[done] <= out and top > 0:
            hit = Hit(
                int(ids[done]), int(walls[done]), float(enters[done]), float(leaves[done]), dx, dy
            )
            top, step, before = _ground(
                stage, light, photo, eye, ray, step, before, hit.enter, top, dx, dy, rgb, depth
            )
            top = _house(stage, light, photo, eye, ray, step, hit, top, rgb, depth)
            done += 1
        for at in range(done, waiting):
            ids[at - done], enters[at - done] = ids[at], enters[at]
            leaves[at - done], walls[at - done] = leaves[at], walls[at]
        waiting -= done
        # Nothing beyond is high enough to be seen over what is painted.
        if out >= FAR_M or _hidden(eye, max(stage.roofs_m, stage.hills_m), out, top):
            break
        if next_x < next_y:
            next_x, column = next_x + each_x, column + way_x
        else:
            next_y, row = next_y + each_y, row + way_y
    top, step, before = _ground(
        stage, light, photo, eye, ray, step, before, FAR_M, top, dx, dy, rgb, depth
    )
    return top


@compiled
def _slope(eye: Eye, top: int) -> float:
    """Of the line of sight through the lowest row that is not painted yet."""
    return (eye.horizon - top + 0.5) / eye.focal


@compiled
def _hidden(eye: Eye, highest: float, t: float, top: int) -> bool:
    """Whether nothing at a depth or beyond it reaches above what is painted."""
    over = highest - eye.z
    return over / (t if over > 0 else FAR_M) < _slope(eye, top)


@compiled
def _ground(
    stage: Stage,
    light: Light,
    photo: int,
    eye: Eye,
    ray: Ray,
    step: int,
    before: float,
    until: float,
    top: int,
    dx: float,
    dy: float,
    rgb: Floats32,
    depth: Floats32,
) -> tuple[int, int, float]:
    """Paint the ground up to a depth; returns the top row, the step reached, its height."""
    amb, sun = light.ambient_rgb[photo], light.direct_rgb[photo]
    haze = light.haze_rgb[photo]
    toward = light.sun[photo]
    flat = max(np.sqrt(toward[0] * toward[0] + toward[1] * toward[1]), 1e-6)
    sx, sy, climb = toward[0] / flat, toward[1] / flat, max(toward[2] / flat, 0.03)
    sunny = sun[0] > 0.02
    dark = light.night[photo] > 0
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
                _light_up(stage, light, photo, eye, ray, step, before, after, dx, dy, sx, sy, climb)
            clear0, clear1 = ray.clear[step], ray.clear[step + 1]
            lamp0, lamp1 = 0.0, 0.0
            if dark:
                lamp0 = _lamp(ray, eye.x + dx * t0, eye.y + dy * t0) * light.night[photo]
                lamp1 = _lamp(ray, eye.x + dx * t1, eye.y + dy * t1) * light.night[photo]
            for row in range(top - 1, first - 1, -1):
                m = (eye.horizon - row - 0.5) / eye.focal
                t = (eye.z - before + grade * t0) / (grade - m)
                t = min(max(t, t0), t1)
                drop = max(eye.z - before, 0.5)
                x, y = eye.x + dx * t, eye.y + dy * t
                red, green, blue = floor_rgb(
                    stage, light, photo, x, y, t, t * t / (eye.focal * drop)
                )
                part = (t - t0) / (t1 - t0)
                shine = 0.0
                if sunny:
                    shine = 1.0 - (ray.lit[step] if t < ray.edge[step] else ray.lit[step + 1])
                    shine = 1.0 - shine
                lamp = lamp0 + (lamp1 - lamp0) * part
                clear = clear0 + (clear1 - clear0) * part
                red *= amb[0] + sun[0] * shine + LAMP_RGB[0] * lamp
                green *= amb[1] + sun[1] * shine + LAMP_RGB[1] * lamp
                blue *= amb[2] + sun[2] * shine + LAMP_RGB[2] * lamp
                rgb[row, 0] = red * clear + haze[0] * (1 - clear)
                rgb[row, 1] = green * clear + haze[1] * (1 - clear)
                rgb[row, 2] = blue * clear + haze[2] * (1 - clear)
                depth[row] = t
            top = first
        if t1 > until:
            break
        step, before = step + 1, after
    return top, step, before


@compiled
def _light_up(
    stage: Stage,
    light: Light,
    photo: int,
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
    leaf = float(light.leaf[photo])
    t0, t1 = float(ray.steps[step]), float(ray.steps[step + 1])
    if ray.lit[step] == _UNKNOWN:
        dim = shaded(stage, eye.x + dx * t0, eye.y + dy * t0, before, sx, sy, climb, leaf)
        ray.lit[step] = 0 if dim else 1
    if ray.lit[step + 1] == _UNKNOWN:
        dim = shaded(stage, eye.x + dx * t1, eye.y + dy * t1, after, sx, sy, climb, leaf)
        ray.lit[step + 1] = 0 if dim else 1
    ray.edge[step] = t1
    if ray.lit[step] != ray.lit[step + 1]:
        low, high = t0, t1
        for _ in range(4):
            t = 0.5 * (low + high)
            dim = shaded(stage, eye.x + dx * t, eye.y + dy * t, before, sx, sy, climb, leaf)
            if (not dim) == (ray.lit[step] == 1):
                low = t
            else:
                high = t
        ray.edge[step] = 0.5 * (low + high)


@compiled
def _lamp(ray: Ray, x: float, y: float) -> float:
    """How brightly street lamps light a point of the ground."""
    total = 0.12
    for lamp in range(len(ray.lamps)):
        ox, oy = x - ray.lamps[lamp, 0], y - ray.lamps[lamp, 1]
        total += 1 / (1 + (ox * ox + oy * oy) / 22) ** 2
    return min(total, 1.3)


@compiled
def _house(
    stage: Stage,
    light: Light,
    photo: int,
    eye: Eye,
    ray: Ray,
    step: int,
    hit: Hit,
    top: int,
    rgb: Floats32,
    depth: Floats32,
) -> int:
    """Paint what a column shows of a house above what is painted; returns the new top row."""
    h = stage.houses[hit.house]
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
    clear = np.exp(-t / light.clear_m[photo])
    first = max(int(np.ceil(eye.horizon - eye.focal * over / t - 0.5)), 0)
    if first < top:
        lit_above = -1e9
        toward = light.sun[photo]
        side = -1.0 if hit.wall % 2 == 0 else 1.0
        nx = side * h[COS] if hit.wall < 2 else -side * h[SIN]
        ny = side * h[SIN] if hit.wall < 2 else side * h[COS]
        if light.direct_rgb[photo, 0] > 0.02 and nx * toward[0] + ny * toward[1] > 0 and t < 200:
            flat = max(np.sqrt(toward[0] * toward[0] + toward[1] * toward[1]), 1e-6)
            sx, sy, climb = toward[0] / flat, toward[1] / flat, max(toward[2] / flat, 0.03)
            lit_above = shade_height(stage, hit.house, x, y, foot, sx, sy, climb)
        paint_wall(stage, light, photo, eye, hit, first, top, lit_above, clear, rgb, depth)
        top = first
    if top > 0 and (h[RISE] > 0 or over < 0):
        top = min(top, paint_roof(stage, light, photo, eye, hit, top, clear, rgb, depth))
    return top
