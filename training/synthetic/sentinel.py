"""Sentinel-2-like scenes of a city: ten bands at 10 m, as uint16 digital numbers.

A pixel's reflectance is the mean over the world's pixels in it. Each kind of surface has a linear
map from its colour to the ten bands: water is dark beyond the visible, leaves have a red edge and
shine in the near infrared, roofs and ground brighten slowly towards the short-wave infrared.
Buildings cast shadows. The six bands that Sentinel-2 takes at 20 m are averaged over 20 m. A
*scene* adds what differs from date to date: the sun, the season of the leaves, haze, and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from gair.arrays import DigitalNumbers
from gair.bands import GAIR_BANDS
from training.synthetic.noise import Reals
from training.synthetic.world import (
    BUILDING,
    GROUND,
    HEIGHT_STEP_M,
    LAWN,
    PIXEL_M,
    ROAD,
    SIDEWALK,
    TREE,
    WATER,
    World,
)

FINE = 4
"""World pixels along the side of a Sentinel-2 pixel."""
COARSE_BANDS = ("B5", "B6", "B7", "B8A", "B11", "B12")
"""Bands that Sentinel-2 takes at 20 m."""

_GROUPS: dict[str, tuple[int, ...]] = {
    "roof": (BUILDING,),
    "hard": (ROAD,),
    "open": (GROUND, SIDEWALK),
    "lawn": (LAWN,),
    "leaf": (TREE,),
    "water": (WATER,),
}

# Rows: what a surface reflects of its red, its green, its blue, and anyway. Columns: the ten bands.
_SPECTRA: dict[str, tuple[tuple[float, ...], ...]] = {
    "roof": (
        (0.0, 0.03, 0.42, 0.39, 0.33, 0.3, 0.27, 0.27, 0.45, 0.42),
        (0.03, 0.405, 0.03, 0.03, 0.09, 0.12, 0.15, 0.15, 0.0, -0.09),
        (0.39, 0.03, 0.0, 0.03, 0.045, 0.075, 0.09, 0.105, -0.15, -0.09),
        (0.009, 0.009, 0.009, 0.018, 0.024, 0.024, 0.03, 0.03, 0.084, 0.078),
    ),
    "hard": (
        (0.0, 0.03, 0.42, 0.39, 0.375, 0.36, 0.36, 0.36, 0.33, 0.3),
        (0.03, 0.405, 0.03, 0.03, 0.045, 0.06, 0.06, 0.06, 0.09, 0.09),
        (0.39, 0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0.009, 0.009, 0.009, 0.012, 0.012, 0.018, 0.018, 0.018, 0.036, 0.036),
    ),
    "open": (
        (0.0, 0.03, 0.42, 0.33, 0.03, -0.03, -0.03, 0.0, 0.51, 0.54),
        (0.03, 0.405, 0.03, 0.18, 0.75, 0.87, 0.9, 0.9, 0.03, -0.12),
        (0.39, 0.03, 0.0, -0.15, -0.675, -0.75, -0.75, -0.75, -0.09, -0.06),
        (0.009, 0.009, 0.009, 0.036, 0.084, 0.096, 0.102, 0.102, 0.06, 0.036),
    ),
    "water": (
        (0.0, 0.03, 0.42, 0.09, 0.03, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0.03, 0.405, 0.03, 0.15, 0.09, 0.075, 0.06, 0.06, 0.03, 0.03),
        (0.39, 0.03, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0.009, 0.009, 0.009, 0.006, 0.006, 0.006, 0.006, 0.006, 0.003, 0.003),
    ),
    "leaf": (
        (0.0, 0.03, 0.42, 0.21, 0.06, 0.03, 0.03, 0.03, 0.24, 0.21),
        (0.03, 0.405, 0.03, 0.24, 0.69, 0.78, 0.81, 0.81, 0.33, 0.15),
        (0.39, 0.03, 0.0, -0.15, -0.6, -0.75, -0.75, -0.75, -0.3, -0.18),
        (0.009, 0.009, 0.009, 0.024, 0.09, 0.12, 0.132, 0.132, 0.048, 0.024),
    ),
}
_SPECTRA["lawn"] = _SPECTRA["open"]


@dataclass(frozen=True)
class Scene:
    """The conditions of one acquisition."""

    acquired: date
    sun_azimuth_deg: float
    sun_elevation_deg: float
    vigour: float
    """Gain of leaves beyond the red edge; 1 in summer."""
    haze: float
    """Reflectance added to the blue band; less at longer waves."""
    gain: float
    noise_dn: float

    @classmethod
    def draw(cls, rng: np.random.Generator, year: int = 2024) -> Scene:
        """A mostly clear day, the sun in the south-east as at Sentinel-2's mid-morning passes."""
        day = int(rng.integers(60, 330))
        summer = np.sin(np.pi * (day - 60) / 270)
        return cls(
            acquired=date(year, 1, 1) + timedelta(days=day),
            sun_azimuth_deg=float(rng.uniform(135, 165)),
            sun_elevation_deg=float(32 + 32 * summer),
            vigour=float(0.75 + 0.3 * summer + rng.uniform(-0.05, 0.05)),
            haze=float(rng.uniform(0, 0.015)),
            gain=float(rng.uniform(0.94, 1.06)),
            noise_dn=30.0,
        )


def observe(world: World, scene: Scene, rng: np.random.Generator) -> DigitalNumbers:
    """The digital numbers of one scene.

    Returns:
        (10, H / 4, W / 4) reflectance x 10000, bands in the order of ``GAIR_BANDS``; never 0, which
        means no data.
    """
    light = _sunlight(world, scene)
    count = world.surface.shape[0] // FINE
    reflectance = np.zeros((len(GAIR_BANDS), count, count), dtype=np.float32)
    linear = (world.top.astype(np.float32) / 255) * light[..., None]
    for group, kinds in _GROUPS.items():
        member = np.isin(world.surface, kinds)
        if not member.any():
            continue
        share = _block_mean(np.where(member, light, np.float32(0)))
        colour = [_block_mean(np.where(member, linear[..., k], np.float32(0))) for k in range(3)]
        spectra = zip(*_SPECTRA[group], strict=True)
        for band, (red, green, blue, constant) in enumerate(spectra):
            vigour = scene.vigour if group in ("leaf", "lawn", "open") and 4 <= band <= 7 else 1.0
            # Linear in the colour and in the share of the surface, so a mixed pixel is the mean of
            # what its parts would give.
            part = red * colour[0] + green * colour[1] + blue * colour[2] + constant * share
            reflectance[band] += np.float32(vigour) * part
    for band, name in enumerate(GAIR_BANDS):
        if name in COARSE_BANDS:
            reflectance[band] = _at_20_m(reflectance[band])
        reflectance[band] += scene.haze * (1 - band / len(GAIR_BANDS)) ** 2
    dn = reflectance * np.float32(10_000 * scene.gain)
    dn += rng.standard_normal(dn.shape, dtype=np.float32) * np.float32(scene.noise_dn)
    observed: DigitalNumbers = np.clip(dn, 1, 10_000).astype(np.uint16)
    return observed


def _sunlight(world: World, scene: Scene) -> Reals:
    """1 in the sun, less in the shadow of something higher, (H, W)."""
    height = world.height.astype(np.float32) * np.float32(HEIGHT_STEP_M)
    toward = np.radians(scene.sun_azimuth_deg)
    slope = np.tan(np.radians(scene.sun_elevation_deg))
    shadow = np.zeros(height.shape, dtype=bool)
    # From each pixel some steps toward the sun: it is in shadow where something there is higher
    # than the ray to the sun. Row 0 is in the north, so north is a step up.
    for step in range(1, 9):
        far_m = step * 1.5 * PIXEL_M
        rows = round(-np.cos(toward) * far_m / PIXEL_M)
        columns = round(np.sin(toward) * far_m / PIXEL_M)
        shifted = np.roll(height, (-rows, -columns), axis=(0, 1))
        shadow |= shifted - np.float32(far_m * slope) > height
    return np.where(shadow, np.float32(0.45), np.float32(1))


def _block_mean(values: Reals) -> Reals:
    height, width = (n // FINE for n in values.shape)
    blocks = values[: height * FINE, : width * FINE].reshape(height, FINE, width, FINE)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _at_20_m(band: Reals) -> Reals:
    """Averaged over 2 x 2 pixels and repeated, as a reader's nearest resampling gives it back."""
    height, width = band.shape[0] // 2 * 2, band.shape[1] // 2 * 2
    means = band[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    out = band.copy()
    out[:height, :width] = np.repeat(np.repeat(means, 2, axis=0), 2, axis=1)
    return out
