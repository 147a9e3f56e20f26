"""Names that people import, in any order: they stay, and nothing heavy comes with a package."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pydoc
import subprocess
import sys

import pytest

INDEXER = (
    "Answer BuildOptions Candidate Geolocator Index LiveGeolocator Region Verdict build_index "
    "bundle_index compare_photos cut_index list_indexes merge_indexes open_index photos_near_place "
    "pull_index push_index search similar_places verify"
).split()
GAIR = (
    "Footprint Gair GairConfig GairError ModelInfo PRESETS Photo open_photo parse_coordinates"
).split()
ELSEWHERE = [
    ("indexer.ground", "add_photos"),
    ("indexer.ground", "open_reference_photos"),
    ("indexer.imagery", "open_imagery"),
    ("indexer.imagery.stac", "open_stac"),
    ("indexer.regions", "named_region"),
]


def in_a_fresh_process(*lines: str) -> None:
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_public_names_stay() -> None:
    for package, names in (("indexer", INDEXER), ("gair", GAIR)):
        module = importlib.import_module(package)
        assert module.__all__ == sorted(names)
        for name in names:
            assert callable(getattr(module, name)) or name == "PRESETS", name
        with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
            _ = module.no_such_name
    for package, name in ELSEWHERE:
        assert callable(getattr(importlib.import_module(package), name)), name


ASKED = """
try:
    search("no photo", index="nowhere", indexes_dir="no folder")
except IndexNotFoundError:
    pass
else:
    raise AssertionError("nothing was searched")
"""


@pytest.mark.parametrize(
    "order",
    [
        ["from indexer import search"],
        ["import indexer.search.by_name", "from indexer import search"],
        ["from indexer import search", "import indexer.search.geolocator"],
        ["import indexer.search", "from indexer import search"],
        ["from indexer import verify, search, Geolocator"],
        ["from indexer.search.by_name import search"],
        ["import indexer", "_ = indexer.verify", "search = indexer.search"],
        ["import indexer", "search = indexer.search"],
        ["from indexer import *"],
    ],
)
def test_search_can_be_called_whatever_is_imported_first(order: list[str]) -> None:
    in_a_fresh_process(*order, "from gair.errors import IndexNotFoundError", ASKED)


def test_importing_the_packages_is_cheap() -> None:
    in_a_fresh_process(
        "import sys, gair, indexer",
        "from indexer import search",
        "import indexer.search",
        "heavy = {'torch', 'faiss', 'numpy', 'scipy', 'h3', 'duckdb'} & set(sys.modules)",
        "assert not heavy, heavy",
    )


def test_search_looks_like_the_function_that_it_is() -> None:
    from indexer import search
    from indexer.search import by_name

    assert inspect.signature(search) == inspect.signature(by_name.search)
    assert list(inspect.signature(search).parameters)[:2] == ["image", "index"]
    assert 'search("photo.jpg", index="london")' in pydoc.render_doc(search)
    assert pickle.loads(pickle.dumps(search)) is search
