"""STAC of an index: an Item of the build and the Collection it belongs to, version 1.1 or 1.0.

What all embeddings of a kind have in common is in the Collection (``emb:type``, ``emb:dimensions``,
``data_type``), what one run did in the Item. Extensions: embeddings v0.0.1
(https://github.com/geo-embeddings/embeddings-stac-specification), whose schema includes that of
STAC 1.0.0 and so refuses any other version: what must pass it is written as 1.0.0, where
``item_assets`` is an extension, too; processing v1.2.0 in the Item; scientific v1.0.0 in the
Collection.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from gair.info import package_version
from indexer.index.index import Index
from indexer.index.manifest import Manifest
from indexer.index.picture.cog import Picture, said_dates
from indexer.regions.cell_field import spacing_m

StacVersion = Literal["1.1.0", "1.0.0"]
STAC_VERSION: StacVersion = "1.1.0"
EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
SCIENTIFIC = "https://stac-extensions.github.io/scientific/v1.0.0/schema.json"
ITEM_ASSETS = "https://stac-extensions.github.io/item-assets/v1.0.0/schema.json"
"""What 1.0 needs for what is of the core in 1.1."""
PAPER = "https://arxiv.org/abs/2503.16683"
PUBLICATIONS = (
    {
        "doi": "10.48550/arXiv.2503.16683",
        "citation": "Liu, Z., Lao, N., Wang, Z., Jiao, J., Mai, G.: GAIR: Location-Aware "
        "Self-Supervised Contrastive Pre-Training with Geo-Aligned Implicit Representations. "
        "ISPRS Journal of Photogrammetry and Remote Sensing 237, 166-182, 2026",
    },
)
PARQUET = "application/vnd.apache.parquet"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"

_ASSET = {
    "type": PARQUET,
    "roles": ["data"],
    "title": "A row a cell: h3, centre, area, two vectors, geometry and what it covers",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def stac_item(index: Index, parquet: str, version: StacVersion = STAC_VERSION) -> dict[str, Any]:
    """The Item of a build.

    Args:
        index: an open index.
        parquet: where its embeddings are, beside the Item.
        version: of STAC.
    """
    m = index.manifest
    geometry = index.outline["geometry"]
    return {
        "type": "Feature",
        "stac_version": version,
        "stac_extensions": [EXTENSION, PROCESSING],
        "id": f"{m.name}-{m.build}",
        "collection": collection_id(m),
        "geometry": geometry,
        "bbox": bbox_wsen_deg(shape(geometry)),
        "properties": {
            **_dates(m),
            "created": _utc(m.created_utc),
            "title": f"GAIR embeddings of {m.region['name']}",
            "description": "; ".join([m.imagery["attribution"], *m.warnings]),
            "processing:datetime": _utc(m.created_utc),
            "processing:level": "L4",
            "processing:lineage": f"Sentinel-2 imagery read in overlapping frames by "
            f"{m.model.name}; a vector at each cell's centre ({m.query_mode}), one of its location",
            "processing:software": {"gair-geolocator": package_version(), **m.libraries},
            "emb:runtime_parameters": {
                "h3_resolution": m.h3_resolution,
                "query_mode": m.query_mode,
                "frames": m.frames,
                "computed": m.computed,
                "model_fingerprint": m.model.fingerprint,
                "cells": m.cells_indexed,
            },
            "emb:quantization": {
                "method": "rounding to half precision",
                "original_dtype": "float32",
                "quantized_dtype": "float16",
            },
        },
        "links": [
            {"rel": "collection", "href": "./collection.json", "type": "application/json"},
            *_sources(m),
        ],
        "assets": {
            "embeddings": {
                "href": f"./{parquet}",
                **_ASSET,
            },
            **{picture.path.stem: _visual(picture) for picture in index.pictures},
        },
    }


def _visual(picture: Picture) -> dict[str, Any]:
    """The asset of a picture of the region, beside the Item."""
    return {
        "href": f"./{picture.path.name}",
        "type": COG,
        "roles": ["visual"],
        "title": f"True colours, {said_dates(picture.entry['dates'])}",
    }


def stac_collection(index: Index, version: StacVersion = STAC_VERSION) -> dict[str, Any]:
    """The Collection that the Item belongs to, in a version of STAC."""
    m = index.manifest
    dates = _dates(m)
    interval = [dates.get("start_datetime", dates["datetime"])] + [
        dates.get("end_datetime", dates["datetime"])
    ]
    return {
        "type": "Collection",
        "stac_version": version,
        "stac_extensions": [EXTENSION, SCIENTIFIC, *([ITEM_ASSETS] if version == "1.0.0" else [])],
        "id": collection_id(m),
        "title": f"Embeddings of {m.model.name}",
        "description": f"Sentinel-2 imagery and location as vectors of the model {m.model.name}, "
        f"one of each at the centre of every H3 cell of resolution {m.h3_resolution}, of unit "
        "length.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [bbox_wsen_deg(shape(index.outline["geometry"]))]},
            "temporal": {"interval": [interval]},
        },
        "emb:type": "chip",
        "emb:dimensions": index.rs.dim,
        "data_type": "float16",
        "gsd": round(spacing_m(index.cells.area_m2), 1),
        "emb:chip_layout": {"layout_type": "named_grid", "grid_id": f"h3-{m.h3_resolution}"},
        "emb:fit_for_use": ["geolocation of street photos", "retrieval"],
        "item_assets": {"embeddings": dict(_ASSET)},
        "sci:publications": list(PUBLICATIONS),
        "links": [_model_link(m), *_sources(m)],
    }


def bbox_wsen_deg(area: BaseGeometry) -> list[float]:
    """What an area covers; west is above east where it is cut at 180 degrees (RFC 7946, 5.2)."""
    west, south, east, north = (float(v) for v in shapely.bounds(area))
    parts = [shapely.bounds(part) for part in shapely.get_parts(area)]
    if west == -180 and east == 180 and len(parts) > 1:
        eastern = [part[0] for part in parts if part[0] >= 0]
        western = [part[2] for part in parts if part[2] <= 0]
        if len(eastern) + len(western) == len(parts):
            west, east = float(min(eastern)), float(max(western))
    return [west, south, east, north]


def collection_id(manifest: Manifest) -> str:
    """Of a model's embeddings at one resolution."""
    model = re.sub(r"[^A-Za-z0-9]+", "-", manifest.model.name).strip("-").lower()
    return f"{model}-h3-{manifest.h3_resolution}"


def _dates(manifest: Manifest) -> dict[str, Any]:
    """When the imagery was taken; where nothing says, when the embeddings were made."""
    scenes = manifest.imagery["scenes"]
    days = sorted(str(day) for scene in scenes for day in scene.get("dates", ()))
    if not days:
        return {"datetime": _utc(manifest.created_utc)}
    first, last = _utc(days[0]), _utc(days[-1])
    if first == last:
        return {"datetime": first}
    return {"datetime": None, "start_datetime": first, "end_datetime": last}


def _utc(text: str) -> str:
    """A date or time of ours as STAC writes it."""
    if len(text) == 10:
        return f"{text}T00:00:00Z"
    return text.replace("+00:00", "Z") if text.endswith(("+00:00", "Z")) else f"{text}Z"


def _model_link(manifest: Manifest) -> dict[str, str]:
    source = manifest.model.source
    href = f"https://huggingface.co/{source}" if _HUB_ID.fullmatch(source) else PAPER
    return {"rel": "emb:model", "href": href, "title": f"{manifest.model.name} ({source})"}


def _sources(manifest: Manifest) -> list[dict[str, str]]:
    """A link a scene; by its name where it has no address."""
    return [
        {
            "rel": "emb:source-data",
            "href": str(scene.get("href") or scene.get("name", f"scene-{number}")),
            "title": str(scene.get("name", f"scene {number}")),
        }
        for number, scene in enumerate(manifest.imagery["scenes"])
    ]
