"""Trees in a photo: crowns of leaves or twigs on trunks, drawn against a column's depth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats32
from training.synthetic.compiled import compiled, inlined
from training.synthetic.street.eye import LAMP_RGB, Eye
from training.synthetic.street.grain import chance, smooth, speck
from training.synthetic.street.light import Light
from training.synthetic.street.stage import (
    CONIFER,
    RADIUS,
    TALL,
    TREE_BASE,
    TREE_X,
    TREE_Y,
    Stage,
)
from training.synthetic.world import CELL_M

TREES_M = 260.0
"""Trees further away are not drawn."""
_NEAR_M = 1.5
_TRUNK_RGB = (0.27, 0.21, 0.16)


@compiled
def trees_in_view(stage: Stage, eye: Eye, wide: float) -> tuple[npt.NDArray[np.int32], Floats32]:
    """Numbers of the trees before a camera and their depths.

    Args:
        stage: the world.
        eye: the camera.
        wide: how far aside the picture shows for each metre of depth.
    """
    ids, depths = np.empty(4096, np.int32), np.empty(4096, np.float32)
    count = 0
    reach = int(TREES_M / CELL_M) + 1
    column, row = int(eye.x / CELL_M), int(eye.y / CELL_M)
    for r in range(max(row - reach, 0), min(row + reach + 1, stage.casters.cells)):
        for c in range(max(column - reach, 0), min(column + reach + 1, stage.casters.cells)):
            ox, oy = (c + 0.5) * CELL_M - eye.x, (r + 0.5) * CELL_M - eye.y
            t = ox * eye.forward_x + oy * eye.forward_y
            if t < -CELL_M or t > TREES_M:
                continue
            aside = abs(oy * eye.forward_x - ox * eye.forward_y)
            if aside > t * wide + CELL_M * (1.5 + wide):
                continue
            cell = r * stage.casters.cells + c
            for item in range(stage.casters.tree_start[cell], stage.casters.tree_start[cell + 1]):
                number = stage.casters.tree_items[item]
                tree = stage.casters.trees[number]
                # A tree touches several cells: it counts in that of its trunk.
                if int(tree[TREE_X] / CELL_M) != c or int(tree[TREE_Y] / CELL_M) != r:
                    continue
                ox, oy = tree[TREE_X] - eye.x, tree[TREE_Y] - eye.y
                t = ox * eye.forward_x + oy * eye.forward_y
                aside = abs(oy * eye.forward_x - ox * eye.forward_y)
                if _NEAR_M < t and aside < t * wide + tree[RADIUS] and count < len(ids):
                    ids[count], depths[count] = number, t
                    count += 1
    return ids[:count], depths[:count]


@inlined
def draw_tree(
    stage: Stage,
    light: Light,
    eye: Eye,
    number: int,
    t: float,
    aside: float,
    sunlit: float,
    rgb: Floats32,
    depth: Floats32,
) -> None:
    """Draw a tree into one column.

    Args:
        stage: the world.
        light: of the photo.
        eye: the camera.
        number: of the tree.
        t: its depth, metres.
        aside: of the column from its trunk, metres at that depth, to the right.
        sunlit: from which side the sun shines on it: 1 from the right, -1 from the left.
        rgb: (rows, 3) to draw on.
        depth: (rows,) of the column.
    """
    tree, colours = stage.casters.trees[number], stage.tree_rgb[number]
    word = int(stage.tree_words[number])
    radius, tall = float(tree[RADIUS]), float(tree[TALL])
    conifer = tree[CONIFER] > 0
    metre = eye.focal / t
    ground = eye.horizon + metre * (eye.z - float(tree[TREE_BASE]))
    bottom = 0.12 if conifer else 0.30
    high = max(int(ground - metre * tall * 1.04), 0)
    low = min(int(ground - metre * tall * bottom * 0.9), eye.rows)
    if high >= eye.rows or depth[min(high, eye.rows - 1)] < t:
        return
    clear = np.exp(-t / light.clear_m)
    amb, sun, haze = light.ambient_rgb, light.direct_rgb, light.haze_rgb
    lamp = 0.35 * float(light.night)
    grain = stage.grain

    trunk = (0.05 + 0.022 * tall) * 0.5
    if abs(aside) < trunk:
        tone = 0.85 + 0.3 * (aside / trunk) * sunlit
        for row in range(max(int(ground - metre * tall * 0.62), 0), eye.rows):
            if row + 0.5 > ground or depth[row] < t:
                break
            for k in range(3):
                value = _TRUNK_RGB[k] * tone * (amb[k] + 0.5 * sun[k] + LAMP_RGB[k] * lamp)
                rgb[row, k] = value * clear + haze[k] * (1 - clear)
            depth[row] = t
    m = light.leaf_map
    red, green, blue = colours[0] / 255.0, colours[1] / 255.0, colours[2] / 255.0
    leaf = 1.0
    if not conifer:
        leaf = float(light.leaf)
        red, green, blue = (
            float(m[0, 0] * red + m[0, 1] * green + m[0, 2] * blue),
            float(m[1, 0] * red + m[1, 1] * green + m[1, 2] * blue),
            float(m[2, 0] * red + m[2, 1] * green + m[2, 2] * blue),
        )
    vary = 0.92 + 0.16 * chance(word, 1)
    snow = float(light.snow) * (0.6 if conifer else 0.25)
    seed_x, seed_y = 128 * chance(word, 2), 128 * chance(word, 3)
    middle = 0.5 * (1 + bottom) * tall
    half = 0.5 * (1 - bottom) * tall
    gx = aside / radius
    fine = min(max(metre / 6 - 0.3, 0.0), 1.0)
    side_light = gx * sunlit
    for row in range(high, low):
        if depth[row] < t:
            break
        up = (ground - row - 0.5) / metre
        gy = (up - middle) / half
        lump = smooth(grain, aside * 1.7 + seed_x, up * 1.7 + seed_y)
        if conifer:
            # A cone whose boughs hang out in steps.
            bough = up * 1.1
            out = 0.5 * (1 - gy) * (0.86 + 0.30 * (np.ceil(bough) - bough))
            edge = (out + 0.22 * (lump - 0.5) - abs(gx)) * radius
        else:
            far = np.sqrt(gx * gx + gy * gy)
            edge = (1.0 + 0.40 * (lump - 0.62) - far) * radius
        speckle = speck(grain, aside * 13 + seed_y, up * 13 + seed_x) if fine > 0 else 0.5
        # Leaves fray the edge.
        cover = min(max((edge + 0.35 * (speckle - 0.5) * fine) * metre * 0.7 + 0.5, 0.0), 1.0)
        if cover <= 0:
            continue
        gap = min(max(edge / (0.35 * radius), 0.0), 1.0)
        cover *= 1 - fine * (1 - gap) * (0.35 if speckle > 0.72 else 0.0)
        tone = vary * (0.80 + 0.22 * lump + 0.14 * gy + fine * 0.34 * (speckle - 0.5))
        shine = max(0.45 + 0.35 * side_light + 0.35 * gy, 0.0)
        leaf_r, leaf_g, leaf_b = red * tone, green * tone, blue * tone
        if leaf < 1:
            # Twigs: thin where the noise is, in the colour of bark.
            net = smooth(grain, aside * 5.5 + seed_y, up * 3.0 + seed_x)
            twig = 0.36 + 0.6 * (abs(net - 0.5) < 0.10) * fine + 0.14 * (1 - abs(gx))
            hangs = leaf > lump if 0 < leaf else False
            if not hangs:
                cover *= min(twig, 1.0) * 0.85
                leaf_r, leaf_g, leaf_b = 0.5 * leaf_r + 0.14, 0.45 * leaf_g + 0.12, 0.12
                leaf_b = 0.5 * blue * tone + 0.10
        if snow > 0:
            white = min(snow * max(0.6 + 0.6 * gy, 0.0) * (0.5 + lump), 0.9)
            leaf_r, leaf_g = leaf_r + (0.88 - leaf_r) * white, leaf_g + (0.9 - leaf_g) * white
            leaf_b = leaf_b + (0.94 - leaf_b) * white
        leaf_r *= amb[0] + sun[0] * shine + LAMP_RGB[0] * lamp
        leaf_g *= amb[1] + sun[1] * shine + LAMP_RGB[1] * lamp
        leaf_b *= amb[2] + sun[2] * shine + LAMP_RGB[2] * lamp
        leaf_r = leaf_r * clear + haze[0] * (1 - clear)
        leaf_g = leaf_g * clear + haze[1] * (1 - clear)
        leaf_b = leaf_b * clear + haze[2] * (1 - clear)
        rgb[row, 0] += (leaf_r - rgb[row, 0]) * cover
        rgb[row, 1] += (leaf_g - rgb[row, 1]) * cover
        rgb[row, 2] += (leaf_b - rgb[row, 2]) * cover
