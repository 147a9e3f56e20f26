"""One picture of a place from several dates, without clouds.

A date's pixel counts where the scene classification calls it ground or water and every band has a
value. Of what is left, either the median of each band is taken, or the pixel of the best date.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gair.arrays import Bools, DigitalNumbers
from indexer.imagery.stac.query import Composite
from indexer.imagery.stac.scenes import StacBand

MASKED_CLASSES = (0, 1, 3, 8, 9, 10, 11)
"""Of the scene classification: no data, defective, cloud shadow, cloud (medium, high), thin cirrus,
snow. https://sentiwiki.copernicus.eu/web/s2-processing"""
MISSING = 0
"""In a composite: no date shows the ground here."""
LEAST_DN = 1
"""Of ground; what a scene's offset leaves below is as dark as it gets."""
_DN_PER_REFLECTANCE = 10000.0
_LAST = np.iinfo(np.uint16).max


def clear(stored: DigitalNumbers, classes: DigitalNumbers) -> Bools:
    """Where a scene shows the ground.

    Args:
        stored: (B, H, W) as stored; 0 is no data.
        classes: (H, W) scene classification.
    """
    return np.asarray((stored != 0).all(axis=0) & ~np.isin(classes, MASKED_CLASSES))


def digital_numbers(
    stored: DigitalNumbers, bands: Sequence[StacBand], seen: Bools
) -> DigitalNumbers:
    """Reflectance x 10000 of one scene, by the scale and offset of its own metadata.

    Args:
        stored: (B, H, W) as stored.
        bands: what they are.
        seen: (H, W) where they show the ground.

    Returns:
        (B, H, W); :data:`MISSING` elsewhere.
    """
    found = np.empty_like(stored)
    for layer, out, band in zip(stored, found, bands, strict=True):
        scale, offset = band.scale * _DN_PER_REFLECTANCE, band.offset * _DN_PER_REFLECTANCE
        plain = (scale, offset) == (1.0, 0.0)
        values = layer if plain else np.rint(layer * np.float32(scale) + np.float32(offset))
        out[:] = np.clip(values, LEAST_DN, _LAST - 1)
        out[~seen] = MISSING
    return found


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
    layers = [np.where(layer == MISSING, _LAST, layer) for layer in dates]
    for phase in range(len(layers)):
        for low in range(phase % 2, len(layers) - 1, 2):
            a, b = layers[low], layers[low + 1]
            layers[low], layers[low + 1] = np.minimum(a, b), np.maximum(a, b)
    count = sum((layer != MISSING).astype(np.intp) for layer in dates)
    ordered = np.stack(layers)  # (dates, H, W), missing ones last
    lower = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    upper = np.take_along_axis(ordered, count[None] // 2, axis=0)[0]
    middle = np.rint((lower.astype(np.float32) + upper) / 2)
    median: DigitalNumbers = middle.astype(np.uint16)
    median[count == 0] = MISSING
    return median
