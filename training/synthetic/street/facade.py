"""Facades and roofs: what one image column shows of a house, row by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gair.arrays import Floats32
from training.synthetic.compiled import inlined
from training.synthetic.street.eye import LAMP_RGB, Eye
from training.synthetic.street.grain import chance, speck
from training.synthetic.street.light import Light
from training.synthetic.street.stage import (
    BASE,
    BAY,
    COS,
    EAVES,
    FACADE,
    GLASS,
    HALF_U,
    HALF_V,
    RISE,
    ROOF,
    ROOF_RGB,
    SIN,
    STOREY,
    TRIM_RGB,
    WALL_RGB,
    Stage,
    X,
    Y,
)
from training.synthetic.world import ARCHED, BANDS, FLAT, GRID, HIPPED, PLAIN, SHOP


class Hit(NamedTuple):
    """Where one ray meets a house; depths are along the camera's own axis, metres."""

    house: int
    wall: int
    enter: float
    leave: float
    dx: float
    dy: float
    """Of the ray, for each metre of depth."""


@inlined
def roof_m(stage: Stage, house: int, u: float, v: float) -> float:
    """Height of a house's roof above its base, at a place in its own directions."""
    h = stage.casters.houses[house]
    part = 0.0
    if h[ROOF] != FLAT:
        part = 1 - abs(v) / h[HALF_V]
        if h[ROOF] == HIPPED:
            part = min(part, (h[HALF_U] - abs(u)) / h[HALF_V])
    return float(h[EAVES] + h[RISE] * max(part, 0.0))


@inlined
def paint_wall(
    stage: Stage,
    light: Light,
    eye: Eye,
    hit: Hit,
    first: int,
    last: int,
    lit_above: float,
    clear: float,
    rgb: Floats32,
    depth: Floats32,
) -> None:
    """Paint rows ``first`` to ``last`` (without it) of a column with a wall.

    Args:
        stage: the world.
        light: of the photo.
        eye: the camera.
        hit: where the ray meets the house.
        first: row, from the top.
        last: row.
        lit_above: height up to which the wall lies in the shade of others.
        clear: share of the light that the haze lets through.
        rgb: (rows, 3) of the column.
        depth: (rows,) of the column.
    """
    h, colours, word = stage.casters.houses[hit.house], stage.house_rgb[hit.house], 0
    word = int(stage.house_words[hit.house]) + 7919 * hit.wall
    cos, sin = float(h[COS]), float(h[SIN])
    t = hit.enter
    ox, oy = eye.x + hit.dx * t - h[X], eye.y + hit.dy * t - h[Y]
    side = -1.0 if hit.wall % 2 == 0 else 1.0
    if hit.wall < 2:
        nx, ny = side * cos, side * sin
        along, width = oy * cos - ox * sin + h[HALF_V], 2.0 * h[HALF_V]
    else:
        nx, ny = -side * sin, side * cos
        along, width = ox * cos + oy * sin + h[HALF_U], 2.0 * h[HALF_U]
    # How far apart along the wall neighbouring columns are: farther where it is seen aslant.
    facing = abs(nx * hit.dx + ny * hit.dy)
    apart = t * np.sqrt(hit.dx * hit.dx + hit.dy * hit.dy) / (eye.focal * max(facing, 0.02))

    eaves = float(h[EAVES])
    storeys = max(1, int(eaves / h[STOREY] + 0.5))
    storey = eaves / storeys
    bays = max(1, int(width / h[BAY]))
    bay = width / bays
    number = min(max(int(along / bay), 0), bays - 1)
    across = along / bay - number
    glass, facade = float(h[GLASS]), int(h[FACADE])
    rise = t / eye.focal  # metres of a row
    detail = min(max(1.7 - 2.2 * apart / bay, 0.0), 1.0)
    detail *= min(max(1.7 - 2.2 * rise / storey, 0.0), 1.0)

    # Where on this column windows stand, as shares of a bay and of a storey.
    half = 0.5 * glass
    sill, head = 0.28, 0.28 + 0.28 + 0.36 * glass
    frame = 0.07 / bay
    aside = abs(across - 0.5)
    if facade == BANDS:
        half, sill, head = 0.5, 0.30, 0.34 + 0.45 * glass
        frame = 0.0 if aside > 0.47 else frame
        half = 0.47 if aside > 0.47 else half
    elif facade == GRID:
        half, sill, head = 0.46, 0.10, 0.95
    elif facade == ARCHED:
        half, sill, head = 0.36 * glass, 0.18, 0.86
    is_window = aside < half
    is_frame = aside > half - frame and facade != BANDS
    if facade == PLAIN and half * bay > 0.55:
        # Wide windows have bars, about one for each metre.
        panes = max(int(2 * half * bay / 1.1 + 0.5), 2)
        pane_at = (across - 0.5 + half) / (2 * half) * panes
        is_frame = is_frame or abs(pane_at - np.floor(pane_at + 0.5)) * half * bay < 0.02 * panes
    if facade == ARCHED and is_window:
        head -= 0.35 * (aside / half) ** 2 * half * bay / storey
    share = min(2 * half, 1.0) * (head - sill)

    direct = max(nx * light.sun[0] + ny * light.sun[1], 0.0)
    ground_lamp = float(light.night)
    shade = 0.97 + 0.03 * nx
    amb = light.ambient_rgb
    sun = light.direct_rgb
    sky = light.horizon_rgb
    haze = light.haze_rgb
    wall_r, wall_g, wall_b = (
        colours[WALL_RGB] / 255.0,
        colours[WALL_RGB + 1] / 255.0,
        colours[WALL_RGB + 2] / 255.0,
    )
    trim_r, trim_g, trim_b = (
        colours[TRIM_RGB] / 255.0,
        colours[TRIM_RGB + 1] / 255.0,
        colours[TRIM_RGB + 2] / 255.0,
    )
    wet = 1 - 0.12 * float(light.wet)
    wall_r, wall_g, wall_b = wall_r * wet, wall_g * wet, wall_b * wet
    door_bay = int(chance(word, 3) * bays)
    cornice = eaves - (0.35 if h[RISE] > 0 else 0.55)
    lined = chance(word, 5) < 0.5
    night = float(light.night)
    base = float(h[BASE])
    pitched_side = h[RISE] > 0 and hit.wall >= 2

    for row in range(first, last):
        up = eye.z + rise * (eye.horizon - row - 0.5)
        z = up - base
        red, green, blue, shine = wall_r, wall_g, wall_b, 0.0
        level = int(max(z, 0.0) / storey)
        part = z / storey - level
        tone = 1.0
        if level < storeys:
            pane = 0.0
            if is_window and sill < part < head:
                pane = detail
                if is_frame or part < sill + 0.05 / storey or part > head - 0.08 / storey:
                    pane = 0.0
                    red = red + (trim_r - red) * detail
                    green = green + (trim_g - green) * detail
                    blue = blue + (trim_b - blue) * detail
            if level == 0 and storeys > 0:
                if facade == SHOP and hit.wall >= 2:
                    pane = detail if aside < 0.45 and 0.12 < part < 0.78 else 0.0
                    if part > 0.80:
                        red, green, blue = trim_r, trim_g, trim_b
                elif number == door_bay and facade != GRID and aside * bay < 0.6:
                    pane = 0.0
                    if z < 2.2:
                        tone = 1 - 0.25 * detail
                        red = red + (0.7 * trim_r - red) * detail
                        green = green + (0.7 * trim_g - green) * detail
                        blue = blue + (0.7 * trim_b - blue) * detail
                elif z < 0.5:
                    tone = 0.86
            if lined and part < 0.045 and level > 0:
                tone = 1 - 0.14 * detail
            # Far away windows melt into the wall.
            pane = pane + (1 - detail) * share
            if pane > 0:
                key = number * 64 + level
                look = chance(word, key) if detail > 0 else 0.5
                mirror = 0.10 + 0.30 * look
                if look > 0.72:
                    gr, gg, gb = 0.46, 0.44, 0.40
                else:
                    gr = 0.10 + mirror * sky[0]
                    gg = 0.12 + mirror * sky[1]
                    gb = 0.15 + mirror * sky[2]
                red, green = red + (gr - red) * pane, green + (gg - green) * pane
                blue = blue + (gb - blue) * pane
                if night > 0:
                    lamp = (1.0 if chance(word, key + 9000) < 0.38 else 0.0) if detail > 0 else 0.38
                    shine = pane * night * lamp
        elif z > eaves + 0.02:
            tone = 0.97  # a gable
        if eaves > z > cornice:
            tone = 0.80 if pitched_side else 0.90
        else:
            tone *= 0.97 + 0.06 * speck(stage.grain, along * 6.0, up * 6.0)
        sunny = direct if up > lit_above else 0.0
        lamp = ground_lamp * max(1 - max(z, 0.0) / 8, 0.0)
        lamp *= lamp * 0.6
        red *= tone * (amb[0] * shade + sun[0] * sunny + LAMP_RGB[0] * lamp)
        green *= tone * (amb[1] * shade + sun[1] * sunny + LAMP_RGB[1] * lamp)
        blue *= tone * (amb[2] * shade + sun[2] * sunny + LAMP_RGB[2] * lamp)
        red, green, blue = red + 0.66 * shine, green + 0.50 * shine, blue + 0.26 * shine
        rgb[row, 0] = red * clear + haze[0] * (1 - clear)
        rgb[row, 1] = green * clear + haze[1] * (1 - clear)
        rgb[row, 2] = blue * clear + haze[2] * (1 - clear)
        depth[row] = t


@inlined
def paint_roof(
    stage: Stage,
    light: Light,
    eye: Eye,
    hit: Hit,
    last: int,
    clear: float,
    rgb: Floats32,
    depth: Floats32,
) -> int:
    """Paint the rows above ``last`` (without it) that show the roof; returns the highest one."""
    h, colours = stage.casters.houses[hit.house], stage.house_rgb[hit.house]
    cos, sin = float(h[COS]), float(h[SIN])
    half_u, half_v, rise = float(h[HALF_U]), float(h[HALF_V]), float(h[RISE])
    ox, oy = eye.x - float(h[X]), eye.y - float(h[Y])
    u0, v0 = ox * cos + oy * sin, oy * cos - ox * sin
    du, dv = hit.dx * cos + hit.dy * sin, hit.dy * cos - hit.dx * sin
    over = float(h[BASE]) + float(h[EAVES]) - eye.z
    planes = 1 if h[ROOF] == FLAT else (4 if h[ROOF] == HIPPED else 2)
    slope = rise / half_v
    amb, sun = light.ambient_rgb, light.direct_rgb
    haze = light.haze_rgb
    snow = min(1.3 * float(light.snow), 1.0)
    first = last
    for row in range(last - 1, -1, -1):
        m = (eye.horizon - row - 0.5) / eye.focal
        enter, leave, seen = hit.enter, hit.leave, -1
        for plane in range(planes):
            # Below plane k: eye.z + m t <= base + eaves + a + b t.
            if planes == 1:
                a, b = 0.0, 0.0
            elif plane < 2:
                toward = 1.0 if plane == 0 else -1.0
                a, b = rise - toward * v0 * slope, -toward * dv * slope
            else:
                toward = 1.0 if plane == 2 else -1.0
                a, b = (half_u - toward * u0) * slope, -toward * du * slope
            if m - b > 1e-9:
                leave = min(leave, (over + a) / (m - b))
            elif m - b < -1e-9:
                at = (over + a) / (m - b)
                if at > enter:
                    enter, seen = at, plane
            elif over + a < 0:
                leave = -1.0
        if enter > leave:
            break
        if seen < 0:
            seen = 0
        if planes == 1:
            nx, ny, nz = 0.0, 0.0, 1.0
        elif seen < 2:
            toward = 1.0 if seen == 0 else -1.0
            nx, ny, nz = -sin * toward * slope, cos * toward * slope, 1.0
        else:
            toward = 1.0 if seen == 2 else -1.0
            nx, ny, nz = cos * toward * slope, sin * toward * slope, 1.0
        size = np.sqrt(nx * nx + ny * ny + nz * nz)
        facing = nx * light.sun[0] + ny * light.sun[1] + nz * light.sun[2]
        sunny = max(facing / size, 0.0)
        u, v = u0 + du * enter, v0 + dv * enter
        fine = min(max(1.5 - enter / (eye.focal * 0.12), 0.0), 1.0)
        line = (v if seen < 2 else u) * 3.0
        tone = 1 + fine * (0.10 * speck(stage.grain, u * 4 + v, v * 4) - 0.05)
        if line - np.floor(line) < 0.22 and planes > 1:
            tone -= 0.13 * fine
        red = tone * colours[ROOF_RGB] / 255.0
        green = tone * colours[ROOF_RGB + 1] / 255.0
        blue = tone * colours[ROOF_RGB + 2] / 255.0
        red, green = red + (0.88 - red) * snow, green + (0.90 - green) * snow
        blue = blue + (0.94 - blue) * snow
        red *= amb[0] + sun[0] * sunny
        green *= amb[1] + sun[1] * sunny
        blue *= amb[2] + sun[2] * sunny
        rgb[row, 0] = red * clear + haze[0] * (1 - clear)
        rgb[row, 1] = green * clear + haze[1] * (1 - clear)
        rgb[row, 2] = blue * clear + haze[2] * (1 - clear)
        depth[row] = enter
        first = row
    return first
