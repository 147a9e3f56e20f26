"""Floor of the city: the colour of carriageways, pavements, lawns and water at a point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Floats, Floats32
from training.synthetic.compiled import inlined
from training.synthetic.street.grain import smooth, speck
from training.synthetic.street.light import Light
from training.synthetic.street.stage import Stage
from training.synthetic.street.terrain import kerb_at
from training.synthetic.world import (
    GROUND,
    LAWN,
    PARKING,
    PIXEL_M,
    PLAZA,
    RAIL,
    ROAD,
    SIDEWALK,
    WATER,
)

PATCH = 22
"""Numbers of a patch of floor: the square between the centres of four pixels."""
MIXED = -1
_NEAR_M = 0.5
"""Finer than this, a sample of the picture shows how pixels of the world blend."""
_CELL, _KIND, _COS, _SIN, _MIDDLE, _HALF = 16, 17, 18, 19, 20, 21


@inlined
def floor_rgb(
    stage: Stage, light: Light, patch: Floats, x: float, y: float, t: float, foot: float
) -> tuple[float, float, float]:
    """The colour of the floor before any light falls on it.

    Args:
        stage: the world.
        light: of the photo.
        patch: (PATCH,) what was last read of the floor, or its cell is negative.
        x: of the point.
        y: south.
        t: its depth in the picture, metres.
        foot: how much of the floor one sample covers along the line of sight, metres.
    """
    last = stage.floor.shape[0] - 1
    gx, gy = max(x * 0.4 - 0.5, 0.0), max(y * 0.4 - 0.5, 0.0)
    c, r = min(int(gx), last - 1), min(int(gy), last - 1)
    fx, fy = min(gx - c, 1.0), min(gy - r, 1.0)
    if patch[_CELL] != r * (last + 1) + c:
        _read(stage.floor, stage.floor_rgb, stage.kerb, stage.axis, stage.turns, r, c, patch)
    fxy = fx * fy
    k = patch[0] + patch[1] * fx + patch[2] * fy + patch[3] * fxy
    kind = int(patch[_KIND])
    row, column = r, c
    if kind != MIXED and ((kind == ROAD) == (k > 0) or abs(k) >= 3):
        red = patch[4] + patch[5] * fx + patch[6] * fy + patch[7] * fxy
        green = patch[8] + patch[9] * fx + patch[10] * fy + patch[11] * fxy
        blue = patch[12] + patch[13] * fx + patch[14] * fy + patch[15] * fxy
    else:
        row, column, kind, red, green, blue = _border(
            stage.floor, stage.floor_rgb, stage.kerb, x, y, r, c, fx, fy, k, foot
        )
    detail = min(max(1.4 - 2.0 * foot, 0.0), 1.0)
    grain = stage.grain
    tone = 1.0
    white = 0.0
    if kind == GROUND or kind == LAWN:
        m = light.grass_map
        red, green, blue = (
            float(m[0, 0] * red + m[0, 1] * green + m[0, 2] * blue),
            float(m[1, 0] * red + m[1, 1] * green + m[1, 2] * blue),
            float(m[2, 0] * red + m[2, 1] * green + m[2, 2] * blue),
        )
        tone = 1 + 0.12 * (smooth(grain, x * 2.3, y * 2.3) - 0.5)
        if detail > 0:
            tone += 0.30 * detail * (speck(grain, x * 19, y * 19) - 0.5)
    elif kind == WATER:
        ripple = 0.85 + 0.3 * smooth(grain, x * 1.1, y * 3.3)
        mirror = min(0.25 + t / 120, 0.65)
        red = red * (1 - mirror) + mirror * ripple * float(light.horizon_rgb[0])
        green = green * (1 - mirror) + mirror * ripple * float(light.horizon_rgb[1])
        blue = blue * (1 - mirror) + mirror * ripple * float(light.horizon_rgb[2])
    elif detail > 0:
        cos, sin = patch[_COS], patch[_SIN]
        along, across = x * cos + y * sin, y * cos - x * sin
        if kind == ROAD:
            tone = 1 + 0.10 * detail * (speck(grain, x * 23, y * 23) - 0.5)
            tone += 0.06 * (smooth(grain, x * 0.5, y * 0.5) - 0.5)
            if k < 0.35:
                tone *= 0.90
            if k > 2.0:
                half, aside = patch[_HALF], abs(across - patch[_MIDDLE])
                lane = half > 6.0 and abs(k - 0.5 * half) < 0.08
                if (aside < 0.10 or lane) and abs(half - aside - k) < 0.8:
                    dash = along / 7.0
                    if dash - np.floor(dash) < (0.3 if lane else 0.45):
                        white = 0.7 * detail
        elif kind == SIDEWALK:
            slab, joint = along / 1.1, across / 0.8
            line = slab - np.floor(slab) < 0.045 or joint - np.floor(joint) < 0.06
            tone = 1 - 0.16 * detail * line
            tone += 0.08 * detail * (speck(grain, np.floor(slab) * 7, np.floor(joint) * 5) - 0.5)
            if k > -0.22:
                tone, white = 0.95, 0.35
        elif kind == RAIL:
            tone = 0.85 + 0.4 * detail * (speck(grain, x * 9, y * 9) - 0.5)
            track = across / 4.4
            offset = abs((track - np.floor(track) - 0.5) * 4.4)
            tie = along / 0.65
            if offset < 1.25 and tie - np.floor(tie) < 0.4:
                tone *= 1 - 0.35 * detail
            if abs(offset - 0.72) < 0.06:
                white = 0.55 * detail
        elif kind == PARKING:
            tone = 1 + 0.08 * detail * (speck(grain, x * 17, y * 17) - 0.5)
            bay, lane = along / 2.7, across / 16.0
            place = abs(lane - np.floor(lane) - 0.5)
            if bay - np.floor(bay) < 0.045 and place > 0.19:
                white = 0.7 * detail
        elif kind == PLAZA:
            first, second = np.floor(along / 1.4), np.floor(across / 1.4)
            tone = 1 + 0.09 * detail * ((int(first) + int(second)) % 2 - 0.5)
            tone += 0.08 * detail * (speck(grain, first * 3, second * 5) - 0.5)
    red = red * tone * (1 - white) + 0.86 * white
    green = green * tone * (1 - white) + 0.86 * white
    blue = blue * tone * (1 - white) + 0.84 * white

    wet = float(light.wet)
    if wet > 0 and kind != WATER:
        hard = kind != GROUND and kind != LAWN
        keep = 1 - (0.38 if hard else 0.2) * wet
        mirror = wet * (min(0.06 + t / 90, 0.40) if hard else 0.0)
        mirror *= 0.6 + 0.8 * smooth(grain, x * 0.9, y * 0.9)
        red = red * keep * (1 - mirror) + mirror * float(light.horizon_rgb[0])
        green = green * keep * (1 - mirror) + mirror * float(light.horizon_rgb[1])
        blue = blue * keep * (1 - mirror) + mirror * float(light.horizon_rgb[2])
    snow = float(light.snow)
    if snow > 0 and kind != WATER:
        swept = 0.45 if kind == ROAD else 1.0
        lies = (snow * swept - smooth(grain, x * 1.3, y * 1.3)) * 4 + 0.5
        lies = min(max(lies, 0.0), 0.95)
        red, green = red + (0.88 - red) * lies, green + (0.90 - green) * lies
        blue = blue + (0.94 - blue) * lies
    return red, green, blue


@inlined
def _read(
    floor: Bytes,
    rgb: Bytes,
    kerb: npt.NDArray[np.int8],
    axis: Bytes,
    turns: Floats32,
    r: int,
    c: int,
    patch: Floats,
) -> None:
    """Read the patch whose north-west pixel is given.

    Four numbers each of the distance to the kerb, red, green and blue make a bilinear form; then
    come the kind, the direction of the street and where its middle is.
    """
    for k in range(4):
        if k == 0:
            a, b = 0.1 * kerb[r, c], 0.1 * kerb[r, c + 1]
            d, e = 0.1 * kerb[r + 1, c], 0.1 * kerb[r + 1, c + 1]
        else:
            a, b = rgb[r, c, k - 1] / 255, rgb[r, c + 1, k - 1] / 255
            d, e = rgb[r + 1, c, k - 1] / 255, rgb[r + 1, c + 1, k - 1] / 255
        patch[4 * k], patch[4 * k + 1], patch[4 * k + 2] = a, b - a, d - a
        patch[4 * k + 3] = a - b - d + e
    kind = floor[r, c]
    same = kind == floor[r, c + 1] and kind == floor[r + 1, c] and kind == floor[r + 1, c + 1]
    patch[_KIND] = kind if same else MIXED
    turn = axis[r, c]
    cos, sin = float(turns[turn, 0]), float(turns[turn, 1])
    patch[_COS], patch[_SIN], patch[_HALF] = cos, sin, 0.0
    if kind == ROAD and kerb[r, c] > 12:
        # Either side of a street's middle the distance to the kerb falls by as much as one moves.
        x, y = (c + 1.0) * PIXEL_M, (r + 1.0) * PIXEL_M
        left = kerb_at(kerb, x - 2.5 * sin, y + 2.5 * cos)
        right = kerb_at(kerb, x + 2.5 * sin, y - 2.5 * cos)
        if left < 12.6 and right < 12.6:
            patch[_HALF] = 0.5 * (left + right) + 2.5
            patch[_MIDDLE] = y * cos - x * sin + 0.5 * (left - right)
    patch[_CELL] = r * floor.shape[0] + c


@inlined
def _border(
    floor: Bytes,
    rgb: Bytes,
    kerb: npt.NDArray[np.int8],
    x: float,
    y: float,
    r: int,
    c: int,
    fx: float,
    fy: float,
    k: float,
    foot: float,
) -> tuple[int, int, int, float, float, float]:
    """The floor where kinds meet: pixel, kind and colour, on the point's own side of the kerb."""
    last = floor.shape[0] - 1
    row, column = r + (1 if fy > 0.5 else 0), c + (1 if fx > 0.5 else 0)
    kind = int(floor[row, column])
    if (kind == ROAD) != (k > 0) and abs(k) < 3:
        k00, k01 = float(kerb[r, c]), float(kerb[r, c + 1])
        k10, k11 = float(kerb[r + 1, c]), float(kerb[r + 1, c + 1])
        ahead_x = (k01 - k00) * (1 - fy) + (k11 - k10) * fy
        ahead_y = (k10 - k00) * (1 - fx) + (k11 - k01) * fx
        far = np.sqrt(ahead_x * ahead_x + ahead_y * ahead_y)
        if far > 1e-3:
            reach = (2.0 if k > 0 else -2.0) / far
            row = min(max(int((y + ahead_y * reach) * 0.4), 0), last)
            column = min(max(int((x + ahead_x * reach) * 0.4), 0), last)
            kind = int(floor[row, column])
    elif foot < _NEAR_M:
        # Borders between kinds run where the larger part of the four pixels changes.
        a, b = int(floor[r, c]), int(floor[r, c + 1])
        d, e = int(floor[r + 1, c]), int(floor[r + 1, c + 1])
        wa, wb = (1 - fx) * (1 - fy), fx * (1 - fy)
        wd, we = (1 - fx) * fy, fx * fy
        most = -1.0
        for one in (a, b, d, e):
            if (one == ROAD) == (k > 0) or abs(k) >= 3:
                share = wa * (a == one) + wb * (b == one) + wd * (d == one) + we * (e == one)
                if share > most:
                    most, kind = share, one
        wa, wb, wd, we = wa * (a == kind), wb * (b == kind), wd * (d == kind), we * (e == kind)
        total = wa + wb + wd + we
        if total > 1e-3:
            total *= 255
            wa, wb, wd, we = wa / total, wb / total, wd / total, we / total
            red = wa * rgb[r, c, 0] + wb * rgb[r, c + 1, 0]
            red += wd * rgb[r + 1, c, 0] + we * rgb[r + 1, c + 1, 0]
            green = wa * rgb[r, c, 1] + wb * rgb[r, c + 1, 1]
            green += wd * rgb[r + 1, c, 1] + we * rgb[r + 1, c + 1, 1]
            blue = wa * rgb[r, c, 2] + wb * rgb[r, c + 1, 2]
            blue += wd * rgb[r + 1, c, 2] + we * rgb[r + 1, c + 1, 2]
            return row, column, kind, red, green, blue
    red, green = rgb[row, column, 0] / 255, rgb[row, column, 1] / 255
    return row, column, kind, red, green, rgb[row, column, 2] / 255
