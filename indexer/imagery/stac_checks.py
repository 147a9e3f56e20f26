"""Does a scene mean what its metadata says?

Since January 2022 Sentinel-2 products are stored 1,000 too high, and metadata tells to take 0.1 of
reflectance off. Catalogues have scenes from which it was taken off already and whose metadata still
asks for it, and the other way round (https://github.com/Element84/earth-search/issues/66, 71).
No flag tells them apart and no date does, but pixels do: ground has no negative reflectance, and
two dates of one place never differ by 0.1 in all six bands from the red edge to the short-wave
infrared alike; seasons, haze and sun change them by different amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.bands import GAIR_BANDS
from indexer.imagery.stac_cache import Pixels
from indexer.imagery.stac_composite import clear
from indexer.imagery.stac_scenes import COARSE_BANDS, StacScene

OFFSET = 0.1
"""Of reflectance, that products are stored too high by."""
LEAST_PIXELS = 500
"""Clear ones; fewer say nothing."""

_NEGATIVE, _NEGATIVE_SHARE = -0.005, 0.1
_SHIFT, _EVEN = (0.6 * OFFSET, 1.4 * OFFSET), 0.03
_SANE_MEDIAN = (0.0002, 2.0)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Look:
    """A scene's coarse bands in one window."""

    scene: StacScene
    reflectance: Floats
    """(6, H, W)."""
    clear: npt.NDArray[np.bool_]
    """(H, W)."""

    @classmethod
    def at(cls, scene: StacScene, window: Pixels) -> Look:
        """Look at a coarse window as stored, (7, H, W): six bands and the classification."""
        stored, classes = window[:-1], window[-1]
        bands = [scene.bands[name] for name in COARSE_BANDS]
        scale = np.array([band.scale for band in bands], dtype=np.float32)[:, None, None]
        offset = np.array([band.offset for band in bands], dtype=np.float32)[:, None, None]
        return cls(scene, stored * scale + offset, clear(stored, classes))

    @property
    def enough(self) -> bool:
        """Whether there is anything to judge by."""
        return int(self.clear.sum()) >= LEAST_PIXELS

    @property
    def darkest(self) -> float:
        """Reflectance of the darkest clear ground, in the band where it is lowest."""
        return float(np.percentile(self.reflectance[:, self.clear], 2, axis=1).min())


def fault_alone(look: Look) -> str | None:
    """What is wrong with a scene by itself; None for nothing."""
    bands = [look.scene.bands[name] for name in GAIR_BANDS]
    if len({(band.scale, band.offset) for band in bands}) > 1:
        return "its metadata scales its bands differently"
    if not look.enough:
        return None
    ground = look.reflectance[:, look.clear]  # (6, N)
    negative = (ground < _NEGATIVE).mean(axis=1)
    if (negative > _NEGATIVE_SHARE).sum() >= 2 and bands[0].offset < 0:
        return (
            f"{negative.max():.0%} of its ground in {COARSE_BANDS[int(negative.argmax())]} has "
            f"negative reflectance: the offset of {bands[0].offset:g} that its metadata asks for "
            "was taken off before"
        )
    median = float(np.median(ground))
    if not _SANE_MEDIAN[0] <= median <= _SANE_MEDIAN[1]:
        return f"its median reflectance is {median:.4g}: its metadata's scale cannot be right"
    return None


def fault_beside(look: Look, others: Sequence[Look]) -> str | None:
    """What is wrong with a scene beside others of the same window; None for nothing.

    Where a scene differs from others by the offset in all bands alike, the minority is wrong; where
    there is none, the brighter one is, unless it has something dark in any band.
    """
    shifts = [(other, shift) for other in others if (shift := _shift(look, other)) is not None]
    apart = [(other, shift) for other, shift in shifts if abs(shift) > _SHIFT[0]]
    alike = 1 + len(shifts) - len(apart)  # itself, too
    if not apart or len(apart) < alike:
        return None
    other, shift = apart[0]
    if len(apart) == alike:
        brighter = look if shift > 0 else other
        lifted = brighter.darkest > 0.8 * OFFSET
        if lifted != (brighter is look):
            return None
    return (
        f"it is {abs(shift):.2f} of reflectance {'brighter' if shift > 0 else 'darker'} than "
        f"{other.scene.name} in all bands alike: the offset of {_offset(look):g} in its metadata "
        "is not its own"
    )


def _shift(look: Look, other: Look) -> float | None:
    """By how much a scene is brighter, in all bands alike: about the offset or about 0, else None.

    Also None where too little ground is clear in both.
    """
    both = look.clear & other.clear
    if int(both.sum()) < LEAST_PIXELS:
        return None
    bands = np.median(look.reflectance[:, both] - other.reflectance[:, both], axis=1)  # (6,)
    shift = float(bands.mean())
    if np.ptp(bands) >= _EVEN:
        return None
    near_none, near_offset = abs(shift) < _EVEN, _SHIFT[0] < abs(shift) < _SHIFT[1]
    return shift if near_none or near_offset else None


def _offset(look: Look) -> float:
    return look.scene.bands[COARSE_BANDS[0]].offset
