"""A real Milvus server on loopback, milvus-lite's, that lets in only who knows the password."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def milvus_server(folder: Path, token: str, saying: str = "auth check failure") -> Iterator[str]:
    """Serve a new folder; gives the address.

    Args:
        folder: of the database.
        token: what must be sent.
        saying: what those are told who send another.
    """
    import grpc
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    right = base64.b64encode(token.encode()).decode()

    class Guard(grpc.ServerInterceptor):  # type: ignore[misc]
        def intercept_service(self, go_on: Callable[[Any], Any], call: Any) -> Any:
            if dict(call.invocation_metadata).get("authorization") == right:
                return go_on(call)
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, saying)
            )

    database = MilvusLite(str(folder))
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[Guard()])
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"milvus://127.0.0.1:{port}"
    finally:
        server.stop(grace=0).wait()
        database.close()
