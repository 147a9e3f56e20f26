"""Assets of a STAC item by the band they hold, and what an item without them is.

A band is known by its asset's key, else by the name of the asset's only band. Catalogues list a
band at several resolutions, and as JPEG 2000 beside GeoTIFF; of these, one is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gair.bands import GAIR_BANDS, canonical_band
from gair.errors import BandError
from indexer.imagery.stac.items import RawItem, assets_of, item_name, members, number, objects

MASK = "SCL"
"""The scene classification."""

_NEEDED = (*GAIR_BANDS, MASK)
_MASK_NAMES = ("scl", "sceneclassification", "sceneclassificationmap", "sceneclassificationlayer")
_RESOLUTION = re.compile(r"(?<![a-z0-9])r?(\d{2})\s?m(?![a-z0-9])")
_JP2_TYPES = ("jp2", "jpx", "jpeg2000", "j2k")
_LEVEL_1C = re.compile(r"MSIL?1C|(?<![a-z0-9])l1c(?![a-z0-9])", re.IGNORECASE)


def band_assets(item: RawItem) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Key and asset of each of the ten bands, and of :data:`MASK`.

    Raises:
        BandError: It lacks one; the message says what the item is instead.
    """
    name = item_name(item)
    if _is_level_1c(item):
        raise BandError(
            f"scene {name} is Level-1C, top-of-atmosphere reflectance: pass a `collection` of "
            "Sentinel-2 Level-2A"
        )
    choices: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    as_jp2: dict[str, str] = {}
    for key, asset in assets_of(item).items():
        if (band := _band_of(key, asset)) not in _NEEDED:
            continue
        if _is_jp2(asset):
            as_jp2.setdefault(str(band), key)
        else:
            choices.setdefault(str(band), []).append((key, asset))
    missing = [band for band in _NEEDED if band not in choices]
    if not missing:
        return {band: min(choices[band], key=_rank) for band in _NEEDED}
    if any(band in as_jp2 for band in missing):
        shown = next(as_jp2[band] for band in missing if band in as_jp2)
        raise BandError(
            f"scene {name} has its bands as JPEG 2000 ({shown}, ...), which are not read from a "
            "catalogue: download them and give their folder, or pass a catalogue with "
            "cloud-optimised GeoTIFFs, such as Earth Search's sentinel-2-c1-l2a"
        )
    raise BandError(_lacks(item, missing))


def resolution_m(key: str, asset: Mapping[str, Any]) -> float:
    """Side of an asset's pixels, as far as it says; infinite where it does not."""
    transform = asset.get("proj:transform")
    said: list[object] = [transform[0]] if isinstance(transform, list) and transform else []
    said += [band.get("spatial_resolution") for band in objects(asset.get("raster:bands"))[:1]]
    said += [asset.get("raster:spatial_resolution"), asset.get("gsd")]
    said += _RESOLUTION.findall(key.lower())
    sizes = (size for value in said if (size := number(value)) is not None and size > 0)
    return next(sizes, float("inf"))


def _band_of(key: str, asset: Mapping[str, Any]) -> str | None:
    """The band an asset holds, or :data:`MASK`; None for anything else."""
    if "".join(re.findall(r"[a-z]+", _RESOLUTION.sub(" ", key.lower()))) in _MASK_NAMES:
        return MASK
    if (band := canonical_band(key)) is not None:
        return band
    for member in ("bands", "eo:bands"):
        described = asset.get(member)
        if isinstance(described, list) and len(described) == 1:
            for of_band in objects(described):
                names = map(of_band.get, ("name", "eo:common_name", "common_name"))
                read = (canonical_band(text) for text in names if isinstance(text, str))
                if (band := next((b for b in read if b is not None), None)) is not None:
                    return band
    return None


def _rank(choice: tuple[str, Mapping[str, Any]]) -> tuple[bool, float, str]:
    """The asset whose key is the band goes first, then the finest."""
    key, asset = choice
    is_band = "".join(re.findall(r"[a-z]+", key.lower())) in _MASK_NAMES or (
        canonical_band(key) is not None and not _RESOLUTION.search(key.lower())
    )
    return not is_band, resolution_m(key, asset), key


def _is_jp2(asset: Mapping[str, Any]) -> bool:
    media_type = str(asset.get("type") or "").lower()
    return any(kind in media_type for kind in _JP2_TYPES) or (
        "tif" not in media_type and _path_of(asset["href"]).endswith((".jp2", ".j2k"))
    )


def _path_of(href: str) -> str:
    """The path in an address, lower case, without a query or signature."""
    try:
        return urlsplit(href).path.lower()
    except ValueError:
        return href.lower()


def _is_level_1c(item: RawItem) -> bool:
    properties = members(item, "properties")
    said = [item.get("collection"), item.get("id"), properties.get("processing:level")]
    said += [properties.get(name) for name in ("s2:product_type", "s2:product_uri")]
    return any(isinstance(text, str) and _LEVEL_1C.search(text.replace("_", " ")) for text in said)


def _lacks(item: RawItem, missing: Sequence[str]) -> str:
    keys = sorted(assets_of(item))
    shown = ", ".join(keys[:24]) + (", ..." if len(keys) > 24 else "")
    return (
        f"scene {item_name(item)} lacks {', '.join(missing)} (its assets: {shown or 'none'}): pass "
        "a `collection` of Sentinel-2 Level-2A"
    )
