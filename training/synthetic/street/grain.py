"""Grain of surfaces: noise that repeats, and hashes, for compiled loops."""

from __future__ import annotations

import numpy as np

from gair.arrays import Floats32
from training.synthetic.compiled import inlined

SIZE = 128
"""Side of the table of noise."""
_LAST = SIZE - 1


def _table() -> Floats32:
    """(SIZE, SIZE) noise of four octaves in [0, 1], evenly distributed, that repeats seamlessly."""
    rng = np.random.default_rng(20_240)
    total = np.zeros((SIZE, SIZE))
    for octave, weight in ((8, 1.0), (16, 0.6), (32, 0.4), (64, 0.25)):
        coarse = rng.standard_normal((octave, octave))
        at = np.arange(SIZE) * octave / SIZE
        low = at.astype(int)
        part = at - low
        smooth = part * part * (3 - 2 * part)
        high = (low + 1) % octave
        rows = coarse[low] * (1 - smooth)[:, None] + coarse[high] * smooth[:, None]
        total += weight * (rows[:, low] * (1 - smooth) + rows[:, high] * smooth)
    ranks = total.ravel().argsort().argsort().reshape(SIZE, SIZE)
    return ((ranks + 0.5) / SIZE**2).astype(np.float32)


def _bells() -> Floats32:
    """(32768,) normal deviates; each row of a picture reads on from a random one."""
    return np.random.default_rng(20_241).standard_normal(32_768).astype(np.float32)


GRAIN = _table()
BELLS = _bells()


@inlined
def speck(grain: Floats32, x: float, y: float) -> float:
    """The noise at a point, in cells of the table, without interpolation."""
    return float(grain[int(np.floor(y)) & _LAST, int(np.floor(x)) & _LAST])


@inlined
def smooth(grain: Floats32, x: float, y: float) -> float:
    """The noise at a point, in cells of the table, bilinear between them."""
    left, low = np.floor(x), np.floor(y)
    fx, fy = x - left, y - low
    c0, r0 = int(left) & _LAST, int(low) & _LAST
    c1, r1 = (c0 + 1) & _LAST, (r0 + 1) & _LAST
    top = grain[r0, c0] * (1 - fx) + grain[r0, c1] * fx
    return float(top * (1 - fy) + (grain[r1, c0] * (1 - fx) + grain[r1, c1] * fx) * fy)


@inlined
def chance(word: int, key: int) -> float:
    """A number in [0, 1) from a hash and a key."""
    mixed = (np.uint64(word) * np.uint64(0x9E3779B1)) ^ (np.uint64(key) * np.uint64(0x85EBCA6B))
    mixed = (mixed ^ (mixed >> np.uint64(15))) & np.uint64(0xFFFFFFFF)
    mixed = (mixed * np.uint64(0x2C1B3C6D)) & np.uint64(0xFFFFFFFF)
    mixed = ((mixed ^ (mixed >> np.uint64(12))) * np.uint64(0x297A2D39)) & np.uint64(0xFFFFFFFF)
    return float((mixed ^ (mixed >> np.uint64(15))) >> np.uint64(8)) * 5.9604644775390625e-08
