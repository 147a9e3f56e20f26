"""Style of a neighbourhood: a few latent numbers, and the colours both sensors make of them.

The latent numbers vary smoothly over a city. Walls and roofs are of one *material*, so a street
photo and a satellite that never see the same side of a house still speak of the same place, as in
towns of brick, adobe or slate. The functions are the same in every city; only where a city has
which style differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic.noise import Reals, SmoothField

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
)
"""Names of the latent numbers, each in [0, 1]."""

SCALES_M = {1300.0: 0.6, 450.0: 1.0}
"""Grid steps of the smooth fields and their weights: districts and neighbourhoods."""


@dataclass(frozen=True)
class Style:
    """The smooth fields of one city."""

    fields: dict[str, SmoothField]

    @classmethod
    def draw(cls, rng: np.random.Generator, side_m: float) -> Style:
        """Fields for a city of ``side_m`` squared."""
        return cls({name: SmoothField(rng, side_m, SCALES_M) for name in LATENTS})

    def at(self, name: str, x_m: Reals, y_m: Reals) -> Reals:
        """One latent number at points."""
        return self.fields[name](x_m, y_m)


def wall_rgb(red: Reals, green: Reals, blue: Reals) -> Reals:
    """Wall colour of a material, (..., 3) in [0, 1]."""
    return np.asarray(0.22 + 0.66 * np.stack([red, green, blue], axis=-1), dtype=np.float32)


def roof_rgb(red: Reals, green: Reals, blue: Reals) -> Reals:
    """Roof colour of the same material: darker and more muted, (..., 3)."""
    wall = wall_rgb(red, green, blue)
    grey = wall.mean(axis=-1, keepdims=True)
    return np.asarray(0.05 + 0.7 * (0.8 * wall + 0.2 * grey), dtype=np.float32)


def foliage_rgb(kind: Reals) -> Reals:
    """Tree crowns, from dark green to copper, (..., 3)."""
    return _between(kind, (0.06, 0.30, 0.12), (0.56, 0.40, 0.10))


def road_rgb(light: Reals, tone: Reals) -> Reals:
    """Road surface, from asphalt to concrete, each bluish to reddish, (..., 3)."""
    return _toned(_between(light, (0.20, 0.20, 0.20), (0.66, 0.64, 0.60)), tone)


def ground_rgb(dry: Reals, tone: Reals) -> Reals:
    """Open ground, from lush grass to dry gravel, each bluish to reddish, (..., 3)."""
    return _toned(_between(dry, (0.14, 0.40, 0.10), (0.70, 0.60, 0.46)), tone)


def _between(t: Reals, start: tuple[float, float, float], end: tuple[float, float, float]) -> Reals:
    """The colour at ``t`` from 0 to 1 on the way between two."""
    first, last = np.asarray(start, dtype=np.float32), np.asarray(end, dtype=np.float32)
    return np.asarray(first + t[..., None] * (last - first), dtype=np.float32)


def _toned(colour: Reals, tone: Reals) -> Reals:
    """Bluish where the tone is 0, reddish where it is 1."""
    gain = 1 + (tone[..., None] - 0.5) * np.array([0.7, -0.1, -0.8], dtype=np.float32)
    return np.asarray(np.clip(colour * gain, 0, 1), dtype=np.float32)
