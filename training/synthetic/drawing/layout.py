"""Layout of a city: draws its plan from its seed and its style.

Streets are lanes, streets, and avenues with rows of trees; some have a median, some segments are
not built. Where the style wants parks, car parks or paved squares, some blocks become such.
"""

from __future__ import annotations

import numpy as np

from gair.arrays import Bools, Ints
from training.synthetic.drawing.plan import (
    DISTRICT_M,
    LINES,
    LOTS,
    MARKET,
    PARK,
    POND_PARK,
    SQUARE,
    WANDER_STEP_M,
    Plan,
    Singles,
)
from training.synthetic.drawing.relief import draw_relief, height_at
from training.synthetic.noise import Reals, hashed, uniform
from training.synthetic.style import StyleGrid
from training.synthetic.world import RELIEF_STEP_M

_BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))


def draw_layout(rng: np.random.Generator, seed: int, side_m: float, style: StyleGrid) -> Plan:
    """A plan for a city of ``side_m`` squared."""
    count = int(np.ceil(side_m / DISTRICT_M)) + 2
    centres = (np.arange(count) - 0.5) * DISTRICT_M
    jitter = rng.uniform(-0.38, 0.38, (2, count, count)) * DISTRICT_M
    many = count * count
    blank = np.zeros((2, many, LINES, LINES), dtype=np.float32)
    angle = rng.uniform(0, np.pi / 2, many).astype(np.float32)
    river_half_m = float(rng.uniform(18, 55))
    river_m = _curve_m(rng, side_m, (60, 350), (1500, 6000))
    rails = int(rng.integers(1, 3))
    plan = Plan(
        seed=seed,
        side_m=float(side_m),
        seed_x_m=(centres[None, :] + jitter[0]).astype(np.float32),
        seed_y_m=(centres[:, None] + jitter[1]).astype(np.float32),
        wander_m=_wander(side_m),
        angle=angle,
        cos=np.cos(angle),
        sin=np.sin(angle),
        spacing_m=rng.uniform(65, 150, (many, 2)).astype(np.float32),
        line_m=np.empty((2, many, LINES), dtype=np.float32),
        half_m=blank,
        walk_m=blank.copy(),
        median_m=blank.copy(),
        rows=np.zeros(blank.shape, dtype=np.uint8),
        block=np.zeros(blank.shape[1:], dtype=np.uint8),
        block_word=np.zeros(blank.shape[1:], dtype=np.uint32),
        lots=np.ones(blank.shape, dtype=np.int16),
        river_half_m=river_half_m,
        river_m=river_m,
        rails_m=np.stack([_curve_m(rng, side_m, (40, 500), (3500, 9000)) for _ in range(rails)]),
        relief_m=draw_relief(rng, side_m, np.abs(river_m) - np.float32(river_half_m)),
    )
    district = np.arange(many)[:, None]
    line = np.arange(LINES)[None, :] - LINES // 2
    for way in range(2):
        shift = 0.5 * (uniform(hashed(seed, way + 1, district, line)) - np.float32(0.5))
        plan.line_m[way] = (line + shift) * plan.spacing_m[:, way, None]
    for way in range(2):
        _draw_streets(plan, style, way)
    _draw_blocks(plan, style, rng.uniform(0.85, 1.15, many).astype(np.float32))
    return plan


def city_xy(plan: Plan, district: Ints, u_m: Reals, v_m: Reals) -> tuple[Reals, Reals]:
    """City coordinates of points given in their districts' own."""
    cos, sin = plan.cos[district], plan.sin[district]
    x = plan.seed_x_m.ravel()[district] + u_m * cos - v_m * sin
    y = plan.seed_y_m.ravel()[district] + u_m * sin + v_m * cos
    return x.astype(np.float32), y.astype(np.float32)


def edges_m(plan: Plan) -> tuple[Reals, Reals]:
    """Where the part of each block begins and ends that is cut into lots, (2, D, L - 1, L - 1)."""
    edge = plan.half_m + plan.walk_m
    first, last = np.empty((2, 2, len(plan.angle), LINES - 1, LINES - 1), dtype=np.float32)
    first[0] = plan.line_m[0, :, :-1, None] + edge[0, :, :-1, :-1]
    last[0] = plan.line_m[0, :, 1:, None] - edge[0, :, 1:, :-1]
    # Tables of streets along u count the line of v first.
    first[1] = plan.line_m[1, :, None, :-1] + edge[1, :, :-1, :-1].transpose(0, 2, 1)
    last[1] = plan.line_m[1, :, None, 1:] - edge[1, :, 1:, :-1].transpose(0, 2, 1)
    return first, last


def _wander(side_m: float) -> Singles:
    at = np.arange(int(side_m / WANDER_STEP_M) + 2) * WANDER_STEP_M
    table = np.empty((2, len(at), 2), dtype=np.float32)
    for way, (long_m, short_m, phase) in enumerate([(470, 89, 2), (430, 97, 1)]):
        table[way, :, 0] = 60 * np.sin(at / long_m) + 10 * np.sin(at / short_m + phase)
        slope = 60 / long_m * np.cos(at / long_m) + 10 / short_m * np.cos(at / short_m + phase)
        table[way, :, 1] = slope
    return table


def _curve_m(
    rng: np.random.Generator,
    side_m: float,
    amplitude_m: tuple[float, float],
    wavelength_m: tuple[float, float],
) -> Singles:
    """Distances of either sign to a bending line through the city, on the grid of the relief."""
    at = np.arange(round(side_m / RELIEF_STEP_M) + 1) * RELIEF_STEP_M - side_m / 2
    direction, offset_m = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3) * side_m
    along = at[None, :] * np.cos(direction) + at[:, None] * np.sin(direction)
    across = at[:, None] * np.cos(direction) - at[None, :] * np.sin(direction) - offset_m
    slope = np.zeros_like(across)
    for _ in range(3):
        amplitude, turn = rng.uniform(*amplitude_m), 2 * np.pi / rng.uniform(*wavelength_m)
        phase = rng.uniform(0, 7)
        across += amplitude * np.sin(along * turn + phase)
        slope += amplitude * turn * np.cos(along * turn + phase)
    return np.asarray(across / np.sqrt(1 + slope**2), dtype=np.float32)


def _draw_streets(plan: Plan, style: StyleGrid, way: int) -> None:
    """Widths, sidewalks, medians and rows of trees of all segments of one direction."""
    district = np.arange(len(plan.angle))[:, None, None]
    line, segment = np.arange(LINES)[None, :, None], np.arange(LINES)[None, None, :]
    at = np.broadcast_to(plan.line_m[way][:, :, None], (len(plan.angle), LINES, LINES))
    along = plan.line_m[1 - way]
    middle = np.zeros_like(along)
    middle[:, :-1] = (along[:, 1:] + along[:, :-1]) / 2
    beside = np.broadcast_to(middle[:, None, :], at.shape)
    x, y = city_xy(plan, district, *((at, beside) if way == 0 else (beside, at)))
    width = style.at("width", x, y)
    # A line is a lane, a street or an avenue over its whole length; its width follows the style.
    kind = uniform(hashed(plan.seed, 20 + way, district, line))
    word = hashed(plan.seed, 30 + way, district, line, segment)
    avenue = np.broadcast_to(kind < 0.14, at.shape)
    lane = (kind > 0.95 - 0.55 * (1 - width)) & ~avenue
    half = np.where(lane, 1.9 + 0.9 * width, 3.1 + 3.4 * width)
    half = np.where(avenue, 6.5 + 2.5 * width, half)
    walk = np.where(lane, np.float32(1.3), 2.0 + 1.6 * width)
    walk = np.where(avenue, np.float32(5.0), walk)
    built = avenue | (uniform(word) >= (0.15, 0.25)[way])
    median = avenue & (uniform(hashed(plan.seed, 40 + way, district, line)) < 0.5)
    plan.half_m[way] = np.where(built, half, 0)
    plan.walk_m[way] = np.where(built, walk, 0)
    plan.median_m[way] = np.where(median, 1.8, 0)
    trees = style.at("trees", x, y)
    plan.rows[way] = built & (avenue | (~lane & (uniform(word, 3) < 0.9 * trees)))


def _draw_blocks(plan: Plan, style: StyleGrid, lot_gain: Reals) -> None:
    """What each block is for, and into how many lots it is cut."""
    many = len(plan.angle)
    district = np.arange(many)[:, None, None]
    i, j = np.arange(LINES)[None, :, None], np.arange(LINES)[None, None, :]
    plan.block_word[:] = hashed(plan.seed, 50, district, i, j)
    inner = (slice(None), slice(0, LINES - 1), slice(0, LINES - 1))
    word = plan.block_word[inner]
    first, last = edges_m(plan)
    size = last - first
    x, y = city_xy(plan, district, (first[0] + last[0]) / 2, (first[1] + last[1]) / 2)
    density = style.at("density", x, y)
    wanted = 13 + 20 * style.at("grain", x, y) * lot_gain[:, None, None]
    for way in range(2):
        number = np.maximum(np.round(size[way] / wanted), 1)
        plan.lots[(way, *inner)] = number.astype(np.int16)
    draw = uniform(word, 5)
    share_park = 0.03 + 0.25 * style.at("parks", x, y) ** 3
    share_market = 0.004 + 0.08 * style.at("parking", x, y) ** 2
    share_square = 0.008 + 0.05 * density * style.at("paving", x, y)
    large = size.min(axis=0) > 30
    kind = _first_of(
        draw, [(share_park, PARK), (share_market * large, MARKET), (share_square, SQUARE)]
    )
    # A pond lies level: only where its banks differ by little.
    beside = [height_at(plan.relief_m, x + 20 * dx, y + 20 * dy) for dx, dy in _BESIDE]
    level = np.max(beside, axis=0) - np.min(beside, axis=0) < 1.0
    pond = (kind == PARK) & large & level & (uniform(word, 9) < 0.45)
    kind = np.where(pond, POND_PARK, kind)
    plan.block[inner] = kind
    single: Bools = kind == MARKET
    for way in range(2):
        plan.lots[(way, *inner)][single] = 1


def _first_of(draw: Reals, shares: list[tuple[Reals, int]]) -> Ints:
    """Which kind a number in [0, 1) falls to; the rest are lots."""
    kind = np.full(draw.shape, LOTS, dtype=np.int64)
    start: Reals = np.zeros(draw.shape, dtype=np.float32)
    for share, number in shares:
        kind = np.where((draw >= start) & (draw < start + share), number, kind)
        start = start + share
    return kind
