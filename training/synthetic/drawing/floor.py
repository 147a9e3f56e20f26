"""Floor of a city: what covers the ground under roofs and crowns, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes
from training.synthetic import style as looks
from training.synthetic.compiled import compiled
from training.synthetic.drawing.plan import (
    MARKET,
    PARK,
    POND_PARK,
    QUAY_M,
    RAIL_HALF_M,
    RAIL_MARGIN_M,
    SQUARE,
    Plan,
    Singles,
    Spot,
    locate,
)
from training.synthetic.noise import Reals
from training.synthetic.scalars import START, mix, unit
from training.synthetic.style import GRID_STEP_M, StyleGrid
from training.synthetic.world import (
    GROUND,
    KERB_STEP_M,
    LAWN,
    PARKING,
    PIXEL_M,
    PLAZA,
    RAIL,
    ROAD,
    SIDEWALK,
    WATER,
)

PALETTE = ("ground", "lawn", "road", "paving", "parking", "rail", "water")
"""What the floor's colours are mixed for; sidewalks and squares are of one paving."""
_GROUND, _LAWN, _ROAD, _PAVING, _PARKING, _RAIL, _WATER = range(len(PALETTE))


def draw_palette(style: StyleGrid) -> npt.NDArray[np.float32]:
    """The floor's colours on the style's grid, (h, w, len(PALETTE), 3) from 0 to 255."""
    dry, tone = style.plane("ground"), style.plane("ground_tone")
    road = looks.road_rgb(style.plane("road"), style.plane("road_tone"))
    ground = looks.ground_rgb(dry, tone)
    stone = looks.paving_rgb(style.plane("paving"), tone)
    colours = {
        "ground": ground,
        "lawn": looks.ground_rgb(0.85 * dry, tone),
        "road": road,
        "paving": 0.3 * stone + 0.5 * ground + 0.2 * road,
        "parking": 0.8 * road + 0.06,
        "rail": np.broadcast_to(np.array([0.36, 0.31, 0.27]), road.shape),
        "water": np.broadcast_to(np.array([0.10, 0.20, 0.28]), road.shape),
    }
    mixed = np.stack([colours[name] for name in PALETTE], axis=2) * np.float32(255)
    return np.ascontiguousarray(mixed, dtype=np.float32)


@compiled
def lot_use(word: np.uint32, kind: int, parking: float, gardens: float) -> int:
    """What a lot is: built or open ground (GROUND), a garden (LAWN), or a car park (PARKING)."""
    if kind == MARKET:
        return PARKING
    if unit(word, 8) < 0.01 + 0.14 * parking * parking:
        return PARKING
    return LAWN if unit(word, 9) < gardens else GROUND


@compiled
def lot_of(plan: Plan, spot: Spot) -> tuple[np.uint32, float, float]:
    """Hash of a point's lot, and how far the lot's middle is along u and v, metres."""
    number_u = plan.lots[0, spot.district, spot.i, spot.j]
    number_v = plan.lots[1, spot.district, spot.i, spot.j]
    wide, deep = max(spot.size_u_m, 1.0) / number_u, max(spot.size_v_m, 1.0) / number_v
    ku = min(max(int(math.floor(spot.lots_u_m / wide)), 0), number_u - 1)
    kv = min(max(int(math.floor(spot.lots_v_m / deep)), 0), number_v - 1)
    word = lot_word(plan.block_word[spot.district, spot.i, spot.j], ku, kv)
    return word, (ku + 0.5) * wide - spot.lots_u_m, (kv + 0.5) * deep - spot.lots_v_m


@compiled
def lot_word(block_word: np.uint32, ku: int, kv: int) -> np.uint32:
    """Hash of a block's lot: ``hashed(block_word, ku, kv)``."""
    return mix(mix(mix(START, block_word), ku), kv)


@compiled
def cover_at(plan: Plan, spot: Spot, x_m: float, y_m: float, parking: Reals, gardens: Reals) -> int:
    """What lies on the floor at a point.

    Args:
        plan: of the city.
        spot: where the point lies.
        x_m: the point, to the east.
        y_m: to the south.
        parking: (h, w) the latent number on the style's grid.
        gardens: the same.
    """
    if spot.kerb_m > 0:
        return ROAD
    if spot.rail_m < RAIL_HALF_M:
        return RAIL
    if spot.walk_m > 0:
        # Between the carriageways of an avenue is grass.
        return SIDEWALK if spot.bank_m < 0 or not _in_median(plan, spot) else LAWN
    if spot.bank_m < 0:
        return WATER
    if spot.bank_m < QUAY_M or spot.rail_m < RAIL_MARGIN_M:
        return LAWN
    kind = plan.block[spot.district, spot.i, spot.j]
    if kind == SQUARE:
        return PLAZA
    if kind == PARK or kind == POND_PARK:
        off_u = spot.lots_u_m - spot.size_u_m / 2
        off_v = spot.lots_v_m - spot.size_v_m / 2
        if kind == POND_PARK:
            round_m = math.hypot(off_u / (0.36 * spot.size_u_m), off_v / (0.36 * spot.size_v_m))
            if round_m < 1:
                return WATER if spot.border_m > 25 else LAWN
        elif min(abs(off_u), abs(off_v)) < 1.5:
            return SIDEWALK
        return LAWN
    word, off_u, off_v = lot_of(plan, spot)
    cos, sin = plan.cos[spot.district], plan.sin[spot.district]
    row = _grid_index(y_m + off_u * sin + off_v * cos, parking.shape[0])
    column = _grid_index(x_m + off_u * cos - off_v * sin, parking.shape[1])
    return lot_use(word, kind, parking[row, column], gardens[row, column])


@compiled
def _in_median(plan: Plan, spot: Spot) -> bool:
    """Whether a point beside a carriageway is inside the street rather than along it."""
    # On a sidewalk the carriageway's edge is at most a sidewalk's width further in than the
    # street's: both distances differ by just that width.
    return bool(spot.walk_m - spot.kerb_m > 6.0)


@compiled
def _grid_index(at_m: float, count: int) -> int:
    return min(max(int(at_m / GRID_STEP_M), 0), count - 1)


@compiled
def draw_floor(
    plan: Plan,
    parking: Reals,
    gardens: Reals,
    palette: Singles,
    first_row: int,
    floor: Bytes,
    floor_rgb: Bytes,
    kerb: npt.NDArray[np.int8],
    axis: Bytes,
) -> None:
    """Fill some rows of the floor's rasters.

    Args:
        plan: of the city.
        parking: (h, w) the latent number on the style's grid.
        gardens: the same.
        palette: :func:`draw_palette`'s.
        first_row: number of the first row to fill.
        floor: (rows, W) what covers it.
        floor_rgb: (rows, W, 3) its colour.
        kerb: (rows, W) distance into the carriageway.
        axis: (rows, W) direction of the nearest street.
    """
    rgb = np.empty(3, np.float32)
    for line in range(floor.shape[0]):
        y_m = (first_row + line + 0.5) * PIXEL_M
        row_word = mix(mix(mix(START, plan.seed), 1001), first_row + line)
        for column in range(floor.shape[1]):
            x_m = (column + 0.5) * PIXEL_M
            spot = locate(plan, x_m, y_m)
            cover = cover_at(plan, spot, x_m, y_m, parking, gardens)
            floor[line, column] = cover
            steps = round(spot.kerb_m / KERB_STEP_M)
            kerb[line, column] = min(max(steps, -127), 127)
            turn = math.atan2(spot.axis_y, spot.axis_x)
            axis[line, column] = int(round(turn * (256 / math.pi))) % 256
            grain = unit(mix(row_word, column), 0)
            gain = 0.9 + 0.2 * grain
            colour = _GROUND
            if cover == LAWN:
                colour = _LAWN
            elif cover == ROAD:
                colour, gain = _ROAD, 0.94 + 0.12 * grain
            elif cover == SIDEWALK or cover == PLAZA:
                colour, gain = _PAVING, 0.94 + 0.12 * grain
            elif cover == PARKING:
                colour, gain = _PARKING, 0.92 + 0.16 * grain
            elif cover == RAIL:
                colour = _RAIL
            elif cover == WATER:
                colour = _WATER
            _mixed(palette, colour, x_m, y_m, rgb)
            for channel in range(3):
                floor_rgb[line, column, channel] = int(min(rgb[channel] * gain + 0.5, 255.0))


@compiled
def _mixed(palette: Singles, colour: int, x_m: float, y_m: float, rgb: Singles) -> None:
    """A colour of the palette at a point, bilinear."""
    east, south = x_m / GRID_STEP_M - 0.5, y_m / GRID_STEP_M - 0.5
    column = min(max(int(math.floor(east)), 0), palette.shape[1] - 2)
    row = min(max(int(math.floor(south)), 0), palette.shape[0] - 2)
    east, south = min(max(east - column, 0.0), 1.0), min(max(south - row, 0.0), 1.0)
    for channel in range(3):
        north = palette[row, column, colour, channel] * (1 - east)
        north += palette[row, column + 1, colour, channel] * east
        below = palette[row + 1, column, colour, channel] * (1 - east)
        below += palette[row + 1, column + 1, colour, channel] * east
        rgb[channel] = north * (1 - south) + below * south
