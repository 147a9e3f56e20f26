"""An exported index as STAC: an Item and its Collection, with the embedding extension v0.0.1.

The extension keeps what all embeddings of a kind have in common in the Collection (``emb:type``,
``emb:dimensions``, ``data_type``) and what one run did in the Item.
https://github.com/geo-embeddings/embeddings-stac-specification
"""

from __future__ import annotations

import re
from typing import Any

import shapely
from shapely.geometry import shape

from indexer.index.index import Index
from indexer.index.manifest import Manifest
from indexer.regions.cell_field import spacing_m

EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
STAC_VERSION = "1.0.0"
"""The one that the extension's schema is written for."""
PAPER = "https://arxiv.org/abs/2503.16683"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def stac_item(index: Index, parquet: str) -> dict[str, Any]:
    """The Item of a build.

    Args:
        index: an open index.
        parquet: where its embeddings are, beside the Item.
    """
    m = index.manifest
    geometry = index.outline["geometry"]
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSION],
        "id": f"{m.name}-{m.build}",
        "collection": collection_id(m),
        "geometry": geometry,
        "bbox": [float(v) for v in shapely.bounds(shape(geometry))],
        "properties": {
            **_dates(m),
            "created": _utc(m.created_utc),
            "title": f"GAIR embeddings of {m.region['name']}",
            "description": "; ".join([m.imagery["attribution"], *m.warnings]),
            "processing:datetime": _utc(m.created_utc),
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
                "type": "application/vnd.apache.parquet",
                "roles": ["data"],
                "title": "A row a cell: h3, centre, area, two vectors, geometry",
            }
        },
    }


def stac_collection(index: Index) -> dict[str, Any]:
    """The Collection that the Item belongs to."""
    m = index.manifest
    dates = _dates(m)
    interval = [dates.get("start_datetime", dates["datetime"])] + [
        dates.get("end_datetime", dates["datetime"])
    ]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [EXTENSION],
        "id": collection_id(m),
        "title": f"Embeddings of {m.model.name}",
        "description": f"Sentinel-2 imagery and location as vectors of the model {m.model.name}, "
        f"one of each at the centre of every H3 cell of resolution {m.h3_resolution}, of unit "
        "length.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[float(v) for v in m.region["bbox_wsen_deg"]]]},
            "temporal": {"interval": [interval]},
        },
        "emb:type": "chip",
        "emb:dimensions": index.rs.dim,
        "data_type": "float16",
        "gsd": round(spacing_m(index.cells.area_m2), 1),
        "emb:chip_layout": {"layout_type": "named_grid", "grid_id": f"h3-{m.h3_resolution}"},
        "emb:fit_for_use": ["geolocation of street photos", "retrieval"],
        "links": [_model_link(m), *_sources(m)],
    }


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
