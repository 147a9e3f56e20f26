"""Documented schema: made from the code, and true of real answers and verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from repository import REPOSITORY
from toy_city import photo

from app.http.answer_schemas import answers_schema
from indexer import compare_photos, photos_near_place, similar_places
from indexer.probability.cautions import CODES
from indexer.search.geolocator import Geolocator

DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DOCS / "answers.schema.json").read_text())
    return document


def errors(schema: dict[str, Any], kind: str, values: Any) -> list[str]:
    """What is wrong with an object, by the schema of its kind."""
    checked = {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]}
    plain = json.loads(json.dumps(values, allow_nan=False))
    return [e.message for e in jsonschema.Draft202012Validator(checked).iter_errors(plain)]


def test_the_documented_schema_is_that_of_the_code(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == answers_schema(), "docs/answers.md says how to write it anew"


@pytest.mark.parametrize("name", ["toy", "known"])
def test_real_answers_and_verdicts_follow_it(
    site_indexes: Path, schema: dict[str, Any], name: str
) -> None:
    geo = Geolocator.open(name, indexes_dir=site_indexes)
    answer = geo.search(photo(3))
    assert answer.calibrated is (name == "known")
    assert errors(schema, "SearchAnswer", answer.to_dict()) == []
    boxed = geo.search([photo(3), photo(4)], same_place=True, refine=False)
    assert errors(schema, "SearchAnswer", boxed.to_dict()) == []
    for place in (geo.index.cells.lonlat_deg[0], (0.0, 0.0)):
        verdict = geo.verify(photo(3), *place)
        assert errors(schema, "ClaimVerdict", verdict.to_dict()) == []
    (lon_deg, lat_deg), pair = (
        geo.index.cells.lonlat_deg[3],
        compare_photos(geo, photo(3), photo(4)),
    )
    explored = similar_places(geo, [(lon_deg, lat_deg)])
    assert errors(schema, "SimilarPlacesAnswer", explored.to_dict()) == []
    assert errors(schema, "PhotoPairAnswer", pair.to_dict()) == []
    grounded = Geolocator.open("ground", indexes_dir=site_indexes)
    near = photos_near_place(grounded, lon_deg, lat_deg)
    assert errors(schema, "NearPhotosAnswer", near.to_dict()) == []
    assert errors(schema, "SearchAnswer", {**answer.to_dict(), "schema_version": 2})
    assert errors(schema, "SearchAnswer", {**answer.to_dict(), "warnings": ["plain words"]})


def test_every_code_is_documented() -> None:
    table = (DOCS / "answers.md").read_text()
    for code, meaning in CODES.items():
        assert f"| `{code}` | {meaning} |" in table
