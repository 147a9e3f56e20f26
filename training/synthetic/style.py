"""Style of a neighbourhood: a few latent numbers, and the colours both sensors make of them.

The latent numbers vary smoothly over a city. Walls and roofs are of one *material*, so a street
photo and a satellite that never see the same side of a house still speak of the same place, as in
towns of brick, adobe or slate. The functions are the same in every city; only where a city has
which style differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Floats
from training.synthetic.globe import shared_normal
from training.synthetic.noise import Reals, SmoothField, normal_to_uniform

LATENTS = (
    "red",
    "green",
    "blue",
    "height",
    "density",
    "trees",
    "foliage",
    "road",
    "road_tone",
    "ground",
    "ground_tone",
    "parks",
    "conifers",
    "pitch",
    "grain",
    "width",
    "parking",
    "gardens",
    "paving",
    "glass",
)
"""Names of the latent numbers, each in [0, 1]: a material's colour, height and density of houses,
number and colour of trees, lightness and tone of roads and of open ground, share of parks, of
conifers and of pitched roofs, size of lots, width of streets, share of car parks and of gardens,
stone of sidewalks and squares, share of glass."""

SCALES_M = {1300.0: 0.6, 450.0: 1.0}
"""Grid steps of the smooth fields and their weights: districts and neighbourhoods."""
SLOW_STEP_M, SLOW_WEIGHT = 5000.0, 0.3
"""Step of the fields of a city's quarters, and what they add, in standard deviations."""
SHARED_WEIGHT = 0.4
"""What fields that all cities share add."""
GRID_STEP_M = 20.0
"""Step of the grid on which loops look the style up."""


@dataclass(frozen=True)
class Style:
    """The smooth fields of one city."""

    seed: int
    side_m: float
    fields: dict[str, tuple[SmoothField, SmoothField]]
    """Of neighbourhoods, and of quarters."""

    @classmethod
    def draw(cls, rng: np.random.Generator, seed: int, side_m: float) -> Style:
        """Fields for a city of ``side_m`` squared."""
        fields = {
            name: (
                SmoothField(rng, side_m, SCALES_M),
                SmoothField(rng, side_m, {SLOW_STEP_M: 1.0}),
            )
            for name in LATENTS
        }
        return cls(seed, side_m, fields)

    def at(self, name: str, x_m: Reals, y_m: Reals) -> Reals:
        """One latent number at points of any (broadcast) shape."""
        near, slow = self.fields[name]
        total = near.normal(x_m, y_m) + np.float32(SLOW_WEIGHT) * slow.normal(x_m, y_m)
        shared = shared_normal(name, self.seed, self.side_m, x_m, y_m)
        # Slower parts come on top: differences within a neighbourhood stay what they are alone.
        total = np.asarray(total + np.float32(SHARED_WEIGHT) * shared, dtype=np.float32)
        return normal_to_uniform(total)

    def numbers(self, names: Sequence[str], x_m: Reals, y_m: Reals) -> Floats:
        """Some latent numbers at (N,) points: (N, L) float64."""
        each = [self.at(name, x_m, y_m) for name in names]
        return np.stack(each, axis=1).astype(np.float64)

    def grid(self) -> StyleGrid:
        """All latent numbers on a grid of :data:`GRID_STEP_M`."""
        at = (np.arange(round(self.side_m / GRID_STEP_M), dtype=np.float32) + 0.5) * GRID_STEP_M
        planes = [self.at(name, at[None, :], at[:, None]) for name in LATENTS]
        return StyleGrid(np.stack(planes).astype(np.float32))


@dataclass(frozen=True)
class StyleGrid:
    """Latent numbers on a grid, looked up without interpolation."""

    planes: npt.NDArray[np.float32]
    """(L, h, w), for the middles of squares of :data:`GRID_STEP_M`."""

    def at(self, name: str, x_m: Reals, y_m: Reals) -> Reals:
        """One latent number at points of one shape; outside the city, of the nearest edge."""
        plane = self.planes[LATENTS.index(name)]
        row = np.clip((y_m / GRID_STEP_M).astype(np.int64), 0, plane.shape[0] - 1)
        column = np.clip((x_m / GRID_STEP_M).astype(np.int64), 0, plane.shape[1] - 1)
        return np.asarray(plane[row, column])

    def plane(self, name: str) -> Reals:
        """One latent number on the whole grid, (h, w)."""
        return np.asarray(self.planes[LATENTS.index(name)])


def wall_rgb(red: Reals, green: Reals, blue: Reals) -> Reals:
    """Wall colour of a material, (..., 3) in [0, 1]."""
    return np.asarray(0.22 + 0.66 * np.stack([red, green, blue], axis=-1), dtype=np.float32)


def roof_rgb(red: Reals, green: Reals, blue: Reals) -> Reals:
    """Roof colour of the same material: darker and more muted, (..., 3)."""
    wall = wall_rgb(red, green, blue)
    grey = wall.mean(axis=-1, keepdims=True)
    return np.asarray(0.05 + 0.7 * (0.8 * wall + 0.2 * grey), dtype=np.float32)


def flat_roof_rgb(roof: Reals, glass: Reals) -> Reals:
    """A flat roof of a material: paler than tiles, bluer over houses of glass, (..., 3)."""
    blue = glass[..., None] * np.array([-0.08, 0.0, 0.10], dtype=np.float32)
    return np.asarray(np.clip((roof * 1.15 + 0.10) * (1 + blue), 0, 1), dtype=np.float32)


def facade_rgb(wall: Reals, glass: Reals) -> Reals:
    """A wall between panes: darker and bluer where there is much glass, (..., 3)."""
    tint = glass[..., None] * np.array([-0.18, -0.13, -0.04], dtype=np.float32)
    return np.asarray(np.clip(wall * (1 + tint), 0, 1), dtype=np.float32)


def trim_rgb(wall: Reals, paving: Reals) -> Reals:
    """Frames, doors and cornices: from dark over the wall's own colour to white, (..., 3)."""
    end = np.where(paving[..., None] > 0.5, np.float32(0.95), np.float32(0.12))
    far = np.abs(paving[..., None] - 0.5) * 1.6
    return np.asarray(wall + far * (end - wall), dtype=np.float32)


def foliage_rgb(kind: Reals) -> Reals:
    """Crowns of leaves, from dark green to copper, (..., 3)."""
    return _between(kind, (0.06, 0.30, 0.12), (0.56, 0.40, 0.10))


def needle_rgb(kind: Reals) -> Reals:
    """Crowns of conifers: darker and bluer than leaves, (..., 3)."""
    return _between(kind, (0.03, 0.20, 0.13), (0.38, 0.33, 0.12))


def road_rgb(light: Reals, tone: Reals) -> Reals:
    """Road surface, from asphalt to concrete, each bluish to reddish, (..., 3)."""
    return _toned(_between(light, (0.20, 0.20, 0.20), (0.66, 0.64, 0.60)), tone)


def paving_rgb(paving: Reals, tone: Reals) -> Reals:
    """Sidewalks and squares, from red brick over grey to pale stone, (..., 3)."""
    brick, slab = (0.46, 0.25, 0.19), (0.44, 0.44, 0.44)
    low = _between(np.minimum(2 * paving, 1), brick, slab)
    high = _between(np.maximum(2 * paving - 1, 0), (0, 0, 0), (0.34, 0.31, 0.24))
    return _toned(low + high, 0.3 + 0.4 * tone)


def ground_rgb(dry: Reals, tone: Reals) -> Reals:
    """Open ground, from lush grass to dry gravel, each bluish to reddish, (..., 3)."""
    return _toned(_between(dry, (0.14, 0.40, 0.10), (0.70, 0.60, 0.46)), tone)


def as_bytes(colour: npt.NDArray[np.floating]) -> Bytes:
    """Colours in [0, 1] as bytes."""
    scaled: Bytes = (np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8)
    return scaled


def _between(t: Reals, start: tuple[float, float, float], end: tuple[float, float, float]) -> Reals:
    """The colour at ``t`` from 0 to 1 on the way between two."""
    first, last = np.asarray(start, dtype=np.float32), np.asarray(end, dtype=np.float32)
    return np.asarray(first + t[..., None] * (last - first), dtype=np.float32)


def _toned(colour: Reals, tone: Reals) -> Reals:
    """Bluish where the tone is 0, reddish where it is 1."""
    gain = 1 + (tone[..., None] - 0.5) * np.array([0.7, -0.1, -0.8], dtype=np.float32)
    return np.asarray(np.clip(colour * gain, 0, 1), dtype=np.float32)
