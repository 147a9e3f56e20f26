"""Writes a report: one HTML file that needs nothing else, and the same numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from gair.files import disk_errors, write_whole
from indexer.evaluate.report.markup import (
    CSS,
    facts,
    metres,
    paragraph,
    picture,
    plain,
    section,
    square_km,
)
from indexer.evaluate.report.markup import text as escaped
from indexer.evaluate.report.plots import draw_all
from indexer.evaluate.report.sections import (
    area_section,
    cards,
    error_section,
    methods_section,
    photos_section,
    recall_section,
    slices_section,
)
from indexer.evaluate.report.trust_sections import (
    calibration_section,
    elsewhere_section,
    noise_section,
    offset_section,
    selection_section,
)

Report = Mapping[str, Any]

HTML_FILE = "report.html"
JSON_FILE = "report.json"

_FIGURES = {
    "error": (
        "Share of photos by the distance of the best guess",
        "How many photos are found within each distance. A curve farther up is better; the dashed "
        "one is a cell picked blindly. In the shaded part even the right cell may be too far.",
    ),
    "area": (
        "Share of photos by the area searched",
        "How many photos were taken inside the best cells, by the area of those. The dashed line "
        "is what an area picked blindly holds.",
    ),
    "reliability": (
        "Confidence against the share that was right",
        "Each dot is a tenth of the photos, of similar confidence. On the dashed line confidence "
        "means what it says; above it, answers are better than they say.",
    ),
    "selection": (
        "Share of wrong answers by the share of photos answered",
        "The left end is the most confident answers only, the right end all photos. A curve that "
        "rises from left to right shows that confidence tells good answers from bad ones.",
    ),
    "offset": (
        "Similarity against the distance from the true place",
        "Bars are standard errors over photos. Raw tokens are read without the model's NILI, which "
        "need not put them where photos are.",
    ),
    "map": (
        "Where the photos were taken, coloured by error",
        "Each dot is where a photo was taken; its colour is the error of the best guess. Large "
        "patches of one colour are places that the index knows well, or does not.",
    ),
}


def write_report(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write both files; the folder is made where there is none.

    Args:
        report: of :func:`indexer.evaluate.evaluate.evaluate`.
        folder: where.

    Returns:
        The paths of the HTML and of the JSON file.

    Raises:
        StorageError: the disk refused.
    """
    page, numbers = folder / HTML_FILE, folder / JSON_FILE
    check_folder(folder)
    content = json.dumps(report, indent=1, allow_nan=False).encode()
    write_whole(numbers, content)
    write_whole(page, html_of(report).encode())
    return page, numbers


def check_folder(folder: Path) -> Path:
    """The folder, if a report can be written to it: better known before the work than after.

    Raises:
        UsageError: it is a file.
        StorageError: it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def html_of(report: Report) -> str:
    """The whole page."""
    pictures = {name: picture(*pair, *_FIGURES[name]) for name, pair in draw_all(report).items()}
    title = f"How well does {report['index']['name']} find photos?"
    body = "".join(
        [
            f"<h1>{escaped(title)}</h1>",
            _lead(report),
            _warnings(report),
            cards(report),
            methods_section(report),
            error_section(report, pictures.get("error", "")),
            recall_section(report),
            area_section(report, pictures.get("area", "")),
            calibration_section(report, pictures.get("reliability", "")),
            selection_section(report, pictures.get("selection", "")),
            elsewhere_section(report),
            offset_section(report, pictures.get("offset", "")),
            noise_section(report),
            _map_section(pictures.get("map", "")),
            slices_section(report),
            photos_section(report),
            _made_section(report),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{CSS}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _lead(report: Report) -> str:
    index, photos = report["index"], report["photos"]
    kind = "calibrated" if report["search"]["calibrated"] else "not calibrated"
    return paragraph(
        f"{plain(photos['listed'])} photos whose place is known, searched among "
        f"{plain(index['cells'])} cells of about {metres(index['spacing_m'])}, "
        f"{square_km(index['area_km2'])} in all; the index is {kind}. "
        f"Measured {escaped(report['made']['created_utc'][:10])}.",
        "lead",
    )


def _warnings(report: Report) -> str:
    notes = [*report["index"]["warnings"], *report["notes"]]
    lines = "".join(f"<li>{escaped(note[:1].upper() + note[1:])}</li>" for note in notes)
    return f'<ul class="note">{lines}</ul>' if notes else ""


def _map_section(figure: str) -> str:
    return section("Where does it work?", figure) if figure else ""


def _made_section(report: Report) -> str:
    index, model, made, search = (report[key] for key in ("index", "model", "made", "search"))
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    dates = ", ".join(index["imagery_dates"]) or "unknown"
    pairs = [
        ("index", f"{escaped(index['name'])}, build {escaped(index['build'])}"),
        ("built", escaped(index["created_utc"])),
        ("cells", f"H3 resolution {index['h3_resolution']}, {escaped(index['region'])}"),
        ("imagery", f"{escaped(index['attribution'])}; dates {escaped(dates)}"),
        ("imagery is read by", escaped(index["query_mode"])),
        ("model", f"{escaped(model['name'])}, licence {escaped(model['licence'])}"),
        ("fingerprint", f"<code>{escaped(model['fingerprint'])}</code>"),
        ("weights", f"imagery {search['rs_weight']:g}, location {search['location_weight']:g}"),
        ("photos", escaped(report["photos"]["manifest"])),
        ("command", f"<code>{escaped(made['command'])}</code>"),
        ("measured", f"{escaped(made['created_utc'])}, in {made['seconds']:g} s"),
        ("intervals", f"95 %, {plain(made['resamples'])} resamples, seed {made['seed']}"),
        ("versions", escaped(versions)),
    ]
    return section("How this was measured", facts(pairs))
