"""Build an index of a region and ask it where a photo was taken.

>>> from indexer import search
>>> answer = search("photo.jpg", index="london")
>>> answer.candidates[0].lat_deg, answer.candidates[0].lon_deg

Importing this package is cheap; torch and FAISS are imported when a name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.build.build import build_index as build_index
    from indexer.build.options import BuildOptions as BuildOptions
    from indexer.explore.compare import compare_photos as compare_photos
    from indexer.explore.near_photos import photos_near_place as photos_near_place
    from indexer.explore.similar import similar_places as similar_places
    from indexer.index.index import Index as Index
    from indexer.index.index import open_index as open_index
    from indexer.merge.cut import cut_index as cut_index
    from indexer.merge.merge import merge_indexes as merge_indexes
    from indexer.probability.verdicts import Verdict as Verdict
    from indexer.regions.region import Region as Region
    from indexer.search.answer import Answer as Answer
    from indexer.search.answer import Candidate as Candidate
    from indexer.search.by_name import search as search
    from indexer.search.by_name import verify as verify
    from indexer.search.geolocator import Geolocator as Geolocator
    from indexer.search.live import LiveGeolocator as LiveGeolocator
    from indexer.sharing.bundle import bundle_index as bundle_index
    from indexer.sharing.pull import list_indexes as list_indexes
    from indexer.sharing.pull import pull_index as pull_index
    from indexer.sharing.push import push_index as push_index

_HOME = {
    "Answer": "indexer.search.answer",
    "BuildOptions": "indexer.build.options",
    "Candidate": "indexer.search.answer",
    "Geolocator": "indexer.search.geolocator",
    "Index": "indexer.index.index",
    "LiveGeolocator": "indexer.search.live",
    "Region": "indexer.regions.region",
    "Verdict": "indexer.probability.verdicts",
    "build_index": "indexer.build.build",
    "bundle_index": "indexer.sharing.bundle",
    "compare_photos": "indexer.explore.compare",
    "cut_index": "indexer.merge.cut",
    "list_indexes": "indexer.sharing.pull",
    "merge_indexes": "indexer.merge.merge",
    "open_index": "indexer.index.index",
    "photos_near_place": "indexer.explore.near_photos",
    "pull_index": "indexer.sharing.pull",
    "push_index": "indexer.sharing.push",
    "similar_places": "indexer.explore.similar",
    "verify": "indexer.search.by_name",
}

__all__ = sorted([*_HOME, "search"])


def __getattr__(name: str) -> Any:  # noqa: ANN401
    import importlib

    if name == "search":  # the package of that name, which can be called
        return importlib.import_module("indexer.search")
    if name not in _HOME:
        raise AttributeError(f"module 'indexer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
