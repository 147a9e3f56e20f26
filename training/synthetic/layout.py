"""Layout of a city: districts, streets, blocks, lots and water, for any point.

Districts are the cells of a jittered grid of seeds. Each has its own street grid: direction,
spacings, widths; lines are shifted and some are left out, so blocks differ. Coordinates are metres,
x to the east and y to the **south** of the north-west corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gair.arrays import Bools, Floats, Ints
from training.synthetic.noise import Reals, Words, hashed, uniform

DISTRICT_M = 1100.0
"""Step of the grid of district seeds."""
SIDEWALK_M = 3.0
"""Width of the strip between a carriageway and its lots."""


@dataclass(frozen=True)
class Ground:
    """What the layout says about points; arrays of one shape."""

    district: Ints
    road_m: Reals
    """Distance into the carriageway: above 0 on it, negative beside it."""
    block: Words
    """Identity of the block."""
    lot: Words
    """Identity of the lot."""
    lot_x_m: Reals
    lot_y_m: Reals
    """Centre of the lot, city coordinates."""
    inset_u: Reals
    inset_v: Reals
    """Distance from the lot's nearest edge along each street direction, metres."""
    interior: Bools
    """Whether the lot touches no street."""
    along_m: Reals
    """A coordinate that changes along any wall of the district's grid."""
    water: Bools


@dataclass(frozen=True)
class Layout:
    """The plan of one city."""

    seed: int
    side_m: float
    seed_x_m: Reals
    seed_y_m: Reals
    """(R, C) district seeds."""
    angle: Reals
    """(R*C,) direction of the street grid, radians."""
    spacing_m: Reals
    """(R*C, 2) mean distance between streets."""
    width_m: Reals
    """(R*C,) carriageway."""
    lot_m: Reals
    """(R*C, 2) wanted size of lots."""
    river: Floats
    """Direction, offset, half-width, then amplitude, wavelength and phase of three bends."""

    @classmethod
    def draw(cls, rng: np.random.Generator, seed: int, side_m: float) -> Layout:
        """A plan for a city of ``side_m`` squared."""
        count = int(np.ceil(side_m / DISTRICT_M)) + 2
        centres = (np.arange(count) - 0.5) * DISTRICT_M
        jitter = rng.uniform(-0.38, 0.38, (2, count, count)) * DISTRICT_M
        many = count * count
        bends = np.stack(
            [rng.uniform(60, 350, 3), rng.uniform(1500, 6000, 3), rng.uniform(0, 7, 3)]
        )
        river = np.concatenate(
            [[rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3), rng.uniform(18, 55)], bends.ravel()]
        )
        return cls(
            seed=seed,
            side_m=side_m,
            seed_x_m=(centres[None, :] + jitter[0]).astype(np.float32),
            seed_y_m=(centres[:, None] + jitter[1]).astype(np.float32),
            angle=rng.uniform(0, np.pi / 2, many).astype(np.float32),
            spacing_m=rng.uniform(65, 150, (many, 2)).astype(np.float32),
            width_m=rng.uniform(7, 15, many).astype(np.float32),
            lot_m=rng.uniform(15, 32, (many, 2)).astype(np.float32),
            river=river,
        )

    def at(self, x_m: Reals, y_m: Reals) -> Ground:
        """The layout at points; ``x_m`` and ``y_m`` broadcast to one shape."""
        x, y = (np.ascontiguousarray(a) for a in np.broadcast_arrays(x_m, y_m))
        district, border_m = self._districts(x, y)
        cos, sin = np.cos(self.angle)[district], np.sin(self.angle)[district]
        # Coordinates along the two directions of the district's grid. For each: the distance d from
        # the line below, the gap to the next one (size), and the line's index i.
        u, v = x * cos + y * sin, y * cos - x * sin
        width = self.width_m[district]
        du, size_u, iu = self._between(u, self.spacing_m[:, 0][district], district, 1)
        dv, size_v, iv = self._between(v, self.spacing_m[:, 1][district], district, 2)
        along_u = self._road(du, size_u, width, hashed(district, iu, iv, 11, self.seed), 0.15)
        along_v = self._road(dv, size_v, width, hashed(district, iv, iu, 12, self.seed), 0.25)
        arterial = np.float32(11) - border_m
        block = hashed(self.seed, district, iu, iv)
        edge = width / 2 + SIDEWALK_M
        nu, pu, lu = _lots(du - edge, size_u - 2 * edge, self.lot_m[:, 0][district])
        nv, pv, lv = _lots(dv - edge, size_v - 2 * edge, self.lot_m[:, 1][district])
        ku, kv = np.clip(np.floor(pu), 0, nu - 1), np.clip(np.floor(pv), 0, nv - 1)
        centre_u = u + (ku + 0.5 - pu) * lu
        centre_v = v + (kv + 0.5 - pv) * lv
        return Ground(
            district=district,
            road_m=np.maximum(np.maximum(along_u, along_v), arterial),
            block=block,
            lot=hashed(block, ku.astype(np.int32), kv.astype(np.int32)),
            lot_x_m=centre_u * cos - centre_v * sin,
            lot_y_m=centre_u * sin + centre_v * cos,
            inset_u=(0.5 - np.abs(pu - ku - 0.5)) * lu,
            inset_v=(0.5 - np.abs(pv - kv - 0.5)) * lv,
            interior=(ku > 0) & (ku < nu - 1) & (kv > 0) & (kv < nv - 1),
            along_m=u + v,
            water=self._river_m(x, y) < 0,
        )

    def _districts(self, x: Reals, y: Reals) -> tuple[Ints, Reals]:
        """The district of each point, and about how far its border is."""
        count = self.seed_x_m.shape[1]
        # Borders wander instead of running straight.
        wx = x + 40 * np.sin(y / 170) + 25 * np.sin(x / 61 + 1)
        wy = y + 40 * np.sin(x / 190) + 25 * np.sin(y / 67 + 2)
        column = np.clip((wx / DISTRICT_M + 1).astype(np.int64), 1, count - 2)
        row = np.clip((wy / DISTRICT_M + 1).astype(np.int64), 1, count - 2)
        best = np.full(x.shape, np.inf, dtype=np.float32)
        second = best.copy()
        district = np.zeros(x.shape, dtype=np.int64)
        flat_x, flat_y = self.seed_x_m.ravel(), self.seed_y_m.ravel()
        # Seeds stray by less than 0.4 of a step: nearly always the two nearest are of these nine.
        for j in (-1, 0, 1):
            for i in (-1, 0, 1):
                number = (row + j) * count + column + i
                far = np.hypot(wx - flat_x[number], wy - flat_y[number])
                nearer = far < best
                second = np.where(nearer, best, np.minimum(second, far))
                district = np.where(nearer, number, district)
                best = np.where(nearer, far, best)
        # Half the difference of the distances is at most the distance to the border between the
        # two seeds, and equal to it between the two.
        return district, (second - best) / 2

    def _between(
        self, t: Reals, spacing: Reals, district: Ints, axis: int
    ) -> tuple[Reals, Reals, Ints]:
        """Between which two lines of a street grid: distance to the lower one, their gap, index."""
        # Line i lies at i + shift(i), shifts within a quarter: a point between i and i + 1 may lie
        # below the shifted line i or above the shifted line i + 1, never further off.
        scaled = t / spacing
        index = np.floor(scaled).astype(np.int64)
        lower, upper = self._shift(index, district, axis), self._shift(index + 1, district, axis)
        part = scaled - index
        down, up = part < lower, part >= 1 + upper
        index = index - down + up
        low = index + np.where(down, self._shift(index, district, axis), np.where(up, upper, lower))
        high = (
            index
            + 1
            + np.where(down, lower, np.where(up, self._shift(index + 1, district, axis), upper))
        )
        return (
            ((scaled - low) * spacing).astype(np.float32),
            ((high - low) * spacing).astype(np.float32),
            index,
        )

    def _shift(self, index: Ints, district: Ints, axis: int) -> Reals:
        return (uniform(hashed(self.seed, axis, district, index)) - np.float32(0.5)) * np.float32(
            0.5
        )

    @staticmethod
    def _road(
        from_low_m: Reals, gap_m: Reals, width_m: Reals, segment: Words, missing: float
    ) -> Reals:
        """How far inside the nearer of two parallel streets; some segments are not built."""
        built = uniform(segment) >= missing
        to_low = np.where(built, width_m / 2 - from_low_m, np.float32(-99))
        return np.asarray(np.maximum(to_low, width_m / 2 - (gap_m - from_low_m)), np.float32)

    def _river_m(self, x: Reals, y: Reals) -> Reals:
        """Distance to the bank, negative in the water."""
        direction, offset, half = self.river[:3]
        cos, sin = np.float32(np.cos(direction)), np.float32(np.sin(direction))
        middle = np.float32(self.side_m / 2)
        along = (x - middle) * cos + (y - middle) * sin
        across = (y - middle) * cos - (x - middle) * sin - np.float32(offset * self.side_m)
        for amplitude, wavelength, phase in self.river[3:].reshape(3, 3).T:
            across = across + np.float32(amplitude) * np.sin(
                along * np.float32(2 * np.pi / wavelength) + np.float32(phase)
            )
        return np.asarray(np.abs(across) - np.float32(half), dtype=np.float32)


def _lots(t: Reals, size: Reals, wanted: Reals) -> tuple[Reals, Reals, Reals]:
    """Cut a block's side into equal lots: their number, the position in lots, a lot's length."""
    number = np.maximum(np.round(size / wanted), 1).astype(np.float32)
    length = np.maximum(size, 1) / number
    return number, (t / length).astype(np.float32), length.astype(np.float32)
