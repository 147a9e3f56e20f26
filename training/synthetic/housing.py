"""Housing of a city: one house on each built lot, its size, roof and facade from the style."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Bytes, Ints
from training.synthetic import style as looks
from training.synthetic.compiled import compiled
from training.synthetic.floor import lot_use
from training.synthetic.layout import city_xy, edges_m
from training.synthetic.noise import Reals, Words, hashed, uniform
from training.synthetic.plan import (
    LOTS,
    MARKET,
    QUAY_M,
    RAIL_MARGIN_M,
    Plan,
    Singles,
    locate,
)
from training.synthetic.relief import height_at
from training.synthetic.style import StyleGrid
from training.synthetic.world import (
    ARCHED,
    BANDS,
    FLAT,
    GABLED,
    GRID,
    HIPPED,
    PARKING,
    PLAIN,
    SHOP,
    Houses,
)

HEIGHT_LIMIT_M = 63.0
"""Of a tower: the raster of heights ends there."""
_SIZES = np.array([1.0, 0.8, 0.6], dtype=np.float32)


def build_houses(plan: Plan, style: StyleGrid) -> Houses:
    """The houses of a city."""
    lots = _Lots(plan)
    latent = {name: style.at(name, lots.x_m, lots.y_m) for name in looks.LATENTS}
    half_u_m, half_v_m = lots.halves_m(latent["density"])
    chance = 0.55 + 0.45 * latent["density"]
    chance = np.where(lots.interior, 0.55 * latent["density"], chance)
    use = np.empty(len(lots.word), dtype=np.uint8)
    lot_uses(lots.word, lots.market, latent["parking"], latent["gardens"], use)
    built = ((use != PARKING) & (uniform(lots.word, 2) < chance)) | lots.market
    built &= np.minimum(half_u_m, half_v_m) > 2.2
    size = np.zeros(len(lots.word), dtype=np.float32)
    fit_sizes(plan, lots.district, lots.x_m, lots.y_m, half_u_m, half_v_m, built, _SIZES, size)
    keep = size > 0
    latent = {name: values[keep] for name, values in latent.items()}
    return _houses(
        lots.word[keep],
        lots.market[keep],
        latent,
        lots.x_m[keep],
        lots.y_m[keep],
        (half_u_m * size)[keep],
        (half_v_m * size)[keep],
        plan.angle[lots.district[keep]],
        plan.relief_m,
    )


class _Lots:
    """All lots near their own district, arrays of length N."""

    def __init__(self, plan: Plan) -> None:
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
        self.interior: Bools = (ku > 0) & (ku < number[0][block] - 1)
        self.interior &= (kv > 0) & (kv < number_v - 1)
        inside = np.maximum(self.x_m, self.y_m) < plan.side_m
        self._keep(inside & (np.minimum(self.x_m, self.y_m) > 0))

    def _keep(self, which: Bools) -> None:
        for name, values in vars(self).items():
            setattr(self, name, values[which])

    def halves_m(self, density: Reals) -> tuple[Reals, Reals]:
        """Half the sides of the house that a lot has room for."""
        gap_m = 1.0 + 4.5 * (1 - density) * (0.5 + uniform(self.word, 1))
        # Where it is dense some blocks are terraces: their houses touch along u.
        terrace = uniform(self.block_word, 7) < 0.9 * density - 0.25
        gap_u_m = np.where(terrace, np.float32(0), gap_m * 0.6)
        half_u_m = np.where(self.market, 0.28 * self.length_u_m, self.length_u_m / 2 - gap_u_m)
        half_v_m = np.where(self.market, 0.28 * self.length_v_m, self.length_v_m / 2 - gap_m)
        return half_u_m.astype(np.float32), half_v_m.astype(np.float32)


@compiled
def lot_uses(word: Words, market: Bools, parking: Reals, gardens: Reals, use: Bytes) -> None:
    """What each lot is, as :func:`~training.synthetic.floor.lot_use` says."""
    for lot in range(len(word)):
        kind = MARKET if market[lot] else LOTS
        use[lot] = lot_use(word[lot], kind, parking[lot], gardens[lot])


@compiled
def near_blocks(plan: Plan, district: Ints, x_m: Reals, y_m: Reals, near: Bools) -> None:
    """Which blocks' middles lie in their own district, or not far outside it."""
    for block in range(len(x_m)):
        spot = locate(plan, x_m[block], y_m[block])
        near[block] = spot.district == district[block] or spot.border_m < 120


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


def _houses(
    word: Words,
    market: Bools,
    latent: dict[str, Reals],
    x_m: Reals,
    y_m: Reals,
    half_u_m: Reals,
    half_v_m: Reals,
    angle: Reals,
    relief_m: Reals,
) -> Houses:
    """Heights, roofs, facades and colours of houses on given rectangles."""
    # The ridge runs along the longer side, which is u.
    turned = half_v_m > half_u_m
    half_u_m, half_v_m = (
        np.where(turned, half_v_m, half_u_m),
        np.where(turned, half_u_m, half_v_m),
    )
    angle = np.where(turned, angle + np.float32(np.pi / 2), angle)
    tall_m = (4 + 22 * latent["height"] ** 1.7) * (0.75 + 0.5 * uniform(word, 3))
    tall_m = np.where(uniform(word, 4) < 0.03, tall_m * 2, tall_m)
    # Some towers, where houses are high and close.
    tower = uniform(word, 11) < 0.05 * (latent["height"] * latent["density"]) ** 2
    tall_m = np.where(tower, np.maximum(tall_m, 30 + 33 * uniform(word, 12)), tall_m)
    tall_m = np.where(market, 6.5, tall_m)
    pitched = (uniform(word, 13) < _sharp(latent["pitch"])) & (tall_m < 19) & ~market
    roof = np.where(pitched, np.where(uniform(word, 14) < 0.3, HIPPED, GABLED), FLAT)
    steep = 0.45 + 0.45 * latent["pitch"] + 0.1 * uniform(word, 15)
    rise_m = np.where(pitched, np.minimum(half_v_m * steep, 0.45 * tall_m), 0)
    storey_m = 2.7 + 0.9 * latent["glass"] + 0.2 * uniform(word, 16)
    storeys = np.maximum(np.round((tall_m - rise_m) / storey_m), 1)
    eaves_m = np.minimum(storeys * storey_m + 0.4, HEIGHT_LIMIT_M - rise_m)
    material = [near(latent[name], word, 6 + n) for n, name in enumerate(("red", "green", "blue"))]
    glass = near(latent["glass"], word, 21)
    wall = looks.facade_rgb(looks.wall_rgb(*material), glass)
    tiles = looks.roof_rgb(*material)
    roof_rgb = np.where(pitched[:, None], tiles, looks.flat_roof_rgb(tiles, glass))
    return Houses(
        x_m=_singles(x_m),
        y_m=_singles(y_m),
        half_u_m=_singles(half_u_m),
        half_v_m=_singles(half_v_m),
        angle=_singles(angle),
        base_m=_singles(height_at(relief_m, x_m, y_m)),
        eaves_m=_singles(eaves_m),
        rise_m=_singles(rise_m),
        roof=roof.astype(np.uint8),
        facade=_facades(word, latent, tall_m, glass),
        storey_m=_singles(storey_m),
        bay_m=_singles(1.8 + 2.6 * latent["grain"] + 0.4 * uniform(word, 17)),
        glass=_singles(0.3 + 0.5 * glass),
        wall_rgb=looks.as_bytes(wall),
        roof_rgb=looks.as_bytes(roof_rgb),
        trim_rgb=looks.as_bytes(looks.trim_rgb(wall, near(latent["paving"], word, 18))),
        word=word,
    )


def _facades(word: Words, latent: dict[str, Reals], tall_m: Reals, glass: Reals) -> Bytes:
    """Patterns of facades: glass on towers, shops where it is dense, arches on steep roofs."""
    draw = uniform(word, 19)
    shop = (uniform(word, 20) < 0.6 * latent["density"] ** 2) & (tall_m > 5)
    facade = np.where(shop, SHOP, PLAIN)
    facade = np.where(draw < 0.7 * latent["pitch"] * (1 - latent["glass"]), ARCHED, facade)
    facade = np.where((draw < _sharp(glass)) & (tall_m > 8), BANDS, facade)
    return np.where((draw < _sharp(glass) - 0.4) & (tall_m > 14), GRID, facade).astype(np.uint8)


def near(latent: Reals, words: Words, stream: int) -> Reals:
    """A latent number as one house or tree has it: its neighbourhood's, a little off."""
    return np.clip(latent + 0.10 * (uniform(words, stream) - 0.5), 0, 1).astype(np.float32)


def _sharp(latent: Reals) -> Reals:
    """Nearer to 0 or 1 than a latent number is."""
    return np.asarray(latent * latent * (3 - 2 * latent))


def _singles(values: npt.NDArray[np.floating]) -> Singles:
    return np.asarray(values, dtype=np.float32)
