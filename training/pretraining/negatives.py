"""Negatives of a photo: which other places count as wrong answers, by their distance from it.

A photo across the street shows the same ground, and to push it away teaches what is false. So the
places within a radius of a photo may be left out of its negatives. Whatever the radius, a photo's
own place is never among the negatives of its location: in a small data set the queue holds it
again after an epoch, and a softmax cannot tell a location from itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gair.geo import EARTH_RADIUS_M

SAME_PLACE_M = 0.01
"""Places nearer than this are one: coordinates are written to a centimetre at best."""


def farther_than(a_lonlat_deg: Tensor, b_lonlat_deg: Tensor, radius_m: float) -> Tensor:
    """Which places are farther from which than a radius, on the mean sphere.

    Args:
        a_lonlat_deg: (A, 2) float64 longitude, latitude.
        b_lonlat_deg: (B, 2) float64.
        radius_m: metres along the great circle.

    Returns:
        (A, B) bool.
    """
    # Through the sphere instead of along it: chord = 2 R sin(arc / 2 R), which has no trouble at
    # 180 degrees and the poles. As a difference of coordinates, not from dot products, which at
    # float64 are wrong by 10 cm.
    chord = torch.cdist(
        _unit_vectors(a_lonlat_deg),
        _unit_vectors(b_lonlat_deg),
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    half_arc = torch.tensor(min(radius_m / (2 * EARTH_RADIUS_M), torch.pi / 2), dtype=torch.float64)
    return chord > 2 * half_arc.sin().to(chord.device)


def _unit_vectors(lonlat_deg: Tensor) -> Tensor:
    """(N, 2) degrees to (N, 3) float64."""
    lon, lat = lonlat_deg.detach().double().deg2rad().unbind(1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)
