"""Eye of a photo: a camera as the compiled loops see it."""

from __future__ import annotations

from typing import NamedTuple

LAMP_RGB = (0.52, 0.38, 0.20)
"""What a street lamp adds to the light on what is right below it."""


class Eye(NamedTuple):
    """A camera as the loops see it; rows and columns are those of samples."""

    x: float
    y: float
    z: float
    """Above the zero of the relief."""
    forward_x: float
    forward_y: float
    focal: float
    horizon: float
    middle: float
    """The column straight ahead."""
    rows: int
    columns: int
