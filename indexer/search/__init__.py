"""Journey from a photo to an answer, and the function ``search`` that makes it by an index's name.

>>> from indexer import search
>>> answer = search("photo.jpg", index="london")

A photo passes, in this order,

* ``geolocator.py``: pixels to the vector s, and s to the cosines of every cell;
* ``query.py`` and ``prior.py``: how cells are weighed, and what was known before;
* ``space.py``: the cells, their vectors, neighbourhoods and calibration (``SearchSpace``);
* ``shortlist.py``: the part of a large index that is scored;
* ``scored.py``: cosines to a posterior, the mass around a point, a confidence;
* ``places.py``: the best cells that are different places;
* ``refine.py``: the mean place around each of them, read by ``token_reader.py``;
* ``ranking.py``: all of it to an ``Answer`` (``answer.py``), drafted and then refined.

Imports go the other way: space < scored < places < refine < ranking < shortlist < geolocator.
``by_name.py`` and ``live.py`` keep indexes open; ``make_heatmap.py`` and ``heatmap.py`` show every
cell instead of the best, ``ground_picture.py`` the imagery of a place.

The package has the name of the function, and Python binds the package to ``indexer.search`` once a
module of it is imported. So the package itself can be called, and is that function.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _SearchModule(ModuleType):
    """This package as the function :func:`indexer.search.by_name.search`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (typed in by_name)
        return _by_name()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_by_name())

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        return importlib.import_module, (self.__name__,)


def _by_name() -> Callable[..., Any]:
    from indexer.search.by_name import search  # late: it brings torch and FAISS

    return search


sys.modules[__name__].__class__ = _SearchModule
