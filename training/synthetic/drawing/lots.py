"""Lots of a city: the plots that its blocks are cut into, where they lie and their use."""

from __future__ import annotations

import numpy as np

from gair.arrays import Bools, Bytes, Ints
from training.synthetic.compiled import compiled
from training.synthetic.drawing.floor import lot_use
from training.synthetic.drawing.layout import city_xy, edges_m
from training.synthetic.drawing.plan import LOTS, MARKET, Plan, locate
from training.synthetic.noise import Reals, Words, hashed
from training.synthetic.style import StyleGrid


class Lots:
    """All lots near their own district, arrays of length N."""

    def __init__(self, plan: Plan, style: StyleGrid) -> None:
        first, last = edges_m(plan)
        kind = plan.block[:, :-1, :-1]
        size = last - first
        reach = np.abs((first + last) / 2).max(axis=0) < 1700
        wanted = ((kind == LOTS) | (kind == MARKET)) & (size.min(axis=0) > 8) & reach
        district, i, j = np.nonzero(wanted)
        middle = [((first[way] + last[way]) / 2)[district, i, j] for way in range(2)]
        near = np.zeros(len(district), dtype=bool)
        near_blocks(plan, district, *city_xy(plan, district, *middle), near)
        district, i, j = district[near], i[near], j[near]
        number = [plan.lots[way, district, i, j].astype(np.int64) for way in range(2)]
        many = number[0] * number[1]
        block = np.repeat(np.arange(len(district)), many)
        within = np.arange(len(block)) - np.repeat(np.cumsum(many) - many, many)
        number_v = number[1][block]
        ku, kv = within // number_v, within % number_v
        self.district, i, j = district[block], i[block], j[block]
        self.word: Words = hashed(plan.block_word[self.district, i, j], ku, kv)
        self.block_word: Words = plan.block_word[self.district, i, j]
        self.market: Bools = plan.block[self.district, i, j] == MARKET
        length = [size[way][self.district, i, j] / number[way][block] for way in range(2)]
        self.length_u_m, self.length_v_m = length
        u = first[0][self.district, i, j] + (ku + 0.5) * length[0]
        v = first[1][self.district, i, j] + (kv + 0.5) * length[1]
        self.x_m, self.y_m = city_xy(plan, self.district, u, v)
        # Which of a lot's sides, low u, high u, low v, high v, are the block's: streets run there.
        self.outer: Bools = np.stack(
            [ku == 0, ku == number[0][block] - 1, kv == 0, kv == number_v - 1], axis=1
        )
        self.interior: Bools = np.logical_not(self.outer.any(axis=1))
        inside = np.maximum(self.x_m, self.y_m) < plan.side_m
        self._keep(inside & (np.minimum(self.x_m, self.y_m) > 0))
        self.use: Bytes = np.empty(len(self.word), dtype=np.uint8)
        parking = style.at("parking", self.x_m, self.y_m)
        gardens = style.at("gardens", self.x_m, self.y_m)
        lot_uses(self.word, self.market, parking, gardens, self.use)

    def __len__(self) -> int:
        return len(self.word)

    def _keep(self, which: Bools) -> None:
        for name, values in vars(self).items():
            setattr(self, name, values[which])


@compiled
def lot_uses(word: Words, market: Bools, parking: Reals, gardens: Reals, use: Bytes) -> None:
    """What each lot is, as :func:`~training.synthetic.drawing.floor.lot_use` says."""
    for lot in range(len(word)):
        kind = MARKET if market[lot] else LOTS
        use[lot] = lot_use(word[lot], kind, parking[lot], gardens[lot])


@compiled
def near_blocks(plan: Plan, district: Ints, x_m: Reals, y_m: Reals, near: Bools) -> None:
    """Which blocks' middles lie in their own district, or not far outside it."""
    for block in range(len(x_m)):
        spot = locate(plan, x_m[block], y_m[block])
        near[block] = spot.district == district[block] or spot.border_m < 120
