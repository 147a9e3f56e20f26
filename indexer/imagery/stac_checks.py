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

    Of two scenes that differ by the offset in all bands alike, the brighter one is wrong where it
    has nothing dark in any band; else the darker one is.
    """
    for other in others:
        both = look.clear & other.clear
        if int(both.sum()) < LEAST_PIXELS:
            continue
        shift = np.median(look.reflectance[:, both] - other.reflectance[:, both], axis=1)  # (6,)
        even = np.ptp(shift) < _EVEN and _SHIFT[0] < abs(shift.mean()) < _SHIFT[1]
        if not even:
            continue
        brighter = look if shift.mean() > 0 else other
        dark = np.percentile(brighter.reflectance[:, brighter.clear], 2, axis=1).min()
        wrong = brighter if dark > 0.8 * OFFSET else (other if brighter is look else look)
        if wrong is look:
            how = "brighter" if shift.mean() > 0 else "darker"
            return (
                f"it is {abs(shift.mean()):.2f} of reflectance {how} than {other.scene.name} in "
                f"all bands alike: the offset of {_offset(look):g} in its metadata is not its own"
            )
    return None


def _offset(look: Look) -> float:
    return look.scene.bands[COARSE_BANDS[0]].offset
