"""Is a photo worth having, and have we seen it before?

*Blurred*: the variance of its Laplacian, as grey levels with the longer side at 512 pixels, is
below :data:`LEAST_SHARPNESS`. Thirty-odd street and city photos of cameras and phones from 2000 to
2020 have 102 to 7,800; the same ones behind a Gaussian of 2 pixels (of 512) 2 to 14. Snow, fog and
night lower it too, so the threshold is low: it takes out what is hopeless.

*Seen before*: the difference hash of two photos (64 signs of the step from a pixel to its right
neighbour, at 9 x 8 pixels) differs in at most :data:`SAME_BITS` places. A standing car makes such.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

SHARPNESS_PX = 512
LEAST_SHARPNESS = 30.0
SAME_BITS = 4


def sharpness(rgb: Image.Image) -> float:
    """Variance of the Laplacian of a photo at :data:`SHARPNESS_PX`, squared grey levels."""
    grey = rgb.convert("L")
    scale = SHARPNESS_PX / max(grey.size)
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    small = grey.resize(size, Image.Resampling.LANCZOS)
    return float(ndimage.laplace(np.asarray(small, dtype=np.float32)).var())


def difference_hash(rgb: Image.Image) -> int:
    """64 bits that similar photos share."""
    small = rgb.convert("L").resize((9, 8), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    bits = np.packbits(pixels[:, 1:] > pixels[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")


def alike(one: int, other: int) -> bool:
    """Whether two photos with these hashes show the same picture."""
    return (one ^ other).bit_count() <= SAME_BITS
