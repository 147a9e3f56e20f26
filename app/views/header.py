"""The top of the page: what is searched, with which model, under which terms, with which doubts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.views.markup import counted, esc

if TYPE_CHECKING:
    from indexer.search.geolocator import Geolocator

UNTRAINED = "Untrained model: the places mean nothing."
_UNCALIBRATED = "uncalibrated"


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

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Warnings that hold for every search, one about an untrained model always among them."""
        if self.trained or any(is_grave(warning) for warning in self.warnings):
            return self.warnings
        return (UNTRAINED, *self.warnings)


def facts_line_html(facts: IndexFacts) -> str:
    """The index in one line: cells, model, terms, credit."""
    tags = []
    if not facts.trained:
        tags.append('<span class="gair-tag gair-tag-grave">Untrained</span>')
    if any(warning.lower().startswith(_UNCALIBRATED) for warning in facts.warnings):
        tags.append('<span class="gair-tag gair-tag-warn">Not calibrated</span>')
    elif facts.trained:
        tags.append('<span class="gair-tag">Calibrated</span>')
    credit = esc(facts.attribution or "no attribution recorded")
    return (
        f'<span title="build {esc(facts.build)}"><b>{esc(counted(facts.cells, "cell"))}</b></span>'
        f"<span>Model <b>{esc(facts.model)}</b></span>"
        f"<span>Licence {esc(facts.model_licence)}</span>{''.join(tags)}"
        f'<span class="gair-credit">{credit}</span>'
    )


def standing_warnings_html(facts: IndexFacts) -> str:
    """Warnings that hold for every search: grave ones in full, the others folded away."""
    grave = [warning for warning in facts.all_warnings if is_grave(warning)]
    other = [warning for warning in facts.all_warnings if not is_grave(warning)]
    if not other:
        return warnings_html(grave)
    return (
        f'{warnings_html(grave)}<details class="gair-fold gair-warnings"><summary>'
        f"{counted(len(other), 'note')} on this index</summary>{warnings_html(other)}</details>"
    )


def warnings_html(warnings: list[str]) -> str:
    """A list of warnings, those about untrained models first and loudest; nothing for none."""
    if not warnings:
        return ""
    ordered = sorted(warnings, key=is_grave, reverse=True)
    return f'<ul class="gair-notices">{"".join(map(_warning_html, ordered))}</ul>'


def notice_html(kind: str, text: str) -> str:
    """One line with an icon. ``kind`` is "grave", "warning" or "info"; ``text`` is plain."""
    sign = "i" if kind == "info" else "!"
    return (
        f'<div class="gair-notice gair-notice-{kind}"><span class="gair-sign" aria-hidden="true">'
        f"{sign}</span><span>{esc(text)}</span></div>"
    )


def is_grave(warning: str) -> bool:
    """Whether a warning takes the meaning out of every answer."""
    return "untrained" in warning.lower()


def _warning_html(warning: str) -> str:
    kind = "grave" if is_grave(warning) else "warning"
    return f"<li>{notice_html(kind, warning[:1].upper() + warning[1:])}</li>"
