"""Sentinel-2 bands by name: the ten that GAIR takes, their statistics, and their order in a file.

A raster may hold its bands in any order, so they are found by name and never by position or count:
a standard Level-1C stack has 13 bands and a Level-2A stack 12, and from the ninth band on the same
position means another wavelength.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gair.errors import BandError, UsageError

GAIR_BANDS: tuple[str, ...] = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
"""The ten bands of the remote-sensing encoder, in its input order (arXiv 2503.16683)."""

MEAN_DN: tuple[float, ...] = (
    1172.9397, 1378.0846, 1509.3327, 1750.0275, 2073.2758,
    2207.3283, 2245.1629, 2284.6384, 2231.7283, 1899.1932,
)  # fmt: skip
"""Mean of each of :data:`GAIR_BANDS`, in digital numbers (reflectance x 10000).

From the inference release of arXiv 2503.16683, https://github.com/zpl99/GAIR.
"""

SD_DN: tuple[float, ...] = (
    706.6250, 720.1862, 783.1424, 707.1962, 714.2782,
    748.1827, 852.3585, 762.0849, 690.0165, 669.9036,
)  # fmt: skip
"""Standard deviation of each of :data:`GAIR_BANDS`, in digital numbers; same source."""

_L1C = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")

LAYOUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gair-10": GAIR_BANDS,
        "l2a-12": tuple(band for band in _L1C if band != "B10"),
        "l1c-13": _L1C,
    }
)
"""Band orders that may be stated by name for a raster that does not name its bands.

Level-2A products have no B10 (cirrus):
https://sentiwiki.copernicus.eu/web/s2-products
"""

_COMMON_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "coastal": "B1",
        "blue": "B2",
        "green": "B3",
        "red": "B4",
        "rededge1": "B5",
        "rededge2": "B6",
        "rededge3": "B7",
        "nir": "B8",
        "nir08": "B8A",
        "nir09": "B9",
        "cirrus": "B10",
        "swir16": "B11",
        "swir22": "B12",
    }
)
"""Asset names of the Earth Search catalogue, https://earth-search.aws.element84.com/v1."""

_BAND_ID = re.compile(r"b0?(\d{1,2}|8a)(?:, central wavelength .*)?", re.IGNORECASE)
"""``B2``, ``B02``, ``b8a``, and the descriptions GDAL's SENTINEL2 driver writes."""


def canonical_band(name: str) -> str | None:
    """The Sentinel-2 name of a band, or None when ``name`` is none.

    Args:
        name: A band as files spell it: ``B02``, ``b2``, ``B8A``, or an Earth Search asset name
            (``blue``, ``rededge1``, ``nir``, ``nir08``, ``swir16``, ...), in any case.
    """
    text = name.strip()
    if match := _BAND_ID.fullmatch(text):
        band = "B" + match.group(1).upper()
        return band if band in _L1C else None
    return _COMMON_NAMES.get(text.lower())


def band_indices(
    names: Sequence[str | None],
    wanted: Sequence[str] = GAIR_BANDS,
    what: str = "the raster",
) -> list[int]:
    """Where the wanted bands stand in a raster.

    Args:
        names: The name of each band of the raster, in its order; None where it has none.
        wanted: Sentinel-2 names, in the order they are needed.
        what: How an error message calls the raster, for example its file name.

    Returns:
        For each wanted band its position in ``names``, counted from 0.

    Raises:
        BandError: A wanted band is missing or there twice, or no band has a name.
    """
    needs = ", ".join(wanted)
    if not any(name and name.strip() for name in names):
        bands = "1 band" if len(names) == 1 else f"{len(names)} bands"
        raise BandError(
            f"{what} does not name its {bands}, and {needs} are needed: state their order with "
            f"`bands` {' | '.join(reversed(list(LAYOUTS)))} | B2,B3,..."
        )
    bands_there = [canonical_band(name) if name else None for name in names]
    missing = [band for band in wanted if band not in bands_there]
    if missing:
        there = ", ".join(name or "unnamed" for name in names)
        raise BandError(
            f"{what} lacks {', '.join(missing)} (it has {there}): use imagery with all of {needs}"
        )
    twice = [band for band in wanted if bands_there.count(band) > 1]
    if twice:
        raise BandError(
            f"{what} has {', '.join(twice)} more than once: state the order of its "
            f"{len(names)} bands with `bands`, and '-' for those to leave out"
        )
    return [bands_there.index(band) for band in wanted]


def parse_bands(text: str) -> tuple[str, ...]:
    """The band order that a user states for a raster, such as ``l2a-12``.

    Args:
        text: A name of :data:`LAYOUTS`, or the bands in file order joined by commas, such as
            ``B2,B3,B4,-,B5``; ``-`` stands for a band to leave out.

    Returns:
        One Sentinel-2 name, or ``-``, for each band of the raster.

    Raises:
        UsageError: A name is unknown or given twice.
    """
    if layout := LAYOUTS.get(text.strip().lower()):
        return layout
    bands: list[str] = []
    for part in text.split(","):
        band = "-" if part.strip() == "-" else canonical_band(part)
        if band is None:
            raise UsageError(
                f"unknown band {part.strip()!r} in `bands` {text!r}: give one of "
                f"{', '.join(LAYOUTS)}, or Sentinel-2 names such as B2,B3,B4,B8A"
            )
        if band != "-" and band in bands:
            raise UsageError(f"band {band} stands twice in `bands` {text!r}: give each band once")
        bands.append(band)
    return tuple(bands)
