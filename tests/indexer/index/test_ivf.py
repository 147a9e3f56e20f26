"""Index types by size: the files are FAISS's own, and the gate decides what serves."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from list_builds import clustered, wide_build, with_lists, write_flat
from small_builds import build_box, fill_disk, small_disk, tiny_model

from gair.errors import IndexCorruptError, StorageError, UsageError
from indexer.commands.cli import main
from indexer.index import ivf_build, ivf_files
from indexer.index.index import open_index
from indexer.index.ivf import (
    FLAT_UP_TO,
    SQ8_UP_TO,
    IndexType,
    InvertedLists,
    index_type_for,
    open_shortlists,
)
from indexer.index.ivf_build import build_lists, list_count
from indexer.index.vectors import FaissStore

ROWS, DIM = 12_000, 48


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flat")
    return write_flat(folder, clustered(ROWS, DIM), clustered(ROWS, DIM, seed=1))


def test_the_policy_is_by_size_and_can_be_overridden() -> None:
    kinds = [index_type_for(n) for n in (0, FLAT_UP_TO, FLAT_UP_TO + 1, SQ8_UP_TO, SQ8_UP_TO + 1)]
    assert kinds == ["flat", "flat", "ivf-sq8", "ivf-sq8", "ivf-pq"]
    assert index_type_for(10, "ivf-pq") == "ivf-pq"
    assert index_type_for(10**9, "flat") == "flat"
    with pytest.raises(UsageError, match="`index_type` 'hnsw': choose one of auto, flat, ivf-sq8"):
        index_type_for(10, "hnsw")


def test_lists_are_near_the_square_root_and_can_be_trained() -> None:
    assert [list_count(n) for n in (0, 1, 50, 3000, 1_000_000, 10_000_000)] == [
        *(1, 1, 1, 32, 1024, 4096)
    ]
    assert list_count(10**12) == 1 << 16


@pytest.mark.parametrize("kind", ["ivf-sq8", "ivf-pq"])
def test_the_file_is_what_faiss_writes(
    flat: Path, monkeypatch: pytest.MonkeyPatch, kind: IndexType
) -> None:
    monkeypatch.setattr(ivf_files, "_ROWS_WRITTEN", 1000)  # many blocks
    store = FaissStore(flat / "rs.faiss")
    build_lists(flat / "own", store, kind, quiet=True)
    theirs = ivf_build._trained(store, kind, 0, True)
    theirs.add(store.vectors(np.arange(ROWS)))
    assert (flat / "own").read_bytes() == faiss.serialize_index(theirs).tobytes()


@pytest.mark.parametrize("kind", ["ivf-sq8", "ivf-pq"])
def test_all_lists_find_what_every_row_scores(flat: Path, kind: str) -> None:
    store = FaissStore(flat / "rs.faiss")
    lists = build_lists(flat / kind, store, kind, quiet=True)  # type: ignore[arg-type]
    found = InvertedLists(flat / kind, lists)
    assert (found.count, found.dim, found.lists) == (ROWS, DIM, lists)
    queries = clustered(20, DIM, seed=2)
    best = np.argsort(-store.scores(queries), axis=1)[:, :10]
    rows = found.shortlist(queries, 1500)
    assert rows.shape == (20, 1500)
    hits = [np.isin(best[n], rows[n]).mean() for n in range(20)]
    assert np.mean(hits) == 1.0
    allowed = np.zeros(ROWS, dtype=bool)
    allowed[best[0, 3:7]] = True
    assert set(found.shortlist(queries[:1], 20, allowed)[0]) == {-1, *best[0, 3:7]}


def test_probes_are_as_few_as_pass_the_gate(flat: Path) -> None:
    search = ivf_build.make_search(flat, "ivf-sq8", shortlist=1000, quiet=True)
    assert search["recall"] >= ivf_build.GATE == search["gate"] == 0.95
    rs, location = FaissStore(flat / "rs.faiss"), FaissStore(flat / "location.faiss")
    s = ivf_build.turned_cells(rs).s
    found = InvertedLists(flat / "rs.ann.faiss", 1), InvertedLists(flat / "location.ann.faiss", 1)
    truth = ivf_build.best_rows(rs, location, s)
    for way, (a, b) in enumerate(ivf_build.WAYS):
        fused = a * rs.scores(s) + b * location.scores(s)
        slow = np.argsort(-fused, axis=1)[:, :10]
        np.testing.assert_array_equal(np.sort(truth[way]), np.sort(slow))
    probes = search["probes"]
    assert probes > 1
    halves = [slice(0, None, 2), slice(1, None, 2)]
    recalls, less = (
        [ivf_build.recall_of(found, s[half], truth[:, half], 1000, count) for half in halves]
        for count in (probes, probes // 2)
    )
    assert recalls[0] != recalls[1]
    assert min(recalls) == search["recall"]  # both halves pass, and the worse is told
    assert min(less) < 0.95
    opened = open_shortlists(flat, search)
    assert opened is not None
    assert opened.size == 1000
    assert "256 vectors" in opened.description
    assert isinstance(opened.rs, InvertedLists)
    assert opened.rs.probes == probes


def test_where_the_gate_is_not_met_every_cell_is_scored(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 3000, DIM))  # nothing to find lists by
    noise /= np.linalg.norm(noise, axis=2, keepdims=True)
    folder = write_flat(tmp_path / "noise", *noise)
    search = ivf_build.make_search(folder, "ivf-pq", shortlist=10, quiet=True)
    assert search["type"] == "flat"
    assert search["recall"] < 0.95
    assert "of the ten best cells, less than 95%, so every cell is scored" in search["note"]
    assert sorted(f.name for f in folder.iterdir()) == ["location.faiss", "rs.faiss"]
    assert open_shortlists(folder, search) is None


def test_a_build_chooses_tells_and_opens(city_tif: Path, tmp_path: Path) -> None:
    argv = ["build", "--imagery", str(city_tif), "--model", "shipped:demo", "--resolution", "10"]
    argv += ["--bbox=-0.12,51.49,-0.085,51.515", "--out", str(tmp_path), "--quiet"]
    assert main([*argv, "--name", "listed", "--index-type", "ivf-sq8"]) == 0
    index = open_index(tmp_path / "listed")
    search = index.manifest.search
    assert search["wanted"] == "ivf-sq8"
    assert 0.5 < search["recall"] <= 1
    found_enough = search["recall"] >= 0.95  # so few cells, of noise, may have no lists
    assert search["type"] == ("ivf-sq8" if found_enough else "flat")
    assert (index.shortlists is not None) == found_enough
    assert "turned to a cosine of 0.6, in place of photos" in search["queries"]


def test_info_shows_the_type_and_its_recall(
    city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = wide_build(city_tif, tmp_path)
    search = with_lists(folder, tmp_path / "listed", "ivf-sq8", 300)
    assert main(["info", "--index", str(tmp_path / "listed")]) == 0
    shown = capsys.readouterr().out
    assert f"ivf-sq8, {search['lists']} lists, {search['probes']} looked into" in shown
    assert f"recall of the ten best cells {search['recall']:.1%} (gate 95%)" in shown
    assert main(["info", "--index", str(folder)]) == 0
    assert "search   flat: every cell is scored" in capsys.readouterr().out
    lists = open_index(tmp_path / "listed").path / "rs.ann.faiss"
    lists.write_bytes(lists.read_bytes()[:-1])
    with pytest.raises(IndexCorruptError, match=r"rs\.ann\.faiss differs from what was built"):
        open_index(tmp_path / "listed")


def test_photos_of_a_calibration_tune_the_next_build(city_tif: Path, tmp_path: Path) -> None:
    build_box(city_tif, tmp_path)
    made = calibrate_by_hand(tmp_path / "box")
    fingerprint = tiny_model().fingerprint()
    known = ivf_build.calibration_photos(tmp_path / "box", fingerprint)
    assert known is not None
    assert known.description == f"30 photos of the calibration of {made.build}"
    assert {*map(tuple, known.s)} == {*map(tuple, made.out_of_index.s.astype(np.float32))}
    assert ivf_build.calibration_photos(tmp_path / "box", "another model") is None
    assert ivf_build.calibration_photos(tmp_path / "nothing", fingerprint) is None


def test_another_kind_of_file_is_refused(tmp_path: Path, flat: Path) -> None:
    (tmp_path / "x").write_bytes(b"no index")
    with pytest.raises(IndexCorruptError, match="x is not a readable FAISS index: rebuild"):
        InvertedLists(tmp_path / "x", 1)
    with pytest.raises(IndexCorruptError, match="expected inverted lists of inner products"):
        InvertedLists(flat / "rs.faiss", 1)


@pytest.mark.process
def test_a_full_disk_is_one_line(flat: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        fill_disk(disk, 50_000)
        with pytest.raises(StorageError, match="no space left on the device: free some"):
            build_lists(disk / "lists", FaissStore(flat / "rs.faiss"), "ivf-sq8", quiet=True)
