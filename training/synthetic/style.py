"""How a neighbourhood looks: a few latent numbers, and the colours both sensors make of them.

The latent numbers vary smoothly over a city. Walls and roofs are different functions of the same
*material*, so a street photo and a satellite that never see the same side of a house still speak of
the same place, as brick and slate or concrete and bitumen do. The functions are the same in every
city; only where a city has which style differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic.noise import Floats, SmoothField

LATENTS = (
    "material_a",
    "material_b",
    "material_c",
    "height",
    "density",
    "trees",
    "foliage",
    "road",
    "road_tone",
    "ground",
    "ground_tone",
    "green",
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

    def at(self, name: str, x_m: Floats, y_m: Floats) -> Floats:
        """One latent number at points."""
        return self.fields[name](x_m, y_m)


def wall_rgb(a: Floats, b: Floats, c: Floats) -> Floats:
    """Wall colour of a material, (..., 3) in [0, 1]."""
    return _from_hue(a, 0.15 + 0.65 * b, 0.40 + 0.5 * c)


def roof_rgb(a: Floats, b: Floats, c: Floats) -> Floats:
    """Roof colour of the same material: another hue, more muted, its lightness turned around."""
    return _from_hue(a * 0.8 + 0.45, 0.10 + 0.6 * b, 0.75 - 0.5 * c)


def foliage_rgb(kind: Floats) -> Floats:
    """Tree crowns, from dark conifers over green to yellow and copper, (..., 3)."""
    return _ramp(
        kind, [(0.07, 0.22, 0.14), (0.16, 0.36, 0.10), (0.45, 0.50, 0.12), (0.50, 0.26, 0.12)]
    )


def road_rgb(kind: Floats, tone: Floats) -> Floats:
    """Road surface, from asphalt over concrete to brick, each bluish to yellowish, (..., 3)."""
    stops = [(0.18, 0.18, 0.20), (0.36, 0.36, 0.37), (0.56, 0.54, 0.50), (0.58, 0.34, 0.26)]
    return _toned(_ramp(kind, stops), tone)


def ground_rgb(kind: Floats, tone: Floats) -> Floats:
    """Open ground, from lush grass over dry grass to gravel and red earth, (..., 3)."""
    stops = [(0.16, 0.40, 0.12), (0.46, 0.48, 0.16), (0.66, 0.62, 0.52), (0.62, 0.36, 0.22)]
    return _toned(_ramp(kind, stops), tone)


def _toned(colour: Floats, tone: Floats) -> Floats:
    """Bluish where the tone is 0, yellowish where it is 1."""
    gain = 1 + (tone[..., None] - 0.5) * np.array([0.45, 0.15, -0.75], dtype=np.float32)
    return np.asarray(np.clip(colour * gain, 0, 1), dtype=np.float32)


def _ramp(t: Floats, stops: list[tuple[float, float, float]]) -> Floats:
    """Piecewise linear colours along [0, 1]."""
    at = np.linspace(0, 1, len(stops))
    channels = [np.interp(t, at, [stop[k] for stop in stops]) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _from_hue(hue: Floats, saturation: Floats, lightness: Floats) -> Floats:
    """A colour by hue in turns, saturation and lightness; a smooth cousin of HSL, (..., 3)."""
    turns = 2 * np.pi * (hue[..., None] - np.array([0.0, 1 / 3, 2 / 3], dtype=np.float32))
    tint = 1 + saturation[..., None] * 0.5 * np.cos(turns)
    colour: Floats = np.clip(lightness[..., None] * tint, 0, 1).astype(np.float32)
    return colour
