"""Manifests: what one holds comes back, and each odd member is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from item_mutations import mutations

from gair.errors import IndexCorruptError
from indexer.index.manifest import FileRecord, Manifest, ModelRecord

WHERE = Path("an-index/a-build/manifest.json")
MANIFEST = Manifest(
    schema_version=5,
    name="district",
    build="build-1",
    created_utc="2026-01-01T00:00:00+00:00",
    model=ModelRecord("small", "a test", "none", trained=False, fingerprint="0" * 64),
    region={"name": "district"},
    h3_resolution=10,
    containment="center",
    cells_in_region=10,
    cells_indexed=9,
    missing={"no data in the imagery": 1},
    frames={"count": 1},
    imagery={"attribution": "nobody"},
    query_mode="nili",
    metric="ip",
    vectors={},
    tokens=None,
    warnings=["a note"],
    libraries={"torch": "2"},
    seconds={"total": 1.5},
    files={"cells.duckdb": FileRecord("0" * 64, 7)},
)


def test_a_manifest_comes_back() -> None:
    assert Manifest.from_json(MANIFEST.to_json(), WHERE) == MANIFEST


def test_every_odd_member_is_refused_or_is_one_that_may_hold_anything() -> None:
    refused: list[str] = []
    for path, _, changed in mutations(json.loads(MANIFEST.to_json())):
        try:
            manifest = Manifest.from_json(json.dumps(changed).encode(), WHERE)
        except IndexCorruptError as error:
            refused.append(str(error))
        else:
            assert isinstance(manifest.cells_indexed, int), path
            assert all(isinstance(record.size_bytes, int) for record in manifest.files.values())
            assert isinstance(manifest.model.location_weight, int | float | None), path
            assert all(isinstance(line, str) for line in manifest.warnings), path
    assert len(refused) > 300
    assert all(line.startswith(str(WHERE)) and len(line) < 500 for line in refused)


@pytest.mark.parametrize("text", [b"", b"[]", b"[" * 100_000, b"9" * 5000, b"\xff"])
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(IndexCorruptError, match=r"manifest\.json"):
        Manifest.from_json(text, WHERE)
