"""Footprints of houses: one rectangle on each built lot, or two that make an L."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, Ints
from training.synthetic.compiled import compiled
from training.synthetic.drawing.lots import Lots
from training.synthetic.drawing.plan import QUAY_M, RAIL_MARGIN_M, Plan, Singles, locate
from training.synthetic.noise import Reals, uniform
from training.synthetic.style import StyleGrid
from training.synthetic.world import PARKING

LEAST_HALF_M = 2.2
"""No house is narrower than twice this."""
WING_SHARE = 0.3
"""Of houses that are large enough for a wing."""

_SIZES = np.array([1.0, 0.8, 0.6], dtype=np.float32)


@dataclass(frozen=True)
class Footprints:
    """Rectangles that do not overlap; arrays of length N."""

    lot: Ints
    """Numbers of the lots they stand on."""
    x_m: Singles
    y_m: Singles
    """Centre."""
    half_u_m: Singles
    half_v_m: Singles
    """Half the lengths along the directions of the lot's district."""
    wing: Bools
    """Whether it is the lower part of an L."""

    def __len__(self) -> int:
        return len(self.lot)


def draw_footprints(plan: Plan, style: StyleGrid, lots: Lots) -> Footprints:
    """Where houses stand: on streets nearly everywhere, inside blocks where it is dense."""
    density = style.at("density", lots.x_m, lots.y_m)
    half_u_m, half_v_m = _halves_m(lots, density)
    chance = np.where(lots.interior, 0.55 * density, 0.55 + 0.45 * density)
    built = ((lots.use != PARKING) & (uniform(lots.word, 2) < chance)) | lots.market
    built &= np.minimum(half_u_m, half_v_m) > LEAST_HALF_M
    size = np.zeros(len(lots), dtype=np.float32)
    fit_sizes(plan, lots.district, lots.x_m, lots.y_m, half_u_m, half_v_m, built, _SIZES, size)
    lot = np.nonzero(size)[0]
    half_u_m, half_v_m = (half_u_m * size)[lot], (half_v_m * size)[lot]
    word = lots.word[lot]
    split = (uniform(word, 22) < WING_SHARE) & ~lots.market[lot]
    split &= (half_u_m > 6) & (half_v_m > 5)
    # Along v the house takes a part of the lot's depth, the wing the rest over half the width.
    part = 0.55 + 0.2 * uniform(word, 24)
    side_u = np.where(uniform(word, 25) < 0.5, -0.5, 0.5)
    side_v = np.where(uniform(word, 23) < 0.5, -1, 1)
    house_v_m = np.where(split, half_v_m * part, half_v_m)
    u_m = np.concatenate([np.zeros(len(lot)), (half_u_m * side_u)[split]])
    v_m = np.concatenate([(house_v_m - half_v_m) * side_v, (half_v_m * part * side_v)[split]])
    lot = np.concatenate([lot, lot[split]])
    district = lots.district[lot]
    cos, sin = plan.cos[district], plan.sin[district]
    return Footprints(
        lot=lot,
        x_m=(lots.x_m[lot] + u_m * cos - v_m * sin).astype(np.float32),
        y_m=(lots.y_m[lot] + u_m * sin + v_m * cos).astype(np.float32),
        half_u_m=np.concatenate([half_u_m, (half_u_m * 0.5)[split]]).astype(np.float32),
        half_v_m=np.concatenate([house_v_m, (half_v_m * (1 - part))[split]]).astype(np.float32),
        wing=np.arange(len(lot)) >= len(word),
    )


def _halves_m(lots: Lots, density: Reals) -> tuple[Singles, Singles]:
    """Half the sides of the house that a lot has room for."""
    gap_m = 1.0 + 4.5 * (1 - density) * (0.5 + uniform(lots.word, 1))
    # Where it is dense some blocks are terraces: their houses touch along u.
    terrace = uniform(lots.block_word, 7) < 0.9 * density - 0.25
    gap_u_m = np.where(terrace, np.float32(0), gap_m * 0.6)
    half_u_m = np.where(lots.market, 0.28 * lots.length_u_m, lots.length_u_m / 2 - gap_u_m)
    half_v_m = np.where(lots.market, 0.28 * lots.length_v_m, lots.length_v_m / 2 - gap_m)
    return half_u_m.astype(np.float32), half_v_m.astype(np.float32)


@compiled
def fit_sizes(
    plan: Plan,
    district: Ints,
    x_m: Singles,
    y_m: Singles,
    half_u_m: Singles,
    half_v_m: Singles,
    wanted: Bools,
    sizes: Singles,
    size: Singles,
) -> None:
    """The largest of some sizes at which each house stands free, 0 where none.

    A house keeps to its own district, off its streets, the river and railways: its middle and eight
    points of its edge are asked.
    """
    for house in range(len(x_m)):
        if not wanted[house]:
            continue
        cos, sin = plan.cos[district[house]], plan.sin[district[house]]
        for part in sizes:
            free = True
            for point in range(9):
                u = (point % 3 - 1) * half_u_m[house] * part
                v = (point // 3 - 1) * half_v_m[house] * part
                x, y = x_m[house] + u * cos - v * sin, y_m[house] + u * sin + v * cos
                spot = locate(plan, x, y)
                free &= spot.district == district[house] and spot.walk_m < 0.01
                free &= spot.bank_m > QUAY_M and spot.rail_m > RAIL_MARGIN_M
                if not free:
                    break
            if free:
                size[house] = part
                break
