"""Rules of the STAC extension embeddings v0.0.1 for its own fields, written anew for offline tests.

https://github.com/geo-embeddings/embeddings-stac-specification: its schema includes STAC 1.0.0's,
of which only the version is repeated here, and refuses fields ``emb:`` that it does not name.
"""

from __future__ import annotations

from typing import Any

EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer", "minimum": 1}
TEXTS = {"type": "array", "items": TEXT}


def named(fields: dict[str, Any], *required: str, closed: bool = True) -> dict[str, Any]:
    """An object with these fields, and no others where it is closed, else no others of emb:."""
    rest = {"additionalProperties": False} if closed else {
        "patternProperties": {"^(?!emb:)": {}}, "additionalProperties": False,
    }  # fmt: skip
    return {"type": "object", "properties": fields, "required": list(required), **rest}


LAYOUT = named(
    {
        "layout_type": {"enum": ["regular_grid", "variable_grid", "named_grid"]},
        "chip_size": {"type": "array", "items": WHOLE, "minItems": 2, "maxItems": 2},
        "stride": {"type": "array", "items": WHOLE, "minItems": 2, "maxItems": 2},
        "grid_id": TEXT,
        "grid_definition": {"type": "object"},
    },
    "layout_type",
    closed=False,
)
QUANTIZATION = named(
    {
        "method": TEXT,
        "original_dtype": TEXT,
        "quantized_dtype": TEXT,
        "scale": {"type": "array", "items": NUMBER},
        "offset": {"type": "array", "items": NUMBER},
        "link": {"type": "object"},
    },
    "method",
    "original_dtype",
)
BOTH = {
    "required": ["type", "links", "assets", "stac_extensions", "stac_version"],
    "properties": {
        "stac_version": {"const": "1.0.0"},
        "stac_extensions": {"type": "array", "contains": {"const": EXTENSION}},
    },
}
ITEM = {
    "allOf": [BOTH],
    "properties": {
        "type": {"const": "Feature"},
        "properties": named(
            {
                "emb:runtime_parameters": {"type": "object"},
                "emb:preprocessing": {"type": "object"},
                "emb:postprocessing": {"type": "object"},
                "emb:fit_for_use": TEXTS,
                "emb:spatial_coverage": TEXT,
                "emb:uncertainty": {"type": "object"},
                "emb:quantization": QUANTIZATION,
                "emb:energy": {"type": "object"},
            },
            closed=False,
        ),
        "assets": {
            "type": "object",
            "required": ["embeddings"],
            "additionalProperties": named({}, closed=False),
        },
    },
}
COLLECTION = {
    "allOf": [{**BOTH, "required": ["type", "links", "stac_extensions", "stac_version"]}],
    **named(
        {
            "type": {"const": "Collection"},
            "emb:type": {"enum": ["pixel", "chip"]},
            "emb:dimensions": WHOLE,
            "data_type": TEXT,
            "gsd": NUMBER,
            "emb:chip_layout": LAYOUT,
            "emb:temporal_resolution": TEXT,
            "emb:fit_for_use": TEXTS,
            "emb:uncertainty": {"type": "object"},
            "links": {
                "allOf": [
                    {"contains": {"properties": {"rel": {"const": rel}}, "required": ["rel"]}}
                    for rel in ("emb:model", "emb:source-data")
                ]
            },
            "item_assets": {"additionalProperties": named({}, closed=False)},
        },
        "emb:type",
        "emb:dimensions",
        "data_type",
        closed=False,
    ),
}
