"""Searches without torch: the same places by onnxruntime, and no torch in the process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_builds import tiny_model
from toy_city import photo

from gair.errors import ModelError
from indexer.commands.cli import main
from indexer.index.storage import RS_FILE
from indexer.index.vectors import FaissStore
from indexer.search.geolocator import Geolocator

NO_EXTRA = "needs the extra onnx: pip install 'gair-geolocator[onnx]'"

SCORES = """
import sys
from pathlib import Path
import numpy as np
import indexer.commands.search, indexer.search.geolocator, indexer.search.ranking
from indexer.index.index import open_index
index, queries, out = (Path(word) for word in sys.argv[1:])
np.save(out, open_index(index).rs.scores(np.load(queries)))
assert "torch" not in sys.modules
"""
SEARCH = """
import sys
from indexer.commands.cli import main
status = main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""


def test_vectors_are_scored_without_torch(tiny_index: Path, tmp_path: Path) -> None:
    store = FaissStore(next((tiny_index / "toy").glob(f"*/{RS_FILE}")))
    queries = np.random.default_rng(0).normal(size=(3, store.dim)).astype(np.float32)
    np.save(tmp_path / "queries.npy", queries)
    words = [str(tiny_index / "toy"), str(tmp_path / "queries.npy"), str(tmp_path / "scores.npy")]
    done = subprocess.run([sys.executable, "-c", SCORES, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    given = np.load(tmp_path / "scores.npy")
    np.testing.assert_allclose(given, store.scores(queries), atol=1e-5)


def test_without_towers_the_command_that_writes_them_is_named(
    tiny_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAIR_ONNX", str(tmp_path))
    with pytest.raises(ModelError, match=r"export-onnx untrained:tiny"):
        Geolocator.open(tiny_index / "toy", runtime="onnx")


@pytest.mark.slow
def test_a_search_without_torch_finds_the_same_places(
    tiny_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module, reason=NO_EXTRA)
    monkeypatch.setenv("GAIR_ONNX", str(tmp_path))
    from gair.cli import main as models

    assert models(["export-onnx", "untrained:tiny"]) == 0
    by_torch = Geolocator.open(tiny_index / "toy", model=tiny_model())
    by_onnx = Geolocator.open(tiny_index / "toy", runtime="onnx")
    pictures = [photo(number) for number in range(4)]
    for one, other in zip(by_torch.seen(pictures), by_onnx.seen(pictures), strict=True):
        np.testing.assert_allclose(one.s, other.s, atol=1e-2)
    again = pickle.loads(pickle.dumps(by_onnx))
    for picture in pictures:
        wanted = by_torch.search(picture, k=5, refine=False)
        for geolocator in (by_onnx, again):
            given = geolocator.search(picture, k=5)
            assert [c.row for c in given.candidates] == [c.row for c in wanted.candidates]
            scores = [c.score for c in wanted.candidates]
            assert [c.score for c in given.candidates] == pytest.approx(scores, abs=1e-2)
            assert all(c.refined_lonlat_deg is None for c in given.candidates)
    picture = tmp_path / "photo.jpg"
    photo(1).save(picture)
    asked = ["--index", "toy", "--indexes", str(tiny_index), "--runtime", "onnx", "--json"]
    commands = (
        ["search", str(picture)],
        ["verify", str(picture), "--at", "51.5,-0.11"],
        ["heatmap", str(picture), "--of", "imagery", "--out", str(tmp_path / "map.tif")],
        ["explore", "--same-place", str(picture), str(picture)],
    )
    for words in commands:
        command = [sys.executable, "-c", SEARCH, *words, *asked]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert main(["search", str(picture), *asked, "--precision", "bfloat16"]) == 2
