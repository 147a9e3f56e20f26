"""Photographs of a city: what some cameras see under some conditions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Floats32
from gair.errors import GairError
from training.synthetic.compiled import compiled
from training.synthetic.conditions import Conditions
from training.synthetic.noise import Words
from training.synthetic.street.camera import Cameras
from training.synthetic.street.column import HITS, Ray, cast, depth_steps
from training.synthetic.street.eye import Eye
from training.synthetic.street.floor import PATCH
from training.synthetic.street.grain import BELLS
from training.synthetic.street.lens import expose, precipitation
from training.synthetic.street.light import lights
from training.synthetic.street.sky import paint_sky
from training.synthetic.street.stage import RADIUS, TREE_X, TREE_Y, Stage, stage_of
from training.synthetic.street.terrain import relief_at
from training.synthetic.street.things import AT_X, AT_Y, KIND, LAMP, draw_thing, scatter
from training.synthetic.street.trees import draw_tree, trees_in_view
from training.synthetic.world import World

WIDTH_PX, HEIGHT_PX = 256, 192
SAMPLES = 2
"""Of a pixel along each direction: their mean smooths edges."""

_DEPTHS_M = depth_steps()
_BEHIND = 1e9


def photograph(
    world: World,
    cameras: Cameras,
    conditions: Conditions,
    rng: np.random.Generator,
    *,
    width_px: int = WIDTH_PX,
    height_px: int = HEIGHT_PX,
    samples: int = SAMPLES,
) -> Bytes:
    """The photos of some cameras.

    Args:
        world: the city; its tables are packed at the first call.
        cameras: (P).
        conditions: (P) of the photos.
        rng: one draw for each photo, for cars, clouds, exposure and noise: photos are the same
            however they are dealt out over calls.
        width_px: of a photo.
        height_px: of it; another size of the same shape shows the same scene.
        samples: of a pixel along each direction.

    Returns:
        (P, height_px, width_px, 3) RGB.
    """
    words = photo_words(rng, len(cameras))
    size_px = (width_px, height_px)
    return photograph_again(world, cameras, conditions, words, size_px=size_px, samples=samples)


def photo_words(rng: np.random.Generator, count: int) -> Words:
    """Hashes of photos, one draw for each."""
    return (rng.integers(0, 2**63, count) & 0x7FFFFFFF).astype(np.uint32)


def photograph_again(
    world: World,
    cameras: Cameras,
    conditions: Conditions,
    words: Words,
    *,
    size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX),
    samples: int = SAMPLES,
) -> Bytes:
    """Photos whose hashes are given, see :func:`photograph`: each looks the same in any company."""
    width_px, height_px = size_px
    if 3 * width_px >= len(BELLS):
        raise GairError(
            f"photos {width_px} pixels wide are not drawn: ask for less than {len(BELLS) // 3}"
        )
    out = np.empty((len(cameras), height_px, width_px, 3), np.uint8)
    heading = np.radians(cameras.heading_deg.astype(np.float64))
    focal = 0.5 / np.tan(np.radians(cameras.field_deg.astype(np.float64)) / 2)
    lenses = np.stack(
        [
            cameras.x_m,
            cameras.y_m,
            cameras.eye_m,
            np.sin(heading),
            -np.cos(heading),
            focal * width_px * samples,
            cameras.horizon * height_px * samples,
        ],
        axis=1,
    )
    _take(stage_of(world), lights(conditions, words), lenses, words, _DEPTHS_M, BELLS, samples, out)
    return out


@compiled
def _take(
    stage: Stage,
    lit_by: npt.NDArray[np.void],
    lenses: np.ndarray,
    words: Words,
    steps: Floats32,
    bells: Floats32,
    samples: int,
    out: Bytes,
) -> None:
    """Draw photos: (P, 7) lenses, (P,) hashes, (P, H, W, 3) bytes to write."""
    height, width = out.shape[1], out.shape[2]
    rows, columns = height * samples, width * samples
    picture = np.empty((height, width, 3), np.float32)
    rgb, depth = np.empty((rows, 3), np.float32), np.empty(rows, np.float32)
    total, sky = np.empty((height, 3), np.float32), np.empty((height, 3), np.float32)
    seen = np.full(len(stage.casters.houses), -1, np.int32)
    waiting, between = np.empty((2, HITS), np.int32), np.empty((2, HITS), np.float32)
    patch = np.full(PATCH, -1.0)
    stamp = 0
    for photo in range(len(lenses)):
        lens, word, light = lenses[photo], int(words[photo]), lit_by[photo]
        eye = Eye(
            lens[0],
            lens[1],
            lens[2] + relief_at(stage, lens[0], lens[1]),
            lens[3],
            lens[4],
            lens[5],
            lens[6],
            0.5 * columns,
            rows,
            columns,
        )
        wide = eye.middle / eye.focal
        things = scatter(stage, eye, wide, word)
        trees, tree_depths = trees_in_view(stage, eye, wide)
        count = len(trees) + len(things)
        depths, middles = np.empty(count, np.float64), np.empty(count, np.float64)
        halves = np.empty(count, np.float64)
        lamps = np.empty((len(things), 2), np.float32)
        standing = 0
        for one in range(count):
            if one < len(trees):
                tree = stage.casters.trees[trees[one]]
                ox, oy, half = tree[TREE_X] - eye.x, tree[TREE_Y] - eye.y, 1.15 * tree[RADIUS]
            else:
                thing = things[one - len(trees)]
                ox, oy, half = thing[AT_X] - eye.x, thing[AT_Y] - eye.y, 3.4
                if thing[KIND] == LAMP:
                    lamps[standing, 0], lamps[standing, 1] = thing[AT_X], thing[AT_Y]
                    standing += 1
            depths[one] = ox * eye.forward_x + oy * eye.forward_y
            middles[one] = (oy * eye.forward_x - ox * eye.forward_y) / depths[one]
            halves[one] = half / (depths[one] - (0.0 if one < len(trees) else 2.8))
        order = np.argsort(-depths)
        left, right = middles[order] - halves[order], middles[order] + halves[order]
        clear = np.exp(-steps / light.clear_m)
        lit, edge = np.empty(len(steps), np.uint8), np.empty(len(steps), np.float32)
        ray = Ray(
            steps, clear, lit, edge, lamps[:standing], seen, patch, samples == 2, waiting, between
        )
        sunlit = light.sun[1] * eye.forward_x - light.sun[0] * eye.forward_y
        for column in range(width):
            total[:] = 0
            lit[:] = 2
            painted = 0
            for sample in range(samples):
                aside = (column * samples + sample + 0.5 - eye.middle) / eye.focal
                dx = eye.forward_x - eye.forward_y * aside
                dy = eye.forward_y + eye.forward_x * aside
                depth[:] = _BEHIND
                stamp += 1
                top = cast(stage, light, eye, ray, stamp, dx, dy, rgb, depth)
                need = (top + samples - 1) // samples
                if need > painted:
                    paint_sky(stage.grain, light, eye, word, samples, need, dx, dy, sky)
                    painted = need
                for pixel in range(need):
                    for row in range(pixel * samples, min(pixel * samples + samples, top)):
                        rgb[row, 0] = sky[pixel, 0]
                        rgb[row, 1] = sky[pixel, 1]
                        rgb[row, 2] = sky[pixel, 2]
                for place in range(count):
                    if left[place] < aside < right[place]:
                        one = order[place]
                        t = depths[one]
                        beside = (aside - middles[one]) * t
                        if one < len(trees):
                            draw_tree(stage, light, eye, trees[one], t, beside, sunlit, rgb, depth)
                        else:
                            thing = things[one - len(trees)]
                            draw_thing(light, eye, thing, t, beside, dx, dy, rgb, depth)
                for pixel in range(height):
                    for row in range(pixel * samples, (pixel + 1) * samples):
                        total[pixel, 0] += rgb[row, 0]
                        total[pixel, 1] += rgb[row, 1]
                        total[pixel, 2] += rgb[row, 2]
            share = 1.0 / (samples * samples)
            for row in range(height):
                for k in range(3):
                    picture[row, column, k] = total[row, k] * share
        precipitation(light, word, picture)
        expose(light, word, bells, picture, out[photo])
