"""What the page shows, as text: nothing from a file, a model or a photo becomes markup."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from view_answers import ANSWER, EVIL, FIRST, WARNINGS, Page, space_of

from app.options import TileSource, tiles_of
from app.views.cards import places_html
from app.views.index_facts import UNTRAINED, facts_line_html, standing_warnings_html
from app.views.map import map_places
from app.views.templates import render
from app.views.wording import coordinates, counted, distance
from indexer.regions.cells import cell_from_hex


def header_html(**facts: Any) -> str:
    space = space_of(**facts)
    return facts_line_html(space) + standing_warnings_html(space)


def test_numbers_read_well() -> None:
    assert coordinates(-0.127761, 51.507351) == "51.50735, -0.12776"
    assert distance(420.4) == "420 m"
    assert distance(3449.0) == "3.4 km"
    assert counted(1, "cell") == "1 cell"
    assert counted(2400, "cell") == "2,400 cells"


@pytest.mark.process
def test_the_header_states_index_cells_model_licence_and_attribution() -> None:
    page = Page(header_html())
    for fact in ("16,667 cells", "gair-base", "CC-BY-NC-4.0", "Copernicus Sentinel"):
        assert fact in page.text
    assert "Uncalibrated: scores rank places" in page.text
    assert "ntrained" not in page.text


@pytest.mark.process
def test_an_untrained_model_is_announced_first_even_if_no_warning_says_so() -> None:
    assert UNTRAINED in header_html(trained=False)
    said = ("late imagery", "the model is untrained")
    page = Page(header_html(trained=False, warnings=said))
    assert UNTRAINED not in page.text
    assert page.text.index("The model is untrained") < page.text.index("Late imagery")


@pytest.mark.process
def test_a_place_shows_rank_coordinates_score_parts_and_what_was_merged() -> None:
    page = Page(places_html(ANSWER, 0.123))
    for text in (
        "51.50735, -0.12776",
        "0.250",
        "0.750",
        "−0.250",
        "with 3 close cells, up to 420 m",
    ):
        assert text in page.text
    assert "one cell" in page.text
    assert "16,667 cells in 0.12 s" in page.text
    assert ("data-gair-pick", "1") in page.attributes
    assert ("data-gair-pick", "2") in page.attributes
    assert page.open == []


def test_bars_grow_from_the_middle() -> None:
    bars = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", places_html(ANSWER, 0.1))
    assert bars[:2] == [("50.0", "37.5"), ("37.5", "12.5")]


@pytest.mark.process
def test_warnings_of_the_header_are_not_repeated() -> None:
    answer = dataclasses.replace(ANSWER, warnings=(*WARNINGS, "this photo is a panorama"))
    page = Page(places_html(answer, 0.1, WARNINGS))
    assert "This photo is a panorama" in page.text
    assert "Uncalibrated" not in page.text


@pytest.mark.process
@pytest.mark.parametrize(
    "markup",
    [
        header_html(
            build=EVIL,
            model=EVIL,
            licence=EVIL,
            attribution=EVIL,
            warnings=(EVIL, "untrained " + EVIL),
        ),
        places_html(
            dataclasses.replace(
                ANSWER,
                photo=EVIL,
                warnings=(EVIL,),
                candidates=(dataclasses.replace(FIRST, h3_cell=EVIL),),
            ),
            0.1,
        ),
    ],
    ids=["header", "places"],
)
def test_text_from_outside_stays_text(markup: str) -> None:
    page = Page(markup)
    assert "x" not in [value for name, value in page.attributes if name == "src"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    shown = page.text + " ".join(value or "" for _, value in page.attributes)
    assert EVIL in shown
    assert page.open == []


def test_empty_is_complete_markup() -> None:
    page = Page(render("empty.html", minutes_kept=30))
    assert page.open == []
    assert "is gone 30 minutes after the last question" in page.text


def test_the_map_gets_the_cell_around_each_place() -> None:
    import h3

    data = map_places(ANSWER)
    assert json.loads(json.dumps(data)) == data
    first = data["places"][0]
    assert first["position"] == [51.507351, -0.127761]
    assert first["label"] == "Place 1: 51.50735, -0.12776, score 0.250"
    expected = h3.cell_to_boundary(h3.int_to_str(cell_from_hex(FIRST.h3_cell)))
    np.testing.assert_allclose(sorted(first["cell"]), sorted(expected))


def test_the_credit_of_the_tiles_is_escaped() -> None:
    tiles = tiles_of(TileSource("https://t.example/{z}/{x}/{y}.png", EVIL))
    assert tiles is not None
    assert "<" not in tiles["attribution"]
    assert tiles_of(None) is None
