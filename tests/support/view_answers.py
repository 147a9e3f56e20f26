"""An answer full of what must be escaped, and a page to look at it with."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

from indexer.search.answer import Answer, Candidate

EVIL = "<img src=x onerror=alert(1)>\"'&{{x}}${1}"

WARNINGS = ("uncalibrated: scores rank places, they are not probabilities",)


def space_of(
    *,
    build: str = "b1",
    model: str = "gair-base",
    licence: str = "CC-BY-NC-4.0",
    trained: bool = True,
    attribution: str = "Contains modified Copernicus Sentinel data",
    warnings: tuple[str, ...] = WARNINGS,
) -> Any:
    """What the page says of an index before any photo is searched."""
    named = SimpleNamespace(name=model, licence=licence, trained=trained)
    manifest = SimpleNamespace(build=build, cells_indexed=16667, model=named)
    index = SimpleNamespace(manifest=manifest)
    return SimpleNamespace(index=index, attribution=attribution, warnings=warnings, runtime="torch")


FIRST = Candidate(
    rank=1,
    lon_deg=-0.127761,
    lat_deg=51.507351,
    h3_cell="89195da49abffff",
    row=7,
    score=0.25,
    rs_score=0.75,
    location_score=-0.25,
    merged_cells=3,
    merged_within_m=420.4,
)

SECOND = dataclasses.replace(FIRST, rank=2, score=0.2, merged_cells=0, merged_within_m=0.0)

VOID = ("img", "input", "meta")

ANSWER = Answer(
    photo="street.jpg",
    candidates=(FIRST, SECOND),
    index="london",
    build="b1",
    cells_searched=16667,
    rs_weight=0.5,
    location_weight=0.5,
    model="gair-base",
    model_licence="CC-BY-NC-4.0",
    trained=True,
    attribution="Contains modified Copernicus Sentinel data",
    warnings=WARNINGS,
    photo_gps_lonlat_deg=None,
)


class Page(HTMLParser):
    """What a browser would make of some HTML: its text, its tags, its attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.attributes += attrs

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
