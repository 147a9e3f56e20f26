"""One photo, one calibrated index: Python, the command line, the API and the page say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from app_browser import BROWSER_MARKS, Visit
from app_pages import RunningPage
from toy_city import photo

from indexer.commands.cli import main
from indexer.search.answer import Answer
from indexer.search.geolocator import Geolocator


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "street.jpg"
    photo(3).save(path)
    return path


@pytest.fixture(scope="module")
def answer(site_indexes: Path, street: Path) -> Answer:
    return Geolocator.open("known", indexes_dir=site_indexes).search(street)


def assert_same(told: Any, meant: Any) -> None:
    """Equal structure and words; numbers up to the rounding of a sum in another order."""
    if isinstance(meant, dict):
        assert told.keys() == meant.keys()
        for key in meant:
            assert_same(told[key], meant[key])
    elif isinstance(meant, list):
        assert len(told) == len(meant)
        for a, b in zip(told, meant, strict=True):
            assert_same(a, b)
    elif isinstance(meant, float):
        assert told == pytest.approx(meant, rel=1e-5, abs=1e-7)
    else:
        assert told == meant


def test_the_command_line_prints_the_answer(
    site_indexes: Path, street: Path, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--index", "known", "--indexes", str(site_indexes)]
    assert main(["search", str(street), *where, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert_same(told, answer.to_dict())
    assert main(["search", str(street), *where]) == 0
    text = capsys.readouterr().out
    for c in answer.candidates:
        assert f"{c.probability:6.1%}" in text
    for region in answer.regions:
        assert f"{region['level']:.0%} region: {region['km2']:,.2f} km2" in text
    assert f"200 m {answer.confidence[0].probability:.0%}" in text


@pytest.mark.process
def test_the_api_returns_the_answer(page: RunningPage, street: Path, answer: Answer) -> None:
    from gradio_client import Client, handle_file

    client = Client(page.url, verbose=False, analytics_enabled=False)
    told = client.predict(handle_file(str(street)), index="known", api_name="/search")
    client.close()
    assert_same(told, answer.to_dict())


@pytest.mark.process
@pytest.mark.browser
@BROWSER_MARKS[1]
def test_the_page_shows_the_answer(visit: Visit, street: Path, answer: Answer) -> None:
    visit.open("#index=known")
    visit.upload(street)
    rows = visit.tab.locator(".gair-score b").all_inner_texts()
    assert rows == [f"{c.probability:.1%}" for c in answer.candidates]
    belief = visit.text(".gair-belief")
    for region in answer.regions:
        assert f"region, {region['km2']:,.1f} km²" in belief
    for c in answer.confidence:
        assert f"{c.probability:.0%}" in belief
    lonlat_deg = answer.candidates[0].refined_lonlat_deg
    assert lonlat_deg is not None
    assert visit.text(".gair-best-where") == f"{lonlat_deg[1]:.5f}, {lonlat_deg[0]:.5f}"
    assert visit.count("path.gair-region-50") >= 1
    assert visit.count("path.gair-region-90") >= 1
    assert "not probabilities" not in visit.text("#gair-found")
    visit.seen(".gair-legend >> text=probability a km²")
    visit.keep("desktop-calibrated")


@pytest.mark.process
@pytest.mark.browser
@BROWSER_MARKS[1]
def test_other_weights_take_the_probabilities_away(visit: Visit, street: Path) -> None:
    visit.open("#index=known")
    visit.upload(street)
    visit.settings()
    share = visit.tab.locator("input[type=number][data-gair-setting='share']")
    assert float(share.input_value()) == 0.75
    visit.set("share", "0.2")
    notice = visit.seen("#gair-found .gair-notice")
    assert "weights of your own" in notice.inner_text().lower()
    assert visit.count(".gair-belief") == 0
    assert visit.count("path.gair-region-90") == 0
    visit.set("share", "0.75")
    visit.seen(".gair-belief")
