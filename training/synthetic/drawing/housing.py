"""Housing of a city: one house on each built lot, its size, roof and facade from the style."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes
from training.synthetic import style as looks
from training.synthetic.drawing.footprints import Footprints
from training.synthetic.drawing.lots import Lots
from training.synthetic.drawing.plan import (
    Plan,
    Singles,
)
from training.synthetic.drawing.relief import height_at
from training.synthetic.noise import Reals, Words, uniform
from training.synthetic.style import StyleGrid
from training.synthetic.world import (
    ARCHED,
    BANDS,
    FLAT,
    GABLED,
    GRID,
    HIPPED,
    PLAIN,
    SHOP,
    Houses,
)

HEIGHT_LIMIT_M = 63.0
"""Of a tower: the raster of heights ends there."""


def build_houses(plan: Plan, style: StyleGrid, lots: Lots, footprints: Footprints) -> Houses:
    """The houses of a city: heights, roofs, facades and colours on their footprints."""
    lot = footprints.lot
    word, market = lots.word[lot], lots.market[lot]
    # Parts of one house are of one style, that at the middle of its lot.
    latent = {name: style.at(name, lots.x_m[lot], lots.y_m[lot]) for name in looks.LATENTS}
    # The ridge runs along the longer side, which is u.
    turned = footprints.half_v_m > footprints.half_u_m
    half_u_m = np.maximum(footprints.half_u_m, footprints.half_v_m)
    half_v_m = np.minimum(footprints.half_u_m, footprints.half_v_m)
    angle = plan.angle[lots.district[lot]]
    angle = np.where(turned, angle + np.float32(np.pi / 2), angle)
    tall_m = (4 + 22 * latent["height"] ** 1.7) * (0.75 + 0.5 * uniform(word, 3))
    tall_m = np.where(uniform(word, 4) < 0.03, tall_m * 2, tall_m)
    # Some towers, where houses are high and close.
    tower = uniform(word, 11) < 0.05 * (latent["height"] * latent["density"]) ** 2
    tall_m = np.where(tower, np.maximum(tall_m, 30 + 33 * uniform(word, 12)), tall_m)
    tall_m = np.where(market, 6.5, tall_m)
    tall_m = np.where(footprints.wing, np.maximum(0.6 * tall_m, 3), tall_m)
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
        x_m=footprints.x_m,
        y_m=footprints.y_m,
        half_u_m=_singles(half_u_m),
        half_v_m=_singles(half_v_m),
        angle=_singles(angle),
        base_m=_singles(height_at(plan.relief_m, footprints.x_m, footprints.y_m)),
        eaves_m=_singles(eaves_m),
        rise_m=_singles(rise_m),
        roof=roof.astype(np.uint8),
        facade=_facades(word, latent, tall_m, glass),
        storey_m=_singles(storey_m),
        bay_m=_singles(1.8 + 2.6 * latent["grain"] + 0.4 * uniform(word, 17)),
        glass=_singles(0.25 + 0.4 * glass),
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
