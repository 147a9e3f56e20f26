"""Members of STAC items as catalogues really write them: null, numbers as text, lists of anything.

An item is read as the JSON it came in. Nothing here raises: what cannot be read counts as unsaid,
and whoever needs it says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urljoin

RawItem: TypeAlias = Mapping[str, Any]
"""A STAC item as JSON."""


def item_name(item: object) -> str:
    """What to call an item in errors, also one that is none."""
    identity = item.get("id") if isinstance(item, Mapping) else None
    usable = isinstance(identity, str | int) and str(identity).strip()
    return str(identity) if usable else "without an id"


def objects(value: object) -> list[Mapping[str, Any]]:
    """The JSON objects of a list; none where it is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def members(item: RawItem, name: str) -> dict[str, Any]:
    """The members of an object in an item, such as its ``properties``."""
    value = item.get(name)
    return dict(value) if isinstance(value, Mapping) else {}


def assets_of(item: RawItem) -> dict[str, Mapping[str, Any]]:
    """The assets that name a file, by key."""
    return {
        str(key): asset
        for key, asset in members(item, "assets").items()
        if isinstance(asset, Mapping) and isinstance(asset.get("href"), str) and asset["href"]
    }


def href_of(item: RawItem, asset: Mapping[str, Any]) -> str:
    """Where an asset's file is; a relative address counts from the item's own."""
    selves = [link.get("href") for link in objects(item.get("links")) if link.get("rel") == "self"]
    base = next((href for href in selves if isinstance(href, str)), "")
    href = str(asset["href"])
    try:
        return urljoin(base, href)
    except ValueError:  # such as a broken IPv6 address
        return href


def number(value: object) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def cloud_percent(item: RawItem) -> float | None:
    """Clouds in a whole scene, per cent; None where it does not say."""
    percent = number(members(item, "properties").get("eo:cloud_cover"))
    return percent if percent is not None and 0 <= percent <= 100 else None
