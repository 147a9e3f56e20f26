"""Processing baseline of a Sentinel-2 product, as people and catalogues write it.

From baseline 04.00 on (25 January 2022) products are stored 1,000 digital numbers too high, so that
slightly negative reflectance fits in: https://sentiwiki.copernicus.eu/web/s2-processing. Older
acquisitions that were processed again (Collection 1, baseline 05.00) are, too: no date tells.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

OFFSET = 0.1
"""Of reflectance, that products are stored too high by since baseline 04.00."""

_TEXT = re.compile(r"N?0?(\d{1,2})[._](\d{2})|N?(\d{2})(\d{2})|0?(\d{1,2})(?:\.(\d))?", re.I)
_IN_NAME = re.compile(r"S2[A-Z]_MSIL[12][A-C]_\d{8}T\d{6}_N(\d{2})(\d{2})_")
_LAST_MAJOR = 20  # 99.99 is what Sen2Cor writes on a desk: it does not tell what was stored


class Baseline(NamedTuple):
    """A processing baseline; they are ordered."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major:02}.{self.minor:02}"

    @property
    def stored_higher(self) -> bool:
        """Whether its products are stored higher by :data:`OFFSET`."""
        return self >= (4, 0)


def read_baseline(value: object) -> Baseline | None:
    """A baseline as metadata states it: ``"04.00"``, ``4.0``, ``"N0511"``; None for anything else.

    Also None for 99.99, which stands for no baseline of the ground segment.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float):
        value = f"{value:.2f}" if math.isfinite(value) and 0 <= value < 100 else ""
    matched = _TEXT.fullmatch(str(value).strip())
    if matched is None:
        return None
    major, minor = [*filter(None, matched.groups()), "0"][:2]
    # A lone digit after the point is a number that lost its zero: 5.1 is 05.10.
    return _plausible(int(major), int(minor) * (10 if matched[6] else 1))


def baseline_in_name(name: object) -> Baseline | None:
    """The baseline in a product's name, such as ``S2A_MSIL2A_20231008T175231_N0509_R141_...``."""
    matched = _IN_NAME.search(name) if isinstance(name, str) else None
    return _plausible(int(matched[1]), int(matched[2])) if matched else None


def _plausible(major: int, minor: int) -> Baseline | None:
    return Baseline(major, minor) if 0 < major <= _LAST_MAJOR else None
