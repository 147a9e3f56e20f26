"""Inverted lists on a GPU, where faiss-gpu is installed and there is one.

Only ``ivf-sq8`` goes there; a search with a prior, which needs a condition on rows, stays on the
CPU. The GPU gives fewer cells at once, which shortens the shortlist and not its best end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from indexer.vectors import FloatArray, import_faiss

if TYPE_CHECKING:
    from indexer.ann import Bools, Ints, InvertedLists

MOST_AT_ONCE = 2048
"""Most rows and most lists that FAISS takes on a GPU."""


def has_gpu() -> bool:
    """Whether FAISS can use a GPU here."""
    faiss = import_faiss()
    return hasattr(faiss, "StandardGpuResources") and int(faiss.get_num_gpus()) > 0


class GpuLists:
    """A copy of inverted lists in the memory of the first GPU; safe to share between threads."""

    def __init__(self, lists: InvertedLists) -> None:
        """Copy the lists.

        Raises:
            RuntimeError: FAISS cannot; most of all, the memory is too small.
        """
        faiss = import_faiss()
        self._cpu = lists
        self._resources = faiss.StandardGpuResources()
        self._index = faiss.index_cpu_to_gpu(self._resources, 0, lists.faiss_index)
        self._index.nprobe = min(lists.probes, MOST_AT_ONCE)
        self._one_at_a_time = threading.Lock()  # FAISS: a GPU's resources are for one thread

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._cpu.count

    def shortlist(self, queries: FloatArray, k: int, allowed: Bools | None = None) -> Ints:
        """About the k best rows of each query, 2,048 at most; -1 where there are fewer."""
        if allowed is not None:
            return self._cpu.shortlist(queries, k, allowed)
        with self._one_at_a_time:
            _, rows = self._index.search(
                np.ascontiguousarray(queries, dtype=np.float32), min(k, MOST_AT_ONCE)
            )
        return np.asarray(rows, dtype=np.int64)


def on_gpu(lists: InvertedLists) -> InvertedLists | GpuLists:
    """The lists on the GPU, or as they are where there is none or they do not fit."""
    if not has_gpu() or not lists.scalar:
        return lists
    try:
        return GpuLists(lists)
    except RuntimeError:  # the memory of the GPU is too small
        return lists
