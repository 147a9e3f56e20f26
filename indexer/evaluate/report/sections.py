"""Sections of a report about distances, recall, area, methods and slices.

Each takes the content of ``report.json``. Every number has a sentence that says what it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.evaluate.report.markup import (
    ABOUT,
    SHORT,
    metres,
    number,
    paragraph,
    percent,
    plain,
    radius,
    section,
    shown,
    span,
    square_km,
    table,
    text,
)

Report = Mapping[str, Any]

HEADLINE_M = 200.0
"""The radius of the headlines; the next larger one where cells are too coarse for it."""


def numbers_of(report: Report, key: str) -> Mapping[str, Any]:
    """The numbers of a method that was measured."""
    numbers: Mapping[str, Any] = next(m["numbers"] for m in report["methods"] if m["key"] == key)
    return numbers


def headline_radius(report: Report) -> str:
    """Key of the radius that headlines use."""
    radii = report["index"]["radii_m"]
    return f"{next((r for r in radii if r >= HEADLINE_M), radii[-1]):g}"


def shown_keys(report: Report) -> list[str]:
    """Keys of the radii that are smaller than the index, the first one at least."""
    radii, across = report["index"]["radii_m"], report["index"]["span_m"]
    smaller = [r for r in radii if r < across]
    return [f"{r:g}" for r in radii[: max(1, len(smaller))]]


def cards(report: Report) -> str:
    """The four or five numbers that most want first."""
    own, blind, near = numbers_of(report, "answer"), numbers_of(report, "blind"), ""
    near = headline_radius(report)
    within = radius(float(near))
    first, tenth = own["accuracy"][near], own["recall_places"]["10"][near]
    shown_cards = [
        _card(
            own["median_m"],
            metres,
            "median error: half of the photos are found at least this well",
            f"a random cell: {shown(blind['median_m']['value'], metres)}",
        ),
        _card(
            first,
            percent,
            f"of the best guesses are within {within} of the truth",
            f"a random cell: {shown(blind['accuracy'][near]['value'], percent)}",
        ),
        _card(
            tenth,
            percent,
            f"of the photos have one of the first ten places within {within}",
            f"ten random cells: {shown(blind['recall_places']['10'][near]['value'], percent)}",
        ),
        _card(
            own["half_found_km2"],
            square_km,
            "of the best cells hold half of the photos",
            f"of {square_km(report['index']['area_km2'])} in the index",
        ),
    ]
    if report["calibration"]["measured"]:
        region = report["calibration"]["regions"][-1]
        shown_cards.append(
            _card(
                region["covered"],
                percent,
                f"of the photos are inside their {100 * region['level']:g} % region",
                f"its median size is {shown(region['median_km2'], square_km)}",
            )
        )
    return f'<div class="cards">{"".join(shown_cards)}</div>'


def _card(measured: Mapping[str, Any], form: Any, says: str, beside: str) -> str:  # noqa: ANN401
    low = ""
    if "low" in measured:
        low = f"{span(measured, form)}; "
    return (
        f'<div class="card"><b>{number(measured, form, interval=False)}</b>'
        f"<span>{text(says)}</span><small>{low}{text(beside)}</small></div>"
    )


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


def error_section(report: Report, figure: str) -> str:
    """How far off answers are."""
    own, blind = numbers_of(report, "answer"), numbers_of(report, "blind")
    rows = [
        [
            f"within {radius(float(r))}",
            number(own["accuracy"][r], percent),
            number(blind["accuracy"][r], percent),
        ]
        for r in shown_keys(report)
    ]
    errors = [
        ["median", number(own["median_m"], metres), number(blind["median_m"], metres)],
        ["three in four within", number(own["p75_m"], metres), number(blind["p75_m"], metres)],
        ["nine in ten within", number(own["p90_m"], metres), number(blind["p90_m"], metres)],
        ["mean", number(own["mean_m"], metres), number(blind["mean_m"], metres)],
        [
            "mean of photos with an answer",
            number(own["mean_answered_m"], metres),
            number(blind["mean_answered_m"], metres),
        ],
    ]
    if "geoscore" in own:
        errors.append(
            [
                "GeoScore, of 5000 (5000 e<sup>−d / 1492.7 km</sup>)",
                number(own["geoscore"], plain),
                number(blind["geoscore"], plain),
            ]
        )
    floor, across = (metres(report["index"][key]) for key in ("floor_m", "span_m"))
    heads = ["error of the best guess", "this index", "a random cell"]
    return section(
        "How far off is the best guess?",
        paragraph(
            "The error is the great-circle distance (haversine, mean sphere) from the best guess, "
            "the point that people are shown, to where the photo was taken. Within a radius means "
            "up to and including it. Below each number is its 95 % interval over resampled photos; "
            "a share of none or all has a binomial one.",
            "why",
        ),
        table(heads, errors),
        table(["share of photos", *heads[1:]], rows),
        paragraph(
            f"A cell's corner is {floor} from its centre, so the centre of even the right cell may "
            f"be that far off: smaller radii are not reported. The index is {across} across: "
            "within more, any answer is right. The mean is infinite as soon as one photo fails.",
            "fine",
        ),
        figure,
    )


def recall_section(report: Report) -> str:
    """Whether the truth is among the first k."""
    own = numbers_of(report, "answer")
    radii = shown_keys(report)[:6]
    heads = ["looking at", *[f"within {radius(float(r))}" for r in radii]]

    def rows(kind: str, things: str) -> list[list[str]]:
        return [
            [_first(k, things)] + [number(by_radius[r], percent) for r in radii]
            for k, by_radius in own[kind].items()
        ]

    merge = metres(report["index"]["merge_radius_m"])
    one_percent = plain(max(1, round(report["index"]["cells"] / 100)))
    return section(
        "Is the truth among the first places?",
        paragraph(
            f"A search lists places at least {merge} apart. The share of photos for which one of "
            "the first places is near the truth:",
            "why",
        ),
        table(heads, rows("recall_places", "places")),
        paragraph(
            "Papers count single cells instead, the best of which often lie side by side. "
            f"One cell in a hundred is {one_percent} cells:",
            "why",
        ),
        table(heads, rows("recall_cells", "cells")),
        paragraph(
            "The cell that the photo was taken in has the median rank "
            f"{number(own['median_rank'], plain, interval=False)} of "
            f"{plain(report['index']['cells'])}, and is among the best hundredth for "
            f"{number(own['cell_in_first_1_percent'], percent, interval=False)} of the photos "
            "(R@1%)."
        ),
    )


def _first(k: str, things: str) -> str:
    if k == "1":
        return f"the first {things.removesuffix('s')}"
    return f"the best 1 % of {things}" if k.endswith("%") else f"the first {k} {things}"


def area_section(report: Report, figure: str) -> str:
    """How much must be searched."""
    own, blind = numbers_of(report, "answer"), numbers_of(report, "blind")
    rows = [
        [
            f"{square_km(a['km2'])}, {percent(a['share_of_area'])} of the index",
            number(a["found"], percent),
            number(b["found"], percent),
        ]
        for a, b in zip(own["recall_by_area"], blind["recall_by_area"], strict=True)
    ]
    heads = ["searching the best", "this index", "at random"]
    return section(
        "How much area must be searched?",
        paragraph(
            "Cells are searched from the best down until the one that the photo was taken in. The "
            "share of photos that are found within an area says what a map of the answer is worth, "
            "whatever the distance of the best guess. Half of the photos are found in "
            f"{number(own['half_found_km2'], square_km, interval=False)}, nine in ten in "
            f"{number(own['nine_in_ten_found_km2'], square_km, interval=False)}.",
            "why",
        ),
        table(heads, rows),
        figure,
    )


def slices_section(report: Report) -> str:
    """Parts of the photos."""
    near = headline_radius(report)
    within = radius(float(near))
    tables = []
    for by_column in report["slices"]:
        rows = [
            [
                text(row["value"]),
                plain(row["photos"]),
                number(row["median_m"], metres),
                number(row["accuracy"][near], percent),
                number(row["recall_places"]["10"][near], percent),
                number(row["half_found_km2"], square_km),
            ]
            for row in by_column["rows"]
        ]
        heads = [
            text(by_column["column"]),
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


def photos_section(report: Report) -> str:
    """Which photos count."""
    photos = report["photos"]
    rows = [["listed in the manifest", plain(photos["listed"])]]
    rows += [[f"failed: {text(why)}", plain(n)] for why, n in photos["failures"].items()]
    rows.append(["judged", plain(photos["judged"])])
    rows.append(["of these, taken outside the index", plain(photos["outside_the_index"])])
    if photos["used_for_calibration"]:
        rows.append(["used to calibrate this index", plain(photos["used_for_calibration"])])
    return section(
        "The photos",
        paragraph(
            "A photo that cannot be read, or whose place is missing or impossible, has failed: its "
            "answer counts as infinitely far away, and it stays in every share of this report. A "
            "photo taken outside the index can never be found in it, and counts as well.",
            "why",
        ),
        table(["photos", "number"], rows),
    )
