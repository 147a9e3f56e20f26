"""Imagery: where the pixels of a frame come from.

:mod:`~indexer.imagery.source` says what any source offers; :func:`open_imagery` opens the one that
reads local files. Importing this package is cheap; rasterio is imported when a file is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.imagery.source import FramePixels, ImagerySource

if TYPE_CHECKING:
    from indexer.imagery.files import LocalImagery, open_imagery

__all__ = ["FramePixels", "ImagerySource", "LocalImagery", "open_imagery"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in __all__:
        raise AttributeError(f"module 'indexer.imagery' has no attribute {name!r}")
    from indexer.imagery import files

    return getattr(files, name)
