"""Spectra of surfaces: linear maps from a colour to ten bands, as the season changes them.

Water is dark beyond the visible, leaves have a red edge and shine in the near infrared, roofs and
ground brighten slowly towards the short-wave infrared. All that a season does (turning leaves,
straw, snow) is linear in the colour, too, so a mixed pixel is the mean of what its parts would
give.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gair.bands import GAIR_BANDS
from training.synthetic.conditions import grass_map, leaf_map
from training.synthetic.noise import Reals
from training.synthetic.world import (
    BUILDING,
    GROUND,
    LAWN,
    PARKING,
    PLAZA,
    RAIL,
    ROAD,
    SIDEWALK,
    TREE,
    WATER,
)

CONIFER: Final = TREE
"""Row of evergreen crowns."""
LEAVES: Final = 10
"""Row of deciduous crowns, as far as they carry leaves."""
TWIGS: Final = 11
"""Row of bare branches, of one colour."""
ROWS: Final = 12
"""Rows of :func:`spectra`: the kinds of surface, then these two."""

_INFRARED = slice(4, 8)  # B6, B7, B8, B8A: beyond the red edge
_TWIGS_RGB = (0.27, 0.23, 0.20)

# Rows: what a surface reflects of its red, its green, its blue, and anyway. Columns: the ten bands.
_SURFACES: dict[str, tuple[tuple[float, ...], ...]] = {
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
    # Crushed stone and iron: brighter in the short-wave infrared than what streets are made of.
    "ballast": (
        (0.0, 0.03, 0.42, 0.42, 0.39, 0.39, 0.39, 0.39, 0.51, 0.54),
        (0.03, 0.405, 0.03, 0.03, 0.045, 0.045, 0.045, 0.045, 0.03, 0.0),
        (0.39, 0.03, 0.0, -0.03, -0.03, -0.03, -0.03, -0.03, -0.06, -0.09),
        (0.009, 0.009, 0.009, 0.012, 0.015, 0.018, 0.021, 0.021, 0.06, 0.066),
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
_SNOW = (0.85, 0.84, 0.83, 0.81, 0.79, 0.78, 0.76, 0.75, 0.10, 0.08)

# Of each row: its surface, and which share of it snow covers when all open ground is white.
_ROWS: dict[int, tuple[str, float]] = {
    GROUND: ("open", 1.0),
    ROAD: ("hard", 0.3),
    SIDEWALK: ("open", 0.6),
    WATER: ("water", 0.0),
    BUILDING: ("roof", 0.9),
    CONIFER: ("leaf", 0.4),
    LAWN: ("open", 1.0),
    RAIL: ("ballast", 0.8),
    PARKING: ("hard", 0.6),
    PLAZA: ("hard", 0.6),
    LEAVES: ("leaf", 0.4),
    TWIGS: ("hard", 0.2),
}
_GRASSY = (GROUND, SIDEWALK, LAWN)


def spectra(*, turned: float, grass: float, vigour: float, snow: float) -> Reals:
    """What each surface makes of its colour of a dry day in summer.

    Args:
        turned: how far deciduous leaves have turned, 0 to 1.
        grass: how green grass is, 1 in early summer.
        vigour: gain of all that grows beyond the red edge.
        snow: share of the open ground under snow.

    Returns:
        (ROWS, 10, 4) float32: reflectance per red, green and blue (0 to 1), and anyway.
    """
    maps = np.zeros((ROWS, len(GAIR_BANDS), 4))
    for row, (surface, under_snow) in _ROWS.items():
        bands = np.array(_SURFACES[surface]).T
        if row in _GRASSY:
            bands[:, :3] = bands[:, :3] @ grass_map(np.asarray(grass))
            # Dry grass loses its red edge with its green.
            bands[_INFRARED, :3] -= 0.4 * (1 - grass) * np.array([-0.5, 1.0, -0.5])
        if row == LEAVES:
            bands[:, :3] = bands[:, :3] @ leaf_map(np.asarray(turned))
            bands[_INFRARED] *= 1 - 0.2 * turned
        if row in (*_GRASSY, CONIFER, LEAVES):
            bands[_INFRARED] *= vigour
        if row == TWIGS:
            bands[:, 3] += bands[:, :3] @ np.array(_TWIGS_RGB)
            bands[:, :3] = 0
        white = snow * under_snow
        bands *= 1 - white
        bands[:, 3] += white * np.array(_SNOW)
        maps[row] = bands
    return maps.astype(np.float32)
