"""Fixtures every test file may use."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from app_browser import Visit
    from app_pages import RunningPage

# Torch's threads wait for one another by spinning: where tests start processes of their own beside
# it, two threads on two cores are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests leave nothing in the user's cache, and what one remembers is no other's.
os.environ["GAIR_HASHES"] = ""

# A shell that starts tests in the background makes them, and what they start, deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(trylast=True)  # when those that do not run are gone
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several processes take the files that wait most first: a long one begun last ends alone.

    A file is judged by its tests that start servers, browsers and processes, each as much as ten
    others. ``make test`` keeps xdist from ordering files by how many tests they have.
    """
    if not hasattr(config, "workerinput"):
        return
    weight: Counter[Path] = Counter()
    for item in items:
        weight[item.path] += 10 if item.get_closest_marker("process") else 1
    items.sort(key=lambda item: -weight[item.path])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """What a test draws from torch without a generator does not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of reference data beside the checkout; tests that need it skip without it."""
    if not (SHARED / "reference").is_dir():
        pytest.skip(f"no reference data folder at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def city_tif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four by four kilometres of made-up imagery. Do not write to it."""
    from toy_city import write_city

    return write_city(tmp_path_factory.mktemp("city") / "city.tif")


@pytest.fixture(scope="session")
def tiny_index(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes that holds one, named ``toy``. Copy it before changing anything."""
    from indexer.commands.cli import main

    indexes = tmp_path_factory.mktemp("shared-indexes")
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--resolution", "9"]
    assert main([*argv, "--name", "toy", "--out", str(indexes), "--quiet"]) == 0
    return indexes


@pytest.fixture(scope="session")
def server(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPage]:
    """The server of the index ``toy`` as programs meet it, MCP included."""
    from app_pages import running_page

    with running_page(tiny_index, tmp_path_factory.mktemp("server"), mcp=True) as server:
        yield server


@pytest.fixture(scope="module")
def boxes(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes that holds one small box, made anew for each test file."""
    from small_builds import build_box

    folder = tmp_path_factory.mktemp("boxes")
    build_box(city_tif, folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium."""
    from app_browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def site_indexes(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small indexes: see :mod:`app_site`. Copy one before changing anything."""
    from app_site import make_indexes

    return make_indexes(tiny_index, tmp_path_factory.mktemp("site-indexes"))


@pytest.fixture(scope="session")
def page(site_indexes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPage]:
    """The page over these indexes, with examples; shared by the files that make none."""
    from app_site import running_site

    with running_site(site_indexes, tmp_path_factory.mktemp("site")) as page:
        yield page


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Photos by what is special about them: :func:`app_pages.write_photos`."""
    from app_pages import write_photos

    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def visit(browser: Any, page: RunningPage) -> Iterator[Visit]:
    """A tab on the ``page`` of the test's own file; nothing may come from outside or go wrong."""
    import app_browser

    visit = app_browser.Visit(browser, page, viewport=app_browser.DESKTOP, color_scheme="light")
    yield visit
    visit.context.close()
    assert visit.outside == []
    assert visit.errors == []
