"""Vector stores beside the index's own files: :class:`indexer.index.vectors.VectorStore` elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from gair.errors import UsageError

if TYPE_CHECKING:
    from indexer.index.index import Index
from indexer.index.milvus_connection import MILVUS, MILVUS_TLS, WRITE


def is_store_address(text: str) -> bool:
    """Whether a text names a store and not a file."""
    return text.startswith((MILVUS, MILVUS_TLS))


def without_password(address: str) -> str:
    """An address as it may be shown: whoever put a password in it did not mean to publish it."""
    return re.sub(r"://.*@", "://***@", address)


def with_store(index: Index, address: str) -> Index:
    """The same index with its vectors in a store that ``export --to`` has filled.

    Raises:
        UsageError: there is no such kind of store.
        SearchIndexError: the store cannot be reached, or does not hold this build.
    """
    if not is_store_address(address):
        raise UsageError(f"--store {without_password(address)!r}: {WRITE}")
    from indexer.index.milvus import open_milvus

    rs, location, shortlists = open_milvus(index, address)
    return replace(index, rs=rs, location=location, shortlists=shortlists)
