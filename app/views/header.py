"""The top of the page: what is searched, with which model, under which terms, with which doubts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.views.markup import counted, esc

if TYPE_CHECKING:
    from indexer.geolocate import Geolocator

UNTRAINED = "Untrained model: the places mean nothing."

_MARK = """\
<svg class="gair-mark" viewBox="0 0 40 40" aria-hidden="true">
<path class="gair-mark-cell" d="M20 2.5 35.2 11.2v17.6L20 37.5 4.8 28.8V11.2z"/>
<path class="gair-mark-pin" d="M20 9.6a7.4 7.4 0 0 0-7.4 7.4c0 5.3 7.4 13.6 7.4 13.6s7.4-8.3 \
7.4-13.6A7.4 7.4 0 0 0 20 9.6zm0 10.2a2.8 2.8 0 1 1 0-5.6 2.8 2.8 0 0 1 0 5.6z"/></svg>"""

_THEME_ICON = """\
<svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="7"/>\
<path d="M10 3a7 7 0 0 1 0 14z"/></svg>"""


@dataclass(frozen=True)
class IndexFacts:
    """What the page says about its index before any photo is searched."""

    name: str
    build: str
    cells: int
    model: str
    model_licence: str
    trained: bool
    attribution: str
    """Credit that the imagery asks for."""
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, geo: Geolocator) -> IndexFacts:
        """The facts of an open geolocator."""
        return cls(
            name=geo.index.name,
            build=geo.index.manifest.build,
            cells=geo.index.manifest.cells_indexed,
            model=geo.model_name,
            model_licence=geo.model_licence,
            trained=geo.trained,
            attribution=geo.attribution,
            warnings=tuple(geo.warnings),
        )


def header_html(facts: IndexFacts) -> str:
    """Name, facts and standing warnings."""
    return (
        '<header class="gair-head">'
        f'<div class="gair-brand">{_MARK}<div><h1>GAIR Geolocator</h1>'
        "<p>Where was this street photo taken?</p></div></div>"
        '<button type="button" class="gair-icon-button" data-gair-theme '
        f'aria-label="Switch between light and dark">{_THEME_ICON}</button>'
        f"</header>{_facts_html(facts)}{standing_warnings_html(facts)}"
    )


def standing_warnings_html(facts: IndexFacts) -> str:
    """Warnings that hold for every search of this index."""
    warnings = list(facts.warnings)
    if not facts.trained and not any(_is_grave(warning) for warning in warnings):
        warnings.insert(0, UNTRAINED)
    return warnings_html(warnings)


def warnings_html(warnings: list[str]) -> str:
    """A list of warnings, those about untrained models first and loudest; nothing for none."""
    if not warnings:
        return ""
    ordered = sorted(warnings, key=_is_grave, reverse=True)
    return f'<ul class="gair-notices">{"".join(map(_warning_html, ordered))}</ul>'


def notice_html(kind: str, text: str) -> str:
    """One line with an icon. ``kind`` is "grave", "warning" or "info"; ``text`` is plain."""
    sign = "i" if kind == "info" else "!"
    return (
        f'<div class="gair-notice gair-notice-{kind}"><span class="gair-sign" aria-hidden="true">'
        f"{sign}</span><span>{esc(text)}</span></div>"
    )


def _warning_html(warning: str) -> str:
    kind = "grave" if _is_grave(warning) else "warning"
    return f"<li>{notice_html(kind, warning[:1].upper() + warning[1:])}</li>"


def _is_grave(warning: str) -> bool:
    return "untrained" in warning.lower()


def _facts_html(facts: IndexFacts) -> str:
    items = (
        _fact_html("Index", facts.name, f"build {facts.build}")
        + _fact_html("Searched", counted(facts.cells, "cell"), "hexagons of the H3 grid")
        + _fact_html("Model", facts.model, f"licence: {facts.model_licence}")
    )
    credit = esc(facts.attribution or "no attribution recorded")
    return (
        f'<dl class="gair-facts">{items}'
        f'<div class="gair-credit"><dt>Imagery and outline</dt><dd>{credit}</dd></div></dl>'
    )


def _fact_html(name: str, value: str, more: str) -> str:
    return (
        f'<div><dt>{esc(name)}</dt><dd><span class="gair-fact">{esc(value)}</span>'
        f'<span class="gair-fact-more">{esc(more)}</span></dd></div>'
    )
