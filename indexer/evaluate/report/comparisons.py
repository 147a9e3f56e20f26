"""The sections of a report that compare: ways to answer, and parts of the photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.evaluate.report.markup import (
    metres,
    number,
    paragraph,
    percent,
    plain,
    radius,
    section,
    square_km,
    table,
    text,
)
from indexer.evaluate.report.sections import headline_radius
from indexer.evaluate.report.wording import ABOUT, SHORT

Report = Mapping[str, Any]


def methods_section(report: Report) -> str:
    """Beside simpler ways to answer."""
    near = headline_radius(report)
    within = radius(float(near))
    rows, own = [], []
    for position, method in enumerate(report["methods"]):
        key = method["key"]
        about = f"{ABOUT[key]} {method.get('detail', '')}".strip()
        name = f"{text(SHORT[key])}<small>{text(about)}</small>"
        if not method["measured"]:
            rows.append([name, text(method["why"])])
            continue
        if key == "answer":
            own.append(position)
        n = method["numbers"]
        rows.append(
            [
                name,
                number(n["median_m"], metres),
                number(n["accuracy"][near], percent),
                *_rank_cells(n, near),
            ]
        )
    heads = [
        "way to answer",
        "median error",
        f"best guess<br>within {within}",
        f"one of ten<br>within {within}",
        "median rank<br>of the true cell",
        "half of the<br>photos are in",
    ]
    return section(
        "Beside simpler ways to answer",
        paragraph(
            "The same photos, judged in the same way. What an index is worth is what it adds to "
            "the simpler ways.",
            "why",
        ),
        table(heads, rows, own=own),
    )


def _rank_cells(numbers: Mapping[str, Any], near: str) -> list[str]:
    """What only a ranking of all cells has."""
    if "median_rank" not in numbers:
        return ["", "", ""]
    return [
        number(numbers["recall_places"]["10"][near], percent),
        number(numbers["median_rank"], plain),
        number(numbers["half_found_km2"], square_km),
    ]


def slices_section(report: Report) -> str:
    """Parts of the photos."""
    near = headline_radius(report)
    within = radius(float(near))
    tables = []
    for one in report["slices"]:
        rows = [
            [
                text(row["value"]),
                plain(row["photos"]),
                number(row["median_m"], metres),
                number(row["accuracy"][near], percent),
                number(row["recall_places"]["10"][near], percent),
                number(row["half_found_km2"], square_km),
            ]
            for row in one["rows"]
        ]
        heads = [
            text(one["column"]),
            "photos",
            "median error",
            f"best guess<br>within {within}",
            f"one of ten<br>within {within}",
            "half of the<br>photos are in",
        ]
        tables.append(table(heads, rows))
    if not tables:
        return ""
    return section(
        "Parts of the photos",
        paragraph(
            "The photos by what their manifest says of them. Intervals that overlap are no "
            "evidence of a difference.",
            "why",
        ),
        *tables,
    )
