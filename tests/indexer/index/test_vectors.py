"""Vector stores: exact but for the rounding to half precision, and strict about what they open."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from gair.arrays import Floats32
from gair.errors import GairError, IndexCorruptError, ModelError, StorageError
from indexer.index.vectors import (
    FaissStore,
    FlatWriter,
    both_packages_of_faiss,
    import_faiss,
)


def unit(count: int, dim: int, seed: int = 0) -> Floats32:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def write(path: Path, vectors: Floats32, at_once: int = 300) -> Path:
    with FlatWriter(path, vectors.shape[1]) as writer:
        for start in range(0, len(vectors), at_once):
            writer.append(vectors[start : start + at_once])
    return path


@pytest.mark.parametrize("count", [0, 1, 700])
def test_the_file_is_what_faiss_writes(tmp_path: Path, count: int) -> None:
    quantizer = faiss.ScalarQuantizer
    theirs = faiss.IndexScalarQuantizer(12, quantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    theirs.is_trained = True
    theirs.add(unit(count, 12))
    path = write(tmp_path / "v.faiss", unit(count, 12))
    assert path.read_bytes() == faiss.serialize_index(theirs).tobytes()
    halves = write(tmp_path / "h.faiss", unit(count, 12).astype(np.float16))
    assert halves.read_bytes() == path.read_bytes()


def test_what_is_not_finite_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    bad = unit(5, 8)
    bad[3, 3] = np.nan
    with pytest.raises(ModelError, match=r"vectors for v\.faiss are not finite"):
        write(tmp_path / "v.faiss", bad)
    with pytest.raises(ValueError, match=r"expected \(N, 8\)"), FlatWriter(tmp_path / "w", 8) as w:
        w.append(unit(5, 9))


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1300])
def test_scores_are_inner_products_of_the_halves(tmp_path: Path, count: int) -> None:
    vectors, queries = unit(count, 24), unit(3, 24, seed=1)
    store = FaissStore(write(tmp_path / "v.faiss", vectors))
    assert (store.count, store.dim) == (count, 24)
    wanted = np.array(
        [[np.dot(q, row) for row in vectors.astype(np.float16).astype(np.float64)] for q in queries]
    )
    scores = store.scores(queries)
    assert scores.dtype == np.float32
    assert scores.shape == (3, count)
    assert scores.flags.c_contiguous
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(store.scores(queries[1:2])[0], store.scores(queries[1:2])[0])
    np.testing.assert_allclose(store.scores(queries[1:2])[0], scores[1], rtol=0, atol=1e-6)


def test_vectors_come_back_row_by_row(tmp_path: Path) -> None:
    vectors = unit(700, 16)
    store = FaissStore(write(tmp_path / "v.faiss", vectors))
    rows = np.array([699, 0, 5, 5])
    found = store.vectors(rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors[rows].astype(np.float16).astype(np.float32))
    assert store.vectors(np.array([], dtype=np.int64)).shape == (0, 16)


def test_a_store_without_rows(tmp_path: Path) -> None:
    store = FaissStore(write(tmp_path / "v.faiss", np.empty((0, 8), np.float32)))
    assert store.count == 0
    assert store.scores(unit(2, 8)).shape == (2, 0)


def test_a_store_outlives_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "v.faiss", unit(50, 8))
    store = FaissStore(path)
    before = store.scores(unit(1, 8))
    path.unlink()
    np.testing.assert_array_equal(store.scores(unit(1, 8)), before)


@pytest.mark.parametrize("kind", ["flat", "eight bits", "l2"])
def test_another_kind_of_index_is_refused(tmp_path: Path, kind: str) -> None:
    quantizer = faiss.ScalarQuantizer
    kinds: dict[str, Callable[[], Any]] = {
        "flat": lambda: faiss.IndexFlatIP(8),
        "eight bits": lambda: faiss.IndexScalarQuantizer(
            8, quantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        ),
        "l2": lambda: faiss.IndexScalarQuantizer(8, quantizer.QT_fp16, faiss.METRIC_L2),
    }
    other = kinds[kind]()
    other.train(unit(64, 8))
    other.add(unit(64, 8))
    faiss.write_index(other, str(tmp_path / "v.faiss"))
    with pytest.raises(IndexCorruptError, match=r"v\.faiss is .*; expected .*half-precision"):
        FaissStore(tmp_path / "v.faiss")


@pytest.mark.parametrize("content", [b"", b"no index", b"\x00" * 4096])
def test_what_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.faiss").write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"v\.faiss is not a readable FAISS index: rebuild"):
        FaissStore(tmp_path / "v.faiss")
    with pytest.raises(IndexCorruptError, match="missing.faiss is not a readable"):
        FaissStore(tmp_path / "missing.faiss")


def test_a_truncated_index_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.faiss", unit(300, 16))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IndexCorruptError, match=r"v\.faiss is not a readable FAISS index"):
        FaissStore(path)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*v\.faiss") as caught:
        write(tmp_path / "gone" / "v.faiss", unit(3, 8))
    assert "\n" not in str(caught.value)


def test_rows_in_any_order_make_the_same_file(tmp_path: Path) -> None:
    vectors = unit(50, 12)
    rows = np.random.default_rng(1).permutation(50)
    with FlatWriter(tmp_path / "any.faiss", 12) as writer:
        for start in range(0, 50, 7):
            writer.write(rows[start : start + 7], vectors[rows[start : start + 7]])
    in_order = write(tmp_path / "v.faiss", vectors)
    assert (tmp_path / "any.faiss").read_bytes() == in_order.read_bytes()


def test_a_library_that_does_not_load_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken FAISS was called "not installed", and installing it again changed nothing."""
    reason = "libcudart.so.12: cannot open shared object file"
    (tmp_path / "faiss.py").write_text(f"raise ImportError({reason!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    with pytest.raises(GairError) as caught:
        import_faiss()
    assert str(caught.value).startswith(f"faiss is installed but cannot be loaded ({reason})")
    (tmp_path / "faiss.py").write_text("import no_such_library_of_faiss")
    with pytest.raises(GairError, match="cannot be loaded .No module named 'no_such_library"):
        import_faiss()
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(GairError, match="FAISS is not installed: pip install faiss-cpu"):
        import_faiss()


def test_two_packages_of_one_module_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra gpu is installed over what came by itself, and pip says nothing."""
    for name in ("faiss_cpu", "faiss_gpu"):
        about = tmp_path / f"{name}-1.15.1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.15.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    both_packages_of_faiss.cache_clear()
    try:
        with pytest.raises(GairError, match="pip uninstall -y faiss-cpu faiss-gpu, then"):
            import_faiss()
    finally:
        monkeypatch.undo()
        both_packages_of_faiss.cache_clear()
