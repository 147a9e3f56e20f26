"""Regions, the areas that an index covers, and the H3 cells in them.

>>> from indexer.regions import named_region
>>> named_region("london").area_km2

Importing this package is cheap; shapely and PROJ are imported when a name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.regions.region import Region as Region
    from indexer.regions.region import named_region as named_region
    from indexer.regions.region import region_from_bbox as region_from_bbox
    from indexer.regions.region import region_from_geojson as region_from_geojson

__all__ = ["Region", "named_region", "region_from_bbox", "region_from_geojson"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in __all__:
        raise AttributeError(f"module 'indexer.regions' has no attribute {name!r}")
    from indexer.regions import region

    return getattr(region, name)
