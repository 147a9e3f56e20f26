"""Writes a report: one HTML file that needs nothing else, and the same numbers as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from gair.files import disk_errors, write_whole
from gair.templates import environment
from indexer.evaluate.report import wording
from indexer.evaluate.report.plots import FIGURES, draw_all
from indexer.evaluate.report.wording import ABOUT, SHORT, radius
from indexer.search.weights import SAID

Report = Mapping[str, Any]

HTML_FILE = "report.html"
JSON_FILE = "report.json"

_HEADLINE_M = 200.0
"""The radius of the headlines; the next larger one where cells are too coarse for it."""

TEMPLATES = environment(
    Path(__file__).parent,
    functions={
        "decimals": wording.decimals,
        "metres": wording.metres,
        "percent": wording.percent,
        "plain": wording.plain,
        "radius": wording.radius,
        "shown": wording.shown,
        "span": wording.span,
        "square_km": wording.square_km,
        "weights_by": lambda source: SAID.get(source, source),
    },
)


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
    figures: dict[str, dict[str, str] | None] = dict.fromkeys(FIGURES)
    for name, (light, dark) in draw_all(report).items():
        figures[name] = {"light": _png_uri(light), "dark": _png_uri(dark)}
    own, blind, near = (
        numbers_of(report, "answer"),
        numbers_of(report, "blind"),
        headline_radius(report),
    )
    keys = shown_keys(report)
    return TEMPLATES.get_template("report.html").render(
        report=report,
        figures=figures,
        own=own,
        blind=blind,
        near=near,
        within=radius(float(near)),
        radii_m=keys,
        recall_radii_m=keys[:6],
        recall_heads=["looking at", *[f"within {radius(float(key))}" for key in keys[:6]]],
        areas=list(zip(own["recall_by_area"], blind["recall_by_area"], strict=True)),
        short=SHORT,
        about=ABOUT,
    )


def _png_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def numbers_of(report: Report, key: str) -> Mapping[str, Any]:
    """The numbers of a method that was measured."""
    numbers: Mapping[str, Any] = next(m["numbers"] for m in report["methods"] if m["key"] == key)
    return numbers


def headline_radius(report: Report) -> str:
    """Key of the radius that headlines use."""
    radii = report["index"]["radii_m"]
    return f"{next((r for r in radii if r >= _HEADLINE_M), radii[-1]):g}"


def shown_keys(report: Report) -> list[str]:
    """Keys of the radii that are smaller than the index, the first one at least."""
    radii, across = report["index"]["radii_m"], report["index"]["span_m"]
    smaller = [r for r in radii if r < across]
    return [f"{r:g}" for r in radii[: max(1, len(smaller))]]
