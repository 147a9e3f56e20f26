"""Small pieces of HTML: numbers with their intervals, tables, pictures.

Every measured number is a ``<data>`` element whose ``value`` is the number of ``report.json``.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

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
