"""An index and a model of an earlier version open, and say what they said.

``tests/data/index-0670e38.zip`` was made at commit 0670e38: a small model of random weights, and
its index of six cells and one frame of the made-up city. What the index holds and answers was
written down there, too.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from toy_city import photo

from gair.model import Gair
from indexer.export.export import export_geoparquet
from indexer.index.content_hash import content_sha256
from indexer.index.index import open_index
from indexer.index.verify import check_index
from indexer.merge.merge import merge_indexes
from indexer.search.answer import BY_IMAGERY_ALONE
from indexer.search.geolocator import Geolocator

CONTENT_SHA256 = "d362b35d3885dcf840a1402efb06d95b783f9fde40df0f605f706b0983dcb36d"
PLACES_LATLON_DEG = (
    (51.50315397657716, -0.10420398739089899),
    (51.50536984438535, -0.10541996365410168),
    (51.503750801728366, -0.10768637107213705),
)
SCORES = (-0.060326024889945984, -0.06414076685905457, -0.0670413002371788)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    data = Path(__file__).parents[2] / "data" / "index-0670e38.zip"
    with zipfile.ZipFile(data) as file:
        file.extractall(tmp_path)
    return tmp_path / "old"


def test_every_file_is_sound_and_hashes_to_the_same_content(old: Path) -> None:
    findings = list(check_index(old))
    assert [finding.problem for finding in findings] == [""] * len(findings)
    index = open_index(old)
    assert (len(index.cells), index.manifest.schema_version) == (6, 3)
    assert index.manifest.content_sha256 == CONTENT_SHA256
    assert content_sha256(index.path, index.manifest.files) == CONTENT_SHA256


def test_its_cells_score_as_they_did(old: Path) -> None:
    """Its two cosines counted half each: the default at the time, when three cells were places."""
    geolocator = Geolocator(open_index(old), Gair.from_pretrained(old.parent / "model"))
    answer = geolocator.search(photo(1), k=6, rs_weight=0.5, location_weight=0.5, merge_radius_m=0)
    scores = {(round(c.lat_deg, 6), round(c.lon_deg, 6)): c.score for c in answer.candidates}
    assert len(scores) == 6
    then = [scores[round(lat, 6), round(lon, 6)] for lat, lon in PLACES_LATLON_DEG]
    np.testing.assert_allclose(then, SCORES, atol=1e-5)
    assert answer.candidates[0].score == max(then)


def test_it_knows_no_weight_of_the_model_and_is_searched_by_imagery_alone(old: Path) -> None:
    index = open_index(old)
    assert index.manifest.model.location_weight is None
    answer = Geolocator(index, Gair.from_pretrained(old.parent / "model")).search(photo(1))
    assert (answer.rs_weight, answer.location_weight, answer.weights_by) == (1, 0, "default")
    assert BY_IMAGERY_ALONE in answer.warnings


def test_it_is_merged_and_exported_as_it_is(old: Path, tmp_path: Path) -> None:
    index = open_index(old)
    merged = merge_indexes([old], "new", tmp_path, quiet=True)
    for name in ("rs.faiss", "location.faiss", "tokens.npy"):
        assert merged.manifest.files[name] == index.manifest.files[name]
    assert "chips.zip" in index.manifest.files  # its pictures of frames are painted into one
    assert merged.manifest.pictures[0]["file"] == "picture.tif"
    export_geoparquet(index, tmp_path / "old.parquet", quiet=True)
    assert pq.read_metadata(tmp_path / "old.parquet").num_rows == 6
