"""Reference photos: photos of known places beside an index, as a third kind of evidence.

>>> from indexer.ground import add_photos
>>> add_photos("london", "photos.csv").added

In the order of the work:

* :mod:`.listed`: the photos of a list, whose they are and where they can be looked at.
* :mod:`.add`: which of them are evidence, and their vectors; :mod:`.remove` takes them out again.
* :mod:`.write`: a set, whole or not at all, of a :mod:`.photo_table` and a :mod:`.manifest`.
* :mod:`.reference_photos`: opens a set and finds the photos that look most like another.
* :mod:`.prototypes`: the compact form of a set; :mod:`.exemplars`: what is compared, these or the
  photos; :mod:`.ages`: how much less old ones count.
* :mod:`.likeness`: how much a photo looks like them; :mod:`.likelihood`: what that says of places.
* :mod:`.left_out`: which of them are no evidence of a photo that is tested; :mod:`.nearby`: which
  of them are shown beside a place.
* :mod:`.carry`, :mod:`.prune`, :mod:`.verify`: sets as indexes are merged, pruned and verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.ground.add import add_photos as add_photos
    from indexer.ground.options import AddOptions as AddOptions
    from indexer.ground.reference_photos import ReferencePhotos as ReferencePhotos
    from indexer.ground.reference_photos import open_reference_photos as open_reference_photos
    from indexer.ground.remove import remove_photos as remove_photos

_HOME = {
    "AddOptions": "indexer.ground.options",
    "ReferencePhotos": "indexer.ground.reference_photos",
    "add_photos": "indexer.ground.add",
    "open_reference_photos": "indexer.ground.reference_photos",
    "remove_photos": "indexer.ground.remove",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'indexer.ground' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
