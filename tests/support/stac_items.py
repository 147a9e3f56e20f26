"""STAC items of our own making, in the words of the catalogues there are; they have no files."""

from __future__ import annotations

from typing import Any

from stac_world import ASSETS

NUMBERED = {name: "SCL" if name == "SCL" else f"B{name[1:]:0>2}" for name in ASSETS}
"""As Planetary Computer calls the bands."""
WEST_M, NORTH_M = 399_960.0, 4_500_000.0
COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def band_asset(name: str, href: str, offset: float | None = None) -> dict[str, Any]:
    """The asset of a band at its own resolution."""
    size = 10 if name in ("B2", "B3", "B4", "B8") else 20
    asset: dict[str, Any] = {
        "href": href,
        "type": COG,
        "gsd": size,
        "proj:shape": [109_800 // size] * 2,
        "proj:transform": [size, 0, WEST_M, 0, -size, NORTH_M],
        "file:size": 1_000_000,
        "roles": ["data", "reflectance"],
    }
    if name != "SCL":
        asset["eo:bands"] = [{"name": NUMBERED[name], "center_wavelength": 0.5}]
    if offset is not None and name != "SCL":
        asset["raster:bands"] = [
            {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": offset}
        ]
    return asset


def stac_item(
    name: str = "S2B_13TDE",
    keys: dict[str, str] = ASSETS,
    offset: float | None = -0.1,
    collection: str | None = "sentinel-2-c1-l2a",
    **properties: object,
) -> dict[str, Any]:
    """An item of a whole tile near Boulder; ``keys`` are those of its assets by band."""
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/storage/v1.0.0/schema.json",
        ],
        "links": [{"rel": "self", "href": f"https://stac.example/items/{name}"}],
        "bbox": [-106.19, 39.65, -104.89, 40.65],
        "geometry": {
            "type": "Polygon",
            "coordinates": [
                [[-106.1, 39.7], [-104.95, 39.7], [-104.95, 40.6], [-106.1, 40.6], [-106.1, 39.7]]
            ],
        },
        "properties": {
            "datetime": "2024-04-05T18:02:53.145000Z",
            "platform": "sentinel-2b",
            "eo:cloud_cover": 1.5,
            "proj:epsg": 32613,
            "storage:platform": "AWS",
            "storage:region": "us-west-2",
            "storage:requester_pays": False,
            **properties,
        },
        "assets": {
            keys[band]: band_asset(band, f"https://files.example/{name}/{band}.tif", offset)
            for band in ASSETS
        },
    }
