"""Vectors in Milvus: a file of milvus-lite in this process, or a server.

Of each build and kind there is a collection, ``gair_<index>_<build>_<kind>``, with the row of a
cell as its key. Vectors are kept in float32 because milvus-lite knows no halves; they have the
values of the index's halves, so scores agree but for the order of summing.

A server that wants to know who asks gets ``MILVUS_TOKEN`` from the environment: an API key, or
``USER:PASSWORD``. It is read when a connection is made and kept by nobody but the client; where a
server repeats it in what it answers, it is blotted out.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Bools, Floats32, Ints
from gair.errors import GairError, IndexMismatchError, SearchIndexError, StorageError, UsageError
from gair.info import import_problem
from gair.progress import Progress
from indexer.index.ivf import Shortlists
from indexer.index.vectors import VectorStore

if TYPE_CHECKING:
    from indexer.index.index import Index

KINDS = ("rs", "location")
MOST_FOUND = 16_384
"""Rows that Milvus gives at once, at most."""
SHORTLIST = 2_000
"""Cells a kind that are scored exactly: each of their vectors comes through a connection."""
_ROWS_AT_ONCE = 1_000
_SEARCH_S = 60.0
_LOOKED_AT = 3
"""Rows of a collection that are compared with the index's own."""
MILVUS, MILVUS_TLS = "milvus://", "milvus+tls://"

WRITE = f"write {MILVUS}PATH.db, {MILVUS}HOST:PORT or {MILVUS_TLS}HOST:PORT"
"""The remedy for an address that is none."""
TOKEN_VARIABLE = "MILVUS_TOKEN"  # noqa: S105
"""Environment variable with an API key, or USER:PASSWORD."""
CONNECT_S = 10.0
"""How long a server may take to let in, and to answer a small question."""
WORK_S = 600.0
"""How long it may take to load, flush or drop a collection."""
_PORT = 19530
_PLACE = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?/?")
_NOT_LET_IN = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_NOT_THERE = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
_NOT_LET_IN_TEXT = re.compile(r"auth check|unauthenticated|permission den", re.IGNORECASE)
_CONNECT_FAILED = 2


@dataclass(frozen=True, eq=False)
class MilvusStore:
    """The vectors of one kind; also finds shortlists. Safe to share between threads."""

    client: Any
    address: str
    """Where the client is connected to."""
    collection: str
    count: int
    """Number of rows."""
    dim: int
    """Number of dimensions."""

    def scores(self, queries: Floats32) -> Floats32:
        """Inner products with every row, (Q, D) to (Q, N); all vectors come here for that."""
        out = np.empty((len(queries), self.count), dtype=np.float32)
        for start in range(0, self.count, _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, self.count))
            out[:, rows] = queries @ self.vectors(rows).T
        return out

    def shortlist(self, queries: Floats32, k: int, allowed: Bools | None = None) -> Ints:
        """About the k best rows of each query; -1 where there are fewer.

        Of more allowed rows than Milvus takes in a condition, those on the list of all are taken.
        """
        condition = ""
        if allowed is not None and np.count_nonzero(allowed) <= MOST_FOUND:
            condition = f"row in {np.flatnonzero(allowed).tolist()}"
        k = min(k, self.count, MOST_FOUND)
        with refusals(SearchIndexError, self.address):
            answer = self.client.search(
                self.collection,
                data=np.asarray(queries, dtype=np.float32).tolist(),
                anns_field="vector",
                filter=condition,
                limit=k,
                search_params={"metric_type": "IP"},
                timeout=_SEARCH_S,
            )
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        for number, hits in enumerate(answer):
            rows[number, : len(hits)] = [hit["row"] for hit in hits]
        return rows if allowed is None else np.where(allowed[rows] & (rows >= 0), rows, -1)

    def vectors(self, rows: Ints) -> Floats32:
        """The vectors of some rows, (R, D)."""
        out = np.empty((len(rows), self.dim), dtype=np.float32)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            wanted = np.asarray(rows[start : start + _ROWS_AT_ONCE], dtype=np.int64)
            with refusals(SearchIndexError, self.address):
                entities = self.client.get(
                    self.collection,
                    ids=np.unique(wanted).tolist(),
                    output_fields=["vector"],
                    timeout=_SEARCH_S,
                )
            by_row = {int(entity["row"]): entity["vector"] for entity in entities}
            if missing := set(wanted.tolist()) - by_row.keys():
                raise SearchIndexError(
                    f"{self.collection} lacks row {min(missing):,}: export the index again"
                )
            out[start : start + len(wanted)] = [by_row[row] for row in wanted.tolist()]
        return out


def push_index(index: Index, address: str, *, quiet: bool = False) -> list[str]:
    """Put the vectors of a build into Milvus; what is there of the same build is replaced.

    Returns:
        The collections, a line each.

    Raises:
        GairError: pymilvus is not installed.
        StorageError: Milvus cannot be reached, or refused.
        IndexMismatchError: there is a collection of that name with other vectors; it stays.
    """
    client, written = connect(address, StorageError), []
    with refusals(StorageError, address):
        for kind, store in zip(KINDS, (index.rs, index.location), strict=True):
            name = collection_name(index, kind)
            if client.has_collection(name, timeout=CONNECT_S):
                client.load_collection(name, timeout=WORK_S)
                _check_same(client, address, name, index, store)
                client.drop_collection(name, timeout=WORK_S)
            _create(client, name, store.dim)
            with Progress(f"exporting {kind}", store.count, "row", quiet=quiet) as progress:
                for start in range(0, store.count, _ROWS_AT_ONCE):
                    rows = np.arange(start, min(start + _ROWS_AT_ONCE, store.count))
                    vectors = store.vectors(rows).tolist()
                    entities = [
                        {"row": row, "vector": vector}
                        for row, vector in zip(rows.tolist(), vectors, strict=True)
                    ]
                    client.insert(name, entities, timeout=WORK_S)
                    progress.advance(len(rows))
            client.flush(name, timeout=WORK_S)
            written.append(f"{address}: {name}, {store.count:,} vectors of {store.dim} dimensions")
    client.close()
    return written


def with_store(index: Index, address: str) -> Index:
    """The same index with its vectors in a store that ``export`` has filled.

    Raises:
        UsageError: there is no such kind of store.
        SearchIndexError: the store cannot be reached, or does not hold this build.
    """
    if not is_store_address(address):
        raise UsageError(f"`store` {without_password(address)!r}: {WRITE}")
    rs, location, shortlists = open_milvus(index, address)
    return replace(index, rs=rs, location=location, shortlists=shortlists)


def open_milvus(index: Index, address: str) -> tuple[MilvusStore, MilvusStore, Shortlists]:
    """Both kinds of a build that was exported.

    Raises:
        GairError: pymilvus is not installed.
        SearchIndexError: Milvus cannot be reached, or does not hold this build.
        IndexMismatchError: what has its name there is of another index or model.
    """
    client, stores = connect(address, SearchIndexError), []
    wanted = len(index.cells)
    for kind, own in zip(KINDS, (index.rs, index.location), strict=True):
        name = collection_name(index, kind)
        with refusals(SearchIndexError, address):
            there = client.has_collection(name, timeout=CONNECT_S)
            count = -1
            if there:
                stats = client.get_collection_stats(name, timeout=CONNECT_S)
                count = int(stats["row_count"])
                client.load_collection(name, timeout=WORK_S)
                _check_same(client, address, name, index, own)
        if count != wanted:
            holds = f"has {count:,} of {wanted:,} rows of" if there else "does not hold"
            raise SearchIndexError(
                f"{address} {holds} index {index.name!r}, build {index.manifest.build}: run "
                f"python -m indexer export {index.name} --to {address}"
            )
        stores.append(MilvusStore(client, address, name, count, own.dim))
    lists = Shortlists(
        stores[0], stores[1], SHORTLIST, f"found by Milvus at {address}", local=False
    )
    return stores[0], stores[1], lists


def _check_same(
    client: Any,  # noqa: ANN401
    address: str,
    name: str,
    index: Index,
    store: VectorStore,
) -> None:
    """Refuse a collection whose vectors are not the index's own, as far as some rows tell.

    Names alone do not prove it: others may use the server, and milvus-lite keeps no descriptions.
    """
    fields = {field["name"]: field for field in client.describe_collection(name)["fields"]}
    dim = fields.get("vector", {}).get("params", {}).get("dim")
    same = "row" in fields and dim is not None and int(dim) == store.dim
    if same and store.count:
        rows = np.unique(np.linspace(0, store.count - 1, _LOOKED_AT).astype(np.int64))
        entities = client.get(name, ids=rows.tolist(), output_fields=["vector"], timeout=_SEARCH_S)
        theirs = np.array([entity["vector"] for entity in entities], dtype=np.float32)
        own = store.vectors(np.array([int(entity["row"]) for entity in entities], dtype=np.int64))
        same = bool(np.allclose(theirs.reshape(own.shape), own, atol=1e-6))
    if not same:
        raise IndexMismatchError(
            f"{name} at {address} has other vectors than index {index.name!r}, made by "
            f"{index.manifest.model.name}: it belongs to another index or model; drop it there, "
            "or export to another database"
        )


def collection_name(index: Index, kind: str) -> str:
    """Where a kind of vectors of a build is."""
    build = index.manifest.build
    return re.sub(r"[^A-Za-z0-9_]", "_", f"gair_{index.name}_{build}_{kind}")


def _create(client: Any, name: str, dim: int) -> None:  # noqa: ANN401
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    by = client.prepare_index_params()
    by.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    client.create_collection(name, schema=schema, index_params=by, timeout=WORK_S)


def is_store_address(text: str) -> bool:
    """Whether a text names a store and not a file."""
    return text.startswith((MILVUS, MILVUS_TLS))


def without_password(address: str) -> str:
    """An address as it may be shown: whoever put a password in it did not mean to publish it."""
    return re.sub(r"://.*@", "://***@", address)


def milvus_uri(address: str) -> str:
    """What pymilvus opens: a file for ``milvus://PATH.db``, else a server.

    Raises:
        UsageError: it is neither, or has a password in it.
    """
    scheme, _, place = address.partition("://")
    if scheme == "milvus" and place.endswith(".db"):
        return str(Path(place).absolute())
    if "@" in place:
        raise UsageError(
            f"the address of a store has no user and password in it: set {TOKEN_VARIABLE} to "
            "USER:PASSWORD instead"
        )
    match = _PLACE.fullmatch(place)
    if match is None or f"{scheme}://" not in (MILVUS, MILVUS_TLS):
        raise UsageError(f"{address!r}: {WRITE}")
    if scheme == "milvus":
        return f"http://{match[1]}:{match[2] or _PORT}"
    return f"https://{match[1]}:{match[2] or 443}"


def connect(address: str, error: type[GairError]) -> Any:  # noqa: ANN401
    """A client.

    Args:
        address: of a file or a server.
        error: raised where it cannot be reached or does not let us in.

    Raises:
        UsageError: it is no such address.
        GairError: pymilvus is not installed.
    """
    uri = milvus_uri(address)
    try:
        from pymilvus import MilvusClient
    except ImportError as missing:
        absent = f"{address} needs pymilvus: pip install 'gair-geolocator[milvus]'"
        raise GairError(import_problem(missing, "pymilvus", absent)) from missing
    # It logs the traceback of every failure; each is told in one line here.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    is_file = uri.endswith(".db")
    if is_file and not Path(uri).parent.is_dir():
        raise error(f"{address}: there is no folder {Path(uri).parent}: make it first")
    with refusals(error, address):
        return MilvusClient(uri, token="" if is_file else _token(), timeout=CONNECT_S)


@contextlib.contextmanager
def refusals(kind: type[GairError], address: str) -> Iterator[None]:
    """Turn what goes wrong with Milvus into one line."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
        # Without its causes: their texts may hold what a server repeats of the token.
        raise kind(_told(error, address)) from None


def _told(error: Exception, address: str) -> str:
    """What happened, and what to do."""
    status, details = _status(error)
    reason = _blotted(details or str(getattr(error, "message", "")) or str(error))
    if status in _NOT_LET_IN or _NOT_LET_IN_TEXT.search(reason):
        if _token():
            return (
                f"{address} does not let in who {TOKEN_VARIABLE} names ({reason}): set it to "
                "USER:PASSWORD or an API key that may use this database"
            )
        return (
            f"{address} wants to know who asks ({reason}): set {TOKEN_VARIABLE} to USER:PASSWORD "
            "or an API key"
        )
    if status in _NOT_THERE or getattr(error, "code", None) == _CONNECT_FAILED:
        return (
            f"cannot reach Milvus at {address} ({reason}): check host and port, that it runs "
            f"there, and whether it wants {MILVUS_TLS}"
        )
    return f"Milvus at {address} refuses: {reason}: its log may say more"


def _status(error: BaseException) -> tuple[str, str]:
    """Name and details of the first status of gRPC behind an error; empty where there is none."""
    import grpc

    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        cause = queue.pop()
        if cause is None or cause in seen:  # pymilvus raises errors from themselves
            continue
        if isinstance(cause, grpc.Call):
            return str(cause.code().name), str(cause.details() or "")
        seen.append(cause)
        queue += [cause.__context__, cause.__cause__]
    return "", ""


def _token() -> str:
    return os.environ.get(TOKEN_VARIABLE, "").strip()


def _blotted(text: str) -> str:
    """One line without the token, its password or how it travels."""
    token = _token()
    secrets = (token, base64.b64encode(token.encode()).decode(), token.partition(":")[2])
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return " ".join(text.split())
