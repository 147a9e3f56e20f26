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

_COLOURS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(bands.split())
        for name, bands in {
            "coastal": "B1", "coastalaerosol": "B1", "ultrablue": "B1",
            "blue": "B2", "green": "B3", "red": "B4",
            "rededge1": "B5", "rededge2": "B6", "rededge3": "B7", "rededge4": "B8A",
            "rededge071": "B5", "rededge075": "B6", "rededge078": "B7",
            "rededge": "B5 B6 B7 B8A",
            "nir": "B8", "nir08": "B8A", "narrownir": "B8A", "nirnarrow": "B8A", "nir09": "B9",
            "watervapour": "B9", "watervapor": "B9",
            "cirrus": "B10", "swircirrus": "B10", "cirrusswir": "B10",
            "swir16": "B11", "swir22": "B12",
        }.items()
    }
)  # fmt: skip
"""Bands that a name without a number may mean; more than one makes it ambiguous by itself.

Common names of the EO extension (https://github.com/stac-extensions/eo), asset names of Earth
Search, and the words of sensor descriptions, separators left out.
"""

_BESIDE_A_NUMBER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **_COLOURS,
        "aerosol": frozenset({"B1"}),
        "nir": frozenset({"B8", "B8A"}), "nir1": frozenset({"B8"}), "nir2": frozenset({"B8A"}),
        "nir3": frozenset({"B9"}),
        "swir": frozenset({"B10", "B11", "B12"}),
        "swir1": frozenset({"B11"}), "swir2": frozenset({"B11", "B12"}),
        "swir3": frozenset({"B12"}),
    }
)  # fmt: skip
"""What such a name may mean where a number says which band it is."""

_NBART: Mapping[str, str] = MappingProxyType(
    {
        "coastalaerosol": "B1", "blue": "B2", "green": "B3", "red": "B4",
        "rededge1": "B5", "rededge2": "B6", "rededge3": "B7", "nir1": "B8", "nir2": "B8A",
        "swir2": "B11", "swir3": "B12",
    }
)  # fmt: skip
"""After ``nbart_`` and ``nbar_``, the names of Geoscience Australia's surface reflectance:
https://knowledge.dea.ga.gov.au/data/product/dea-surface-reflectance-nbart-sentinel-2a-msi/"""

_CENTRES_NM: Mapping[str, float] = MappingProxyType(
    {
        "B1": 443, "B2": 490, "B3": 560, "B4": 665, "B5": 705, "B6": 740, "B7": 783, "B8": 842,
        "B8A": 865, "B9": 945, "B10": 1375, "B11": 1610, "B12": 2190,
    }
)  # fmt: skip
"""Central wavelengths, https://sentiwiki.copernicus.eu/web/s2-mission; the satellites differ from
them and from each other by up to 13 nm."""
_CENTRE_ERROR_NM = 15.0

_NUMBER = re.compile(r"(?<![a-z0-9])(?:b|band)[\s_.-]*0?(8a|\d{1,2})(?![a-z0-9])")
"""``b2``, ``b02``, ``band 8a``; lower case."""
_RESOLUTION = re.compile(r"(?<![a-z0-9])r?(?:10|20|60)\s?m(?![a-z0-9])")
_WAVELENGTH = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?(nm|um|µm|μm|micrometers?)(?![a-z0-9])")
_SAYS_NOTHING = frozenset({
    "central", "centre", "center", "wavelength", "vegetation", "visible", "surface", "reflectance",
    "sr", "boa", "toa", "msi", "s2", "s2a", "s2b", "s2c", "sentinel", "sentinel2", "of", "at",
})  # fmt: skip
"""Words of a band's description that do not tell which band it is."""


def canonical_band(name: str) -> str | None:
    """The Sentinel-2 name of a band, or None when ``name`` is none, or might be several.

    Every word of the name must be understood, and agree: ``B5, 865 nm`` (of Landsat 8) is no band
    of Sentinel-2, and ``B02_mask`` is no reflectance.

    Args:
        name: A band as people and tools write it, in any case: ``B02``, ``b2``, ``B8A``,
            ``B02_10m``, ``Band 2``, ``B2, 490 nm``, ``Band 2 - Blue``, ``Red (band 4)``,
            ``nbart_red``, or a common name (``blue``, ``rededge1``, ``nir``, ``nir08``).
    """
    text = _RESOLUTION.sub(" ", name.strip().lower())
    numbers = _NUMBER.findall(text)
    if len(numbers) > 1:
        return None
    text = _NUMBER.sub(" ", text)
    wavelengths_nm = [
        float(value) * (1 if unit == "nm" else 1000) for value, unit in _WAVELENGTH.findall(text)
    ]
    words = re.findall(r"[^\W_]+", _WAVELENGTH.sub(" ", text))
    if not numbers and words[:1] in (["nbart"], ["nbar"]):
        return None if wavelengths_nm else _NBART.get("".join(words[1:]))
    colour = "".join(word for word in words if word not in _SAYS_NOTHING)
    if not numbers:
        bands = _COLOURS.get(colour, frozenset())
    else:
        bands = frozenset({"B" + numbers[0].upper()}) & frozenset(_L1C)
        if colour:
            bands &= _BESIDE_A_NUMBER.get(colour, frozenset())
    bands = frozenset(
        band
        for band in bands
        if all(abs(nm - _CENTRES_NM[band]) <= _CENTRE_ERROR_NM for nm in wavelengths_nm)
    )
    return next(iter(bands)) if len(bands) == 1 else None


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
        unread = any(band is None for band in bands_there)
        order = f"state the order of its {len(names)} bands with `bands` if they are there, or "
        raise BandError(
            f"{what} lacks {', '.join(missing)} (it has {there}): {order if unread else ''}use "
            f"imagery with all of {needs}"
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
