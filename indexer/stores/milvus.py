"""Vectors in Milvus: a file of milvus-lite in this process, or a server.

Of each build and kind there is a collection, ``gair_<index>_<build>_<kind>``, with the row of a
cell as its key. Vectors are kept in float32 because milvus-lite knows no halves; they have the
values of the index's halves, so scores agree but for the order of summing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.errors import GairError, SearchIndexError, StorageError, UsageError
from indexer.ann import Bools, Ints, Shortlists
from indexer.progress import Progress
from indexer.stores import MILVUS
from indexer.vectors import FloatArray

if TYPE_CHECKING:
    from indexer.index import Index

KINDS = ("rs", "location")
MOST_FOUND = 16_384
"""Rows that Milvus gives at once, at most."""
SHORTLIST = 2_000
"""Cells a kind that are scored exactly: each of their vectors comes through a connection."""
_ROWS_AT_ONCE = 1_000
_TIMEOUT_S = 10.0
_PORT = 19530


class MilvusStore:
    """The vectors of one kind; also finds shortlists. Safe to share between threads."""

    def __init__(self, client: Any, collection: str, count: int, dim: int) -> None:  # noqa: ANN401
        self._client = client
        self._collection = collection
        self._count, self._dim = count, dim

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._count

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self._dim

    def scores(self, queries: FloatArray) -> FloatArray:
        """Inner products with every row, (Q, D) to (Q, N); all vectors come here for that."""
        out = np.empty((len(queries), self._count), dtype=np.float32)
        for start in range(0, self._count, _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, self._count))
            out[:, rows] = queries @ self.vectors(rows).T
        return out

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, Ints]:
        """The k best rows of each query: (Q, k) scores and rows, best first."""
        return self._search(queries, k, "")

    def shortlist(self, queries: FloatArray, k: int, allowed: Bools | None = None) -> Ints:
        """About the k best rows of each query; -1 where there are fewer.

        Of more allowed rows than Milvus takes in a condition, those on the list of all are taken.
        """
        condition = ""
        if allowed is not None and np.count_nonzero(allowed) <= MOST_FOUND:
            condition = f"row in {np.flatnonzero(allowed).tolist()}"
        rows = self._search(queries, k, condition)[1]
        return rows if allowed is None else np.where(allowed[rows] & (rows >= 0), rows, -1)

    def _search(self, queries: FloatArray, k: int, condition: str) -> tuple[FloatArray, Ints]:
        k = min(k, self._count, MOST_FOUND)
        with _refusals(SearchIndexError, self._collection):
            answer = self._client.search(
                self._collection,
                data=np.asarray(queries, dtype=np.float32).tolist(),
                anns_field="vector",
                filter=condition,
                limit=k,
                search_params={"metric_type": "IP"},
            )
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        for number, hits in enumerate(answer):
            scores[number, : len(hits)] = [hit["distance"] for hit in hits]
            rows[number, : len(hits)] = [hit["row"] for hit in hits]
        return scores, rows

    def vectors(self, rows: Ints) -> FloatArray:
        """The vectors of some rows, (R, D)."""
        out = np.empty((len(rows), self._dim), dtype=np.float32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            wanted = np.asarray(rows[start : start + _ROWS_AT_ONCE], dtype=np.int64)
            with _refusals(SearchIndexError, self._collection):
                found = self._client.get(
                    self._collection, ids=np.unique(wanted).tolist(), output_fields=["vector"]
                )
            known = {int(entity["row"]): entity["vector"] for entity in found}
            if missing := set(wanted.tolist()) - known.keys():
                raise SearchIndexError(
                    f"{self._collection} lacks row {min(missing):,}: export the index again"
                )
            out[start : start + len(wanted)] = [known[row] for row in wanted.tolist()]
        return out


def push_index(index: Index, address: str, *, quiet: bool = False) -> list[str]:
    """Put the vectors of a build into Milvus; what is there of the same build is replaced.

    Returns:
        The collections, a line each.

    Raises:
        GairError: pymilvus is not installed.
        StorageError: Milvus refused.
    """
    client, written = _connect(address, StorageError), []
    stores = (index.rs, index.location)
    for kind, store in zip(KINDS, stores, strict=True):
        name = collection_name(index, kind)
        with _refusals(StorageError, address):
            if client.has_collection(name):
                client.drop_collection(name)
            _create(client, name, store.dim)
        with Progress(f"exporting {kind}", store.count, "row", quiet=quiet) as progress:
            for start in range(0, store.count, _ROWS_AT_ONCE):
                rows = np.arange(start, min(start + _ROWS_AT_ONCE, store.count))
                entities = [
                    {"row": row, "vector": vector}
                    for row, vector in zip(rows.tolist(), store.vectors(rows).tolist(), strict=True)
                ]
                with _refusals(StorageError, address):
                    client.insert(name, entities)
                progress.advance(len(rows))
        with _refusals(StorageError, address):
            client.flush(name)
        written.append(f"{address}: {name}, {store.count:,} vectors of {store.dim} dimensions")
    client.close()
    return written


def open_milvus(index: Index, address: str) -> tuple[MilvusStore, MilvusStore, Shortlists]:
    """Both kinds of a build that was exported.

    Raises:
        GairError: pymilvus is not installed.
        SearchIndexError: Milvus cannot be reached, or does not hold this build.
    """
    client, stores = _connect(address, SearchIndexError), []
    wanted = len(index.cells)
    for kind in KINDS:
        name = collection_name(index, kind)
        with _refusals(SearchIndexError, address):
            known = client.has_collection(name)
            count = int(client.get_collection_stats(name)["row_count"]) if known else -1
            if known:
                client.load_collection(name)
        if count != wanted:
            found = f"has {count:,} of {wanted:,} rows of" if known else "does not hold"
            raise SearchIndexError(
                f"{address} {found} index {index.name!r}, build {index.manifest.build}: run "
                f"python -m indexer export {index.name} --to {address}"
            )
        stores.append(MilvusStore(client, name, count, index.rs.dim))
    lists = Shortlists(stores[0], stores[1], SHORTLIST, f"found by Milvus at {address}")
    return stores[0], stores[1], lists


def collection_name(index: Index, kind: str) -> str:
    """Where a kind of vectors of a build is."""
    build = index.manifest.build
    return re.sub(r"[^A-Za-z0-9_]", "_", f"gair_{index.name}_{build}_{kind}")


def milvus_uri(address: str) -> str:
    """What pymilvus opens: a file for ``milvus://PATH.db``, else a server.

    Raises:
        UsageError: it is neither.
    """
    place = address.removeprefix(MILVUS)
    if place.endswith(".db"):
        return str(Path(place).absolute())
    match = re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?/?", place)
    if match is None:
        raise UsageError(f"{address!r}: write milvus://PATH.db or milvus://HOST:PORT")
    return f"http://{match[1]}:{match[2] or _PORT}"


def _connect(address: str, error: type[GairError]) -> Any:  # noqa: ANN401
    uri = milvus_uri(address)
    try:
        from pymilvus import MilvusClient
    except ImportError as missing:
        raise GairError(
            f"{address} needs pymilvus: pip install 'gair-geolocator[milvus]'"
        ) from missing
    if uri.endswith(".db") and not Path(uri).parent.is_dir():
        raise error(f"{address}: there is no folder {Path(uri).parent}: make it first")
    with _refusals(error, address):
        return MilvusClient(uri, timeout=_TIMEOUT_S)


def _create(client: Any, name: str, dim: int) -> None:  # noqa: ANN401
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    by = client.prepare_index_params()
    by.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=by)


@contextlib.contextmanager
def _refusals(kind: type[GairError], what: str) -> Iterator[None]:
    """Turn what Milvus refuses into one line."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        reason = " ".join(str(error.message or error).split())
        raise kind(f"Milvus refuses {what}: {reason}") from error
