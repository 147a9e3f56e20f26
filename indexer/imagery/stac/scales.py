"""Scale and offset of a band, decided from what its item states.

What catalogues state, and what it means, is a table in ``docs/imagery.md``. In short:

1. a flag that the offset was taken off already (``earthsearch:boa_offset_applied``): 0, whatever
   else is stated (https://github.com/Element84/earth-search/issues/9);
2. an offset that is stated (``raster:bands``): that one;
3. a collection that calls itself harmonised: 0;
4. a processing baseline: -0.1 from 04.00 on, 0 before
   (https://github.com/microsoft/PlanetaryComputer/issues/134);
5. nothing: 0, and the user is told.

But for the first, pixels have the last word (:mod:`.offsets`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gair.errors import ImageryError
from indexer.imagery.baseline import OFFSET, Baseline, baseline_in_name, read_baseline
from indexer.imagery.stac.items import RawItem, assets_of, item_name, members, number, objects

SCALE = 1e-4
"""Of Sentinel-2 products, where nothing is stated: reflectance x 10000 is stored."""

Basis = Literal["flag", "stated", "collection", "baseline", "nothing"]
"""What an offset was decided from."""

_HARMONISED = re.compile(r"harmoni[sz]ed", re.IGNORECASE)
_VERSION = re.compile(r"\d{2}\.\d{2}")  # a baseline where any version may stand
_PRODUCT_NAMES = ("s2:product_uri", "sentinel:product_id", "s2:product_id", "product_id", "title")


@dataclass(frozen=True)
class BandScale:
    """Reflectance = stored value x scale + offset."""

    scale: float
    offset: float
    basis: Basis
    why: str = ""
    """What to tell the user of it, as the end of a sentence; empty where the item states it all."""


def band_scale(item: RawItem, asset: Mapping[str, Any]) -> BandScale:
    """How the pixels of an asset become reflectance.

    Args:
        item: as JSON.
        asset: the one of a band.

    Raises:
        ImageryError: A scale or an offset is stated that Sentinel-2 cannot have.
    """
    stated_scale, stated_offset = _stated(item, asset)
    scale = SCALE if stated_scale is None else stated_scale
    properties = members(item, "properties")
    if _offset_applied(properties):
        return BandScale(scale, 0.0, "flag")
    if stated_offset is not None:
        return BandScale(scale, stated_offset, "stated")
    collection = item.get("collection")
    if isinstance(collection, str) and _HARMONISED.search(collection):
        return BandScale(scale, 0.0, "collection")
    baselines = list(_baselines(item, properties))
    if not baselines:
        why = "states neither an offset nor a processing baseline: none was taken off"
        return BandScale(scale, 0.0, "nothing", why)
    baseline = baselines[0]
    contradicting = [b for b in baselines if b.stored_higher != baseline.stored_higher]
    beside = f" (and {contradicting[0]} elsewhere)" if contradicting else ""
    if baseline.stored_higher:
        why = f"states no offset, but processing baseline {baseline}{beside}: {OFFSET:g} of "
        return BandScale(scale, -OFFSET, "baseline", why + "reflectance was taken off")
    why = f"states processing baseline {baseline}{beside}: no offset was taken off"
    return BandScale(scale, 0.0, "baseline", why if contradicting else "")


def _stated(item: RawItem, asset: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Scale and offset of an asset or of its first band; None where unsaid."""
    places = [asset, *objects(asset.get("raster:bands"))[:1], *objects(asset.get("bands"))[:1]]

    def first(names: tuple[str, ...]) -> object:
        values = (place.get(name) for place in places for name in names)
        return next((value for value in values if value is not None), None)

    scale, offset = first(("scale", "raster:scale")), first(("offset", "raster:offset"))
    read_scale, read_offset = number(scale), number(offset)
    if scale is not None and (read_scale is None or read_scale <= 0):
        raise ImageryError(
            f"scene {item_name(item)} states a scale of {_shown(scale)}, which is no number above "
            "0: pass another `collection`"
        )
    if offset is not None and (read_offset is None or not -1 <= read_offset <= 0):
        raise ImageryError(
            f"scene {item_name(item)} states an offset of {_shown(offset)}, which is no "
            "reflectance from -1 to 0: pass another `collection`"
        )
    return read_scale, read_offset


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else text[:37] + "..."


def _offset_applied(properties: Mapping[str, Any]) -> bool:
    """Whether the item says that its pixels were corrected; what is no yes counts as unsaid."""
    said = {
        str(value).strip().lower()
        for name, value in properties.items()
        if name.rpartition(":")[2] == "boa_offset_applied" and value is not None
    }
    return bool(said) and said <= {"true", "1", "1.0"}


def _baselines(item: RawItem, properties: Mapping[str, Any]) -> Iterator[Baseline]:
    """Baselines that an item states, what says it best first."""
    for name, value in sorted(properties.items()):
        if name.rpartition(":")[2] == "processing_baseline" and (read := read_baseline(value)):
            yield read
    for value in (*map(properties.get, _PRODUCT_NAMES), item.get("id")):
        if read := baseline_in_name(value):
            yield read
    version = properties.get("processing:version")
    if (
        isinstance(version, str)
        and _VERSION.fullmatch(version)
        and (read := read_baseline(version))
    ):
        yield read
    for asset in assets_of(item).values():  # .../S2A_MSIL2A_..._N0400_....SAFE/GRANULE/...
        if read := baseline_in_name(asset["href"]):
            yield read
            return
