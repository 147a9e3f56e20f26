"""Composite of several dates: digital numbers of one place from the dates that show it.

Used alike for scenes of a catalogue and for files: of each band and pixel the median of the dates,
or the pixel of the best date.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gair.arrays import DigitalNumbers
from indexer.imagery.options import Composite

MISSING = 0
"""In a composite: no date shows the ground here."""
LEAST_DN = 1
"""Of ground; what a scene's offset leaves below is as dark as it gets."""
MOST_DN = np.iinfo(np.uint16).max - 1
"""Of ground."""

_AFTER_ALL = np.iinfo(np.uint16).max
"""Sorts after every value of ground."""


def merge_day(scenes: Sequence[DigitalNumbers]) -> DigitalNumbers:
    """Scenes of one pass and one tile, (B, H, W) each, the first on top."""
    merged = scenes[0]
    for scene in scenes[1:]:
        merged = np.where(merged == MISSING, scene, merged)
    return merged


def combine(dates: Sequence[DigitalNumbers], how: Composite) -> DigitalNumbers:
    """The composite of some dates.

    Args:
        dates: digital numbers of each date, (B, H, W), the best first; :data:`MISSING` in all
            bands of a pixel or in none.
        how: ``median`` or ``best``.

    Returns:
        (B, H, W); :data:`MISSING` where all dates are.
    """
    if len(dates) == 1 or how == "best":
        return merge_day(dates)
    return np.stack([_median(bands) for bands in zip(*dates, strict=True)])


def _median(dates: tuple[DigitalNumbers, ...]) -> DigitalNumbers:
    """Median over dates of (H, W) layers, missing ones left out.

    Sorts all pixels at once by exchanging neighbouring dates: a few passes over whole layers, many
    times faster than sorting each pixel.
    """
    layers = [np.where(layer == MISSING, _AFTER_ALL, layer) for layer in dates]
    # Odd-even transposition sort: n layers are in order after n rounds.
    for phase in range(len(layers)):
        for low in range(phase % 2, len(layers) - 1, 2):
            a, b = layers[low], layers[low + 1]
            layers[low], layers[low + 1] = np.minimum(a, b), np.maximum(a, b)
    count = sum((layer != MISSING).astype(np.intp) for layer in dates)
    ordered = np.stack(layers)  # (dates, H, W), missing ones last
    # The middle one of an odd count, the mean of the middle two of an even one.
    lower = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    upper = np.take_along_axis(ordered, count[None] // 2, axis=0)[0]
    middle = np.rint((lower.astype(np.float32) + upper) / 2)
    median: DigitalNumbers = middle.astype(np.uint16)
    median[count == 0] = MISSING
    return median
