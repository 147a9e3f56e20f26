"""Pieces of HTML: numbers with their intervals, tables, pictures; and names of methods.

Every measured number is a ``<data>`` element whose ``value`` is the number of ``report.json``.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

CSS = """
:root { color-scheme: light dark;
  --ink: #0f172a; --dim: #5b6b80; --line: #e2e8f0; --page: #f8fafc; --panel: #fff; --sunk: #f1f5f9;
  --accent: #0f766e; --hot: #c2410c; --warn-bg: #fffbeb; --warn: #92400e; --warn-line: #fde68a; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e8eef6; --dim: #93a4b8; --line: #223047; --page: #0a1220; --panel: #0f172a;
  --sunk: #16213a;
  --accent: #2dd4bf; --hot: #fb923c; --warn-bg: #241a08; --warn: #fcd34d; --warn-line: #5c400c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 6px; }
h2 { font-size: 1.2rem; letter-spacing: -.01em; margin: 0 0 4px; }
h3 { font-size: .95rem; margin: 26px 0 4px; }
p { margin: 6px 0; max-width: 76ch; }
.lead, .why, figcaption, .fine { color: var(--dim); }
.fine, figcaption { font-size: .86rem; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: 14px;
  padding: 24px 26px; margin-top: 20px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 14px;
  margin-top: 24px; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 14px;
  padding: 16px 16px; }
.card b { display: block; font-size: 1.6rem; line-height: 1.15; letter-spacing: -.02em;
  color: var(--accent); font-variant-numeric: tabular-nums; }
.card span { display: block; margin-top: 6px; line-height: 1.4; font-size: .92rem; }
.card small { display: block; margin-top: 6px; color: var(--dim); font-size: .82rem; }
.note { background: var(--warn-bg); color: var(--warn); border: 1px solid var(--warn-line);
  border-radius: 10px; padding: 9px 14px; margin: 14px 0 0;
  font-size: .9rem; list-style-position: inside; }
.scroll { overflow-x: auto; margin: 14px 0 4px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: .9rem; }
table.narrow { max-width: 680px; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
th { font-weight: 600; color: var(--dim); font-size: .8rem; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { white-space: normal; min-width: 9em; }
th:last-child, td:last-child { padding-right: 0; }
tr:last-child td { border-bottom: 0; }
tr.own td { font-weight: 600; }
td small { display: block; color: var(--dim); font-weight: 400; font-size: .78rem; }
td.none { color: var(--dim); text-align: left; white-space: normal; }
figure { margin: 18px 0 6px; }
figure img { display: block; width: 100%; height: auto; }
figcaption { margin-top: 8px; max-width: 76ch; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; margin: 14px 0 0;
  font-size: .9rem; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  background: var(--sunk); padding: 1px 5px; border-radius: 5px; }
@media (max-width: 640px) { main { padding: 24px 14px; } section { padding: 18px 16px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
@media print { body { background: #fff; } section, .card { break-inside: avoid; } }
"""

SHORT: Mapping[str, str] = {
    "answer": "this index",
    "centre": "the best cell's centre",
    "imagery": "imagery alone",
    "location": "location alone",
    "nili": "NILI",
    "bilinear": "bilinear",
    "mean": "global mean",
    "density": "where photos are taken",
    "blind": "a random cell",
}
"""In legends and tables."""

ABOUT: Mapping[str, str] = {
    "answer": "What a search answers: the points that people are shown.",
    "centre": "The same places before they are refined: the centres of their cells.",
    "imagery": "Cells are ranked by the imagery's embedding only.",
    "location": "Cells are ranked by the embedding of their coordinates only.",
    "nili": "The imagery is read at each cell by the model's own interpolation (NILI).",
    "bilinear": "The imagery's raw tokens are interpolated at each cell, without the model's NILI.",
    "mean": "Each cell has the mean of the raw tokens of the image frame around it.",
    "density": "The photo is not looked at: every answer is where most calibration photos are.",
    "blind": "The photo is not looked at: any cell is as likely as any other.",
}
"""A sentence each."""

OFFSET_MODES: Mapping[str, str] = {
    "nili": "NILI",
    "frame": "NILI, mean of the frame",
    "bilinear": "raw tokens, bilinear",
    "bicubic": "raw tokens, bicubic",
    "mean": "raw tokens, mean of the frame",
}
"""The ways to read imagery in the offset test."""

Numbers = Mapping[str, Any]

Format = Callable[[float], str]


def text(value: object) -> str:
    """Text that shows as it is."""
    return html.escape(str(value))


def metres(value: float) -> str:
    """A distance: ``203 m``, ``4.3 km``."""
    if value < 995:
        return f"{value:,.0f} m"
    return f"{value / 1000:,.1f} km" if value < 9950 else f"{value / 1000:,.0f} km"


def radius(radius_m: float) -> str:
    """A radius as it was chosen: ``200 m``, ``2.5 km``."""
    return f"{radius_m / 1000:g} km" if radius_m >= 1000 else f"{radius_m:g} m"


def square_km(value: float) -> str:
    """An area in square kilometres."""
    for least, digits in ((9.95, 0), (0.995, 1), (0.00995, 2)):
        if value >= least:
            return f"{value:,.{digits}f} km²"
    return f"{value:.2g} km²"


def percent(value: float) -> str:
    """A share: ``14.8 %``, ``0.24 %``; never a rounded 0 or 100 that is neither."""
    share = 100 * value
    if 0 < share < 0.995:
        return f"{share:.2f} %" if share >= 0.005 else f"{share:.1g} %"
    return f"{share:.1f} %" if share < 99.95 or share == 100 else ">99.9 %"


def plain(value: float) -> str:
    """A number: a count, or one with three digits."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def decimals(value: float) -> str:
    """A small number with three decimals."""
    return f"{value:.3f}"


def shown(value: float | str, form: Format) -> str:
    """A number of ``report.json``, where infinity is text."""
    if isinstance(value, str):
        return {"inf": "∞", "-inf": "−∞"}.get(value, "–")
    return form(value)


def number(measured: Numbers, form: Format, *, interval: bool = True) -> str:
    """A measured number and, where there is one, its interval below it."""
    value = measured["value"]
    out = f'<data value="{text(value)}">{shown(value, form)}</data>'
    if interval and "low" in measured:
        out += f"<small>{span(measured, form)}</small>"
    return out


def span(measured: Numbers, form: Format) -> str:
    """An interval: ``12.1 to 18.0 %``; the unit is said once where both ends share it."""
    low, high = shown(measured["low"], form), shown(measured["high"], form)
    unit = low.rsplit(" ", 1)[-1]
    if " " in low and high.endswith(f" {unit}"):
        low = low.rsplit(" ", 1)[0]
    return f"{low} to {high}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, own: Sequence[int] = ()) -> str:
    """A table of ready HTML; rows whose number is in ``own`` stand out."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = []
    for position, row in enumerate(rows):
        cells = [f"<td>{cell}</td>" for cell in row]
        if len(row) == 2 < len(heads):  # a reason instead of numbers
            cells[1] = f'<td class="none" colspan="{len(heads) - 1}">{row[1]}</td>'
        mark = ' class="own"' if position in own else ""
        body.append(f"<tr{mark}>{''.join(cells)}</tr>")
    narrow = ' class="narrow"' if len(heads) < 4 else ""
    return (
        f'<div class="scroll"><table{narrow}><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def picture(light: bytes, dark: bytes, alt: str, caption: str) -> str:
    """A figure in two PNG images, one for each colour scheme."""
    return (
        '<figure><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{_data(dark)}"><img src="{_data(light)}" alt="{text(alt)}"></picture>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def section(title: str, *parts: str) -> str:
    """A part of the report with a heading."""
    return f"<section><h2>{text(title)}</h2>{''.join(part for part in parts if part)}</section>"


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of ready HTML."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{content}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and ready HTML."""
    return "<dl>" + "".join(f"<dt>{text(a)}</dt><dd>{b}</dd>" for a, b in pairs) + "</dl>"
