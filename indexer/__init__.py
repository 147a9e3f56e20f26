"""Build an index of a region and ask it where a photo was taken.

>>> from indexer import search
>>> answer = search("photo.jpg", index="london")
>>> answer.candidates[0].lat_deg, answer.candidates[0].lon_deg

Importing this package is cheap; torch and FAISS are imported when a name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.answer import Answer as Answer
    from indexer.answer import Candidate as Candidate
    from indexer.build import BuildOptions as BuildOptions
    from indexer.build import build_index as build_index
    from indexer.geolocate import Geolocator as Geolocator
    from indexer.index import Index as Index
    from indexer.index import open_index as open_index
    from indexer.merging import merge_indexes as merge_indexes
    from indexer.opened import search as search
    from indexer.opened import verify as verify
    from indexer.regions import Region as Region
    from indexer.serving import LiveGeolocator as LiveGeolocator
    from indexer.verdicts import Verdict as Verdict

_HOME = {
    "Answer": "indexer.answer",
    "BuildOptions": "indexer.build",
    "Candidate": "indexer.answer",
    "Geolocator": "indexer.geolocate",
    "Index": "indexer.index",
    "LiveGeolocator": "indexer.serving",
    "Region": "indexer.regions",
    "Verdict": "indexer.verdicts",
    "build_index": "indexer.build",
    "merge_indexes": "indexer.merging",
    "open_index": "indexer.index",
    "search": "indexer.opened",
    "verify": "indexer.opened",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'indexer' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
