"""Synthetic imagery laid over Greater London: several dates, tiles of two UTM zones, clouds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from stac_world import CLOUD, FakeScene, clear_classes

from gair.arrays import DigitalNumbers
from training.synthetic.city import ATTRIBUTION, City
from training.synthetic.sentinel import Scene, observe

TILES = {
    "30UXC": ("EPSG:32630", (665_000.0, 5_737_000.0), (54_000, 44_800)),
    "30UYC": ("EPSG:32630", (699_960.0, 5_737_000.0), (54_000, 24_000)),
    "31UCT": ("EPSG:32631", (297_000.0, 5_737_000.0), (54_000, 28_000)),
}
"""CRS, north-west corner, and height and width in metres: the parts of three Sentinel-2 tiles that
London lies in, each overlapping its neighbour."""


def london_scenes(days: tuple[str, ...], seed: int = 5, side_m: float = 4000.0) -> list[FakeScene]:
    """A synthetic city repeated over the tiles, each repetition brighter or darker; a cloud moves.

    Args:
        days: of the dates, as ``2024-06-01``; all tiles have all dates.
        seed: of the city.
        side_m: of the piece that is repeated.
    """
    city = City(seed, side_m)
    world = city.draw()
    rng = city.generator("london")
    shades = rng.uniform(0.6, 1.5, (len(TILES), 10, 20, 20)).astype(np.float32)
    scenes = []
    for number, day in enumerate(days):
        piece = observe(world, Scene.draw(rng), rng).astype(np.float32)
        for shade, (tile, (crs, west_north_m, size_m)) in zip(shades, TILES.items(), strict=True):
            dn = _repeated(piece, shade, size_m)
            classes = clear_classes(dn)
            classes[number * 400 : number * 400 + 300, 200:700] = CLOUD
            scenes.append(
                FakeScene(
                    name=f"S2_{tile}_{day.replace('-', '')}",
                    acquired=f"{day}T11:06:21Z",
                    dn=dn,
                    classes=classes,
                    crs=crs,
                    west_north_m=west_north_m,
                    cloud_percent=float(number),
                    platform=ATTRIBUTION,
                )
            )
    return scenes


def _repeated(
    piece: npt.NDArray[np.float32], shade: npt.NDArray[np.float32], size_m: tuple[int, int]
) -> DigitalNumbers:
    """(10, H, W): the piece again and again, each in a shade of its own."""
    height, width = (side // 20 * 2 for side in size_m)
    side = piece.shape[1]
    pixels = np.empty((len(piece), height, width), dtype=np.uint16)
    for row in range(0, height, side):
        for column in range(0, width, side):
            part = pixels[:, row : row + side, column : column + side]
            tint = shade[:, row // side % 20, column // side % 20, None, None]
            part[:] = np.clip(piece[:, : part.shape[1], : part.shape[2]] * tint, 1, 10_000)
    return pixels
