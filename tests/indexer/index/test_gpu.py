"""Inverted lists on a GPU find what they find on the CPU; without one everything stays there."""

from __future__ import annotations

import numpy as np
import pytest
from list_builds import clustered, write_flat

from indexer.index.ivf import MOST_AT_ONCE, GpuLists, InvertedLists, has_gpu, on_gpu
from indexer.index.ivf_build import build_lists
from indexer.index.vectors import FaissStore


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> InvertedLists:
    vectors = clustered(6000, 32)
    folder = write_flat(tmp_path_factory.mktemp("gpu"), vectors, vectors[:1])
    build_lists(folder / "lists", FaissStore(folder / "rs.faiss"), "ivf-sq8", quiet=True)
    return InvertedLists(folder / "lists", 8)


def test_without_a_gpu_lists_stay_where_they_are(lists: InvertedLists) -> None:
    if has_gpu():
        pytest.skip("FAISS has a GPU here")
    assert on_gpu(lists) is lists


def test_the_gpu_finds_the_same(lists: InvertedLists) -> None:
    if not has_gpu():
        pytest.skip("needs faiss-gpu (the extra gpu) and a GPU")
    gpu = on_gpu(lists)
    assert isinstance(gpu, GpuLists)
    assert gpu.count == lists.count
    queries = clustered(16, 32, seed=1)
    found, wanted = gpu.shortlist(queries, 100), lists.shortlist(queries, 100)
    same = [len(set(f) & set(w)) for f, w in zip(found, wanted, strict=True)]
    assert np.mean(same) >= 99
    assert gpu.shortlist(queries, 5000).shape == (16, MOST_AT_ONCE)
    allowed = np.zeros(6000, dtype=bool)
    allowed[wanted[0, :5]] = True
    assert set(gpu.shortlist(queries[:1], 10, allowed)[0]) == {-1, *wanted[0, :5]}
