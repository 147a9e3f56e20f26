"""Imagery: where the pixels of a frame come from.

:mod:`~indexer.imagery.source` says what any source offers; :func:`open_imagery` opens the one that
reads local files. Importing this package is cheap; NumPy and rasterio are imported when a name is
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.imagery.files import LocalImagery as LocalImagery
    from indexer.imagery.files import open_imagery as open_imagery
    from indexer.imagery.source import FramePixels as FramePixels
    from indexer.imagery.source import ImagerySource as ImagerySource

_HOME = {
    "FramePixels": "indexer.imagery.source",
    "ImagerySource": "indexer.imagery.source",
    "LocalImagery": "indexer.imagery.files",
    "open_imagery": "indexer.imagery.files",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'indexer.imagery' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
