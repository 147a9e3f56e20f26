"""Index types by size, and the shortlists of those that do not score every cell.

The flat half-precision file is the truth of every index. Scoring all of it is exact and, up to
about two million cells, quick. Above that a build trains a second file a kind, in which FAISS
finds a shortlist of likely cells; those are then scored exactly, from the flat file.

=========  ====================  ======================================================
type       cells                 second file
=========  ====================  ======================================================
flat       up to 2 million       none: every cell is scored
ivf-sq8    up to 50 million      inverted lists, a byte a dimension, memory-mapped
ivf-pq     more                  inverted lists, product quantiser, half a byte for every
                                 six dimensions, scanned fast; held in memory
=========  ====================  ======================================================

:data:`FLAT_UP_TO` and :data:`SQ8_UP_TO` are the whole policy; ``index_type`` overrides it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np

from gair.arrays import Bools, Floats32, Ints
from gair.errors import UsageError
from indexer.index.storage import LOCATION_LISTS, RS_LISTS
from indexer.index.vectors import another_kind, import_faiss, read_faiss

IndexType = Literal["flat", "ivf-sq8", "ivf-pq"]

WANTED = ("auto", "flat", "ivf-sq8", "ivf-pq")
"""What may be asked for."""

FLAT_UP_TO = 2_000_000
"""Cells up to which every one is scored: 60 ms a million, kind and query on two cores."""

SQ8_UP_TO = 50_000_000
"""Cells up to which a byte a dimension is kept: 38 GB a kind at 768 dimensions, mapped."""

SHORTLIST = 10_000
"""Cells a kind that are scored exactly, unless the build says otherwise."""

MOST_AT_ONCE = 2048
"""Most rows and most lists that FAISS takes on a GPU."""


def index_type_for(cells: int, wanted: str = "auto") -> IndexType:
    """The type of an index with so many cells.

    Raises:
        UsageError: there is no such type.
    """
    if wanted not in WANTED:
        raise UsageError(f"`index_type` {wanted!r}: choose one of {', '.join(WANTED)}")
    if wanted != "auto":
        return cast("IndexType", wanted)
    if cells <= FLAT_UP_TO:
        return "flat"
    return "ivf-sq8" if cells <= SQ8_UP_TO else "ivf-pq"


class Shortlister(Protocol):
    """Something that finds likely rows of one kind without looking at all of them."""

    def shortlist(self, queries: Floats32, k: int, allowed: Bools | None = None) -> Ints:
        """About the k best rows of each query, (Q, k), in no order; -1 where there are fewer.

        Args:
            queries: (Q, D).
            k: how many.
            allowed: (N,) rows that may be found; None for all.
        """


class InvertedLists:
    """A trained FAISS file with inverted lists. Check the sha256 of one you did not write first."""

    def __init__(self, path: Path, probes: int) -> None:
        faiss = import_faiss()
        index = read_faiss(path)
        with_lists = faiss.IndexIVFScalarQuantizer | faiss.IndexIVFPQFastScan
        if not isinstance(index, with_lists) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise another_kind(path, index, "inverted lists")
        self.faiss_index = index
        """What FAISS read."""
        self.probes = probes
        """Lists that a search looks into."""
        self.count = int(index.ntotal)
        """Number of rows."""
        self.dim = int(index.d)
        """Number of dimensions."""
        self.lists = int(index.nlist)
        """Number of lists."""
        self.scalar = isinstance(index, faiss.IndexIVFScalarQuantizer)
        """Whether its codes are a byte a dimension."""

    def shortlist(self, queries: Floats32, k: int, allowed: Bools | None = None) -> Ints:
        """About the k best rows of each query: (Q, D) to (Q, k); -1 where there are fewer."""
        return self.probed(queries, k, self.probes, allowed)

    def probed(self, queries: Floats32, k: int, probes: int, allowed: Bools | None = None) -> Ints:
        """The same, with another number of lists."""
        faiss = import_faiss()
        options: dict[str, Any] = {"nprobe": min(probes, self.lists)}
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        _, rows = self.faiss_index.search(
            np.ascontiguousarray(queries, dtype=np.float32),
            min(k, max(self.count, 1)),
            params=faiss.SearchParametersIVF(**options),
        )
        return np.asarray(rows, dtype=np.int64)


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
        self.count = lists.count
        """Number of rows."""
        self.probes = lists.probes
        """Lists that a search looks into."""
        self.lists = lists.lists
        """Number of lists."""
        self._resources = faiss.StandardGpuResources()
        self._index = faiss.index_cpu_to_gpu(self._resources, 0, lists.faiss_index)
        self._index.nprobe = min(lists.probes, MOST_AT_ONCE)
        self._one_at_a_time = threading.Lock()  # FAISS: a GPU's resources are for one thread

    def shortlist(self, queries: Floats32, k: int, allowed: Bools | None = None) -> Ints:
        """About the k best rows of each query, 2,048 at most; -1 where there are fewer."""
        return self.probed(queries, k, self.probes, allowed)

    def probed(self, queries: Floats32, k: int, probes: int, allowed: Bools | None = None) -> Ints:
        """The same, with another number of lists, 2,048 at most of rows and lists."""
        if allowed is not None:
            return self._cpu.probed(queries, k, probes, allowed)
        with self._one_at_a_time:
            self._index.nprobe = min(probes, MOST_AT_ONCE)
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


@dataclass(frozen=True)
class Shortlists:
    """What finds the cells that are scored, where not all of them are."""

    rs: Shortlister
    location: Shortlister
    size: int
    """Rows a kind."""
    description: str
    """How the shortlist is made and how good it was measured to be, for people."""
    local: bool = True
    """Whether the vectors of all cells are on this machine."""


def open_shortlists(folder: Path, search: dict[str, Any]) -> Shortlists | None:
    """The second files of a build, as its manifest describes them; None for a flat index.

    Args:
        folder: of the build; its files must have been checked.
        search: the manifest's field.

    Raises:
        IndexCorruptError: a file is no such index.
    """
    if search["type"] == "flat":
        return None
    probes, size = int(search["probes"]), int(search["shortlist"])
    rs, location = (
        on_gpu(InvertedLists(folder / name, probes)) for name in (RS_LISTS, LOCATION_LISTS)
    )
    where = "" if isinstance(rs, InvertedLists) else " on the GPU"
    return Shortlists(
        rs=rs,
        location=location,
        size=size,
        description=f"{search['type']}{where}, recall {search['recall']:.3f} of the ten best "
        f"cells, measured with {search['queries']}",
    )


def list_files(search: dict[str, Any]) -> tuple[str, ...]:
    """Names of the second files."""
    return () if search["type"] == "flat" else (RS_LISTS, LOCATION_LISTS)
