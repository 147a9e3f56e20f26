"""A connection to Milvus: addresses, who asks, and what it refuses in one line.

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
from pathlib import Path
from typing import Any

from gair.errors import GairError, UsageError

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
        raise GairError(
            f"{address} needs pymilvus: pip install 'gair-geolocator[milvus]'"
        ) from missing
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
