"""Noise that depends on a place and a seed only: hashes of integers and smooth fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Ints

Reals = npt.NDArray[np.floating[Any]]
"""Of any width: what is as large as a city is float32."""
Words = npt.NDArray[np.uint32]
"""Hashes."""


def hashed(*keys: npt.NDArray[np.integer] | int) -> Words:
    """Mix integers into 32 well-spread bits, element by element.

    After each key come the multiply-and-shift steps of MurmurHash3's finaliser.
    """
    state = np.uint32(0x9E3779B9)
    words = np.asarray(state, dtype=np.uint32)
    with np.errstate(over="ignore"):
        for key in keys:
            words = words ^ np.asarray(key).astype(np.int64).astype(np.uint32)
            words = words * np.uint32(0x85EBCA6B)
            words = words ^ (words >> np.uint32(13))
            words = words * np.uint32(0xC2B2AE35)
            words = words ^ (words >> np.uint32(16))
    return np.asarray(words, dtype=np.uint32)


def uniform(words: Words, stream: int = 0) -> Reals:
    """Hashes to numbers in [0, 1); each ``stream`` gives numbers unrelated to the others."""
    mixed = hashed(words, stream + 1) if stream else words
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


class SmoothField:
    """A random function of the plane with values in [0, 1], evenly distributed.

    Cubic interpolation of white noise on square grids, one per scale, through the normal
    distribution's own cumulative function.
    """

    def __init__(
        self, rng: np.random.Generator, side_m: float, scales_m: dict[float, float]
    ) -> None:
        """``scales_m``: grid step in metres to weight; the plane is [0, side_m] squared."""
        # Variances of independent layers add up: weights of length 1 keep unit variance.
        total = np.sqrt(sum(weight**2 for weight in scales_m.values()))
        self._layers = [
            (
                step,
                np.float32(weight / total),
                rng.standard_normal((int(side_m / step) + 5,) * 2).astype(np.float32),
            )
            for step, weight in scales_m.items()
        ]

    def __call__(self, x_m: Reals, y_m: Reals) -> Reals:
        """Values at points of any (broadcast) shape."""
        return normal_to_uniform(self.normal(x_m, y_m))

    def normal(self, x_m: Reals, y_m: Reals) -> Reals:
        """The same before it is spread evenly: of mean 0 and variance 1, for sums of fields."""
        total: Reals = np.zeros((), dtype=np.float32)
        for step, weight, grid in self._layers:
            total = total + weight * _spline(grid, x_m / step, y_m / step)
        return np.asarray(total, dtype=np.float32)


_SPLINE_SD = 0.55
"""Standard deviation of a quadratic B-spline of unit white noise, averaged over the plane."""


def _spline(grid: Reals, x: Reals, y: Reals) -> Reals:
    """Quadratic B-spline of a noise grid, scaled to unit variance."""
    column, wx = _weights(x, grid.shape[1])
    row, wy = _weights(y, grid.shape[0])
    total: Reals = np.zeros((), dtype=np.float32)
    if x.ndim == 2 and x.shape[0] == 1 and y.shape[1:] == (1,):
        # A row of x and a column of y: first along all rows of the noise, then across them.
        lines = wx[0] * grid[:, column[0]] + wx[1] * grid[:, column[0] + 1]
        lines = lines + wx[2] * grid[:, column[0] + 2]
        for j in range(3):
            total = total + wy[j] * lines[row[:, 0] + j]
        return np.asarray(total / np.float32(_SPLINE_SD), dtype=np.float32)
    flat = grid.ravel()
    for j in range(3):
        line = (row + j) * grid.shape[1] + column
        across = wx[0] * flat[line] + wx[1] * flat[line + 1] + wx[2] * flat[line + 2]
        total = total + wy[j] * across
    return np.asarray(total / np.float32(_SPLINE_SD), dtype=np.float32)


def _weights(t: Reals, count: int) -> tuple[Ints, list[Reals]]:
    first = np.clip(np.floor(t).astype(np.int64), 0, count - 3)
    f = (t - first).astype(np.float32)
    return first, [0.5 * (1 - f) ** 2, 0.75 - (f - 0.5) ** 2, 0.5 * f**2]


def normal_to_uniform(z: Reals) -> Reals:
    """The normal cumulative distribution, by its logistic approximation (error below 0.01)."""
    return np.asarray(1 / (1 + np.exp(-1.702 * z)), dtype=np.float32)
