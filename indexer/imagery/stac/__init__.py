"""Imagery from a STAC catalogue, tile by tile.

:func:`open_stac` asks a catalogue as a :class:`StacQuery` says and opens what it answers. Importing
this package is cheap; the modules come when a name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.imagery.stac.imagery import StacImagery as StacImagery
    from indexer.imagery.stac.imagery import open_stac as open_stac
    from indexer.imagery.stac.query import StacQuery as StacQuery

_HOME = {
    "StacImagery": "indexer.imagery.stac.imagery",
    "StacQuery": "indexer.imagery.stac.query",
    "open_stac": "indexer.imagery.stac.imagery",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'indexer.imagery.stac' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
