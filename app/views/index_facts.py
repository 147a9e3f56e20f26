"""Facts of an index: the line and the warnings at the top of the page, and the panel Explore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.views.markup import counted, esc, is_grave, rows_html, warnings_html

if TYPE_CHECKING:
    from indexer.index.index import Index
    from indexer.index.manifest import Manifest
    from indexer.probability.calibration import Calibration
    from indexer.search.geolocator import Geolocator

UNTRAINED = "Untrained model: the places mean nothing."
_UNCALIBRATED = "uncalibrated"
_MOST_DATES = 12
"""Days of imagery that are listed; of more the first and the last are told."""


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


def explore_html(index: Index, calibration: Calibration | None) -> str:
    """Facts of an open index."""
    m = index.manifest
    return (
        f'<section class="gair-card"><h2>{esc(m.name)}</h2>{rows_html(_region_rows(m))}'
        f"<h3>Coverage</h3>{_coverage_html(m)}</section>"
        f'<section class="gair-card"><h3>Imagery</h3>{rows_html(_imagery_rows(m.imagery))}'
        f"<h3>Build</h3>{rows_html(_build_rows(index))}"
        f"<h3>Calibration</h3>{_calibration_html(calibration)}</section>"
    )


def _region_rows(m: Manifest) -> list[tuple[str, str]]:
    return [
        ("Region", str(m.region.get("name", ""))),
        ("Area", f"{float(m.region.get('area_km2', 0)):,.1f} km²"),
        ("Cells", f"{m.cells_indexed:,} at H3 resolution {m.h3_resolution}"),
        ("Outline", str(m.region.get("attribution", ""))),
    ]


def _coverage_html(m: Manifest) -> str:
    share = m.cells_indexed / max(1, m.cells_in_region)
    lost = [(reason, counted(count, "cell")) for reason, count in sorted(m.missing.items())]
    if not lost:
        return '<p class="gair-fine">Every cell of the region is indexed: no holes.</p>'
    return (
        f'<p class="gair-fine">{share:.1%} of the cells of the region are indexed; the others are '
        f"hatched on the map.</p>{rows_html(lost)}"
    )


def _imagery_rows(imagery: dict[str, Any]) -> list[tuple[str, str]]:
    scenes = [scene for scene in imagery.get("scenes", []) if isinstance(scene, dict)]
    levels = sorted({str(scene["level"]) for scene in scenes if scene.get("level")} - {"unknown"})
    return [
        ("Dates", imagery_dates(imagery)),
        ("Scenes", counted(len(scenes), "scene") + (f", {', '.join(levels)}" if levels else "")),
        ("Resolution", f"{imagery['resolution_m']:g} m" if "resolution_m" in imagery else ""),
        ("Attribution", str(imagery.get("attribution", ""))),
        ("Licence", str(imagery.get("licence", ""))),
    ]


def imagery_dates(imagery: dict[str, Any]) -> str:
    """Days of the scenes of a manifest, or the first and the last of many."""
    scenes = [scene for scene in imagery.get("scenes", []) if isinstance(scene, dict)]
    days = sorted({str(date)[:10] for scene in scenes for date in scene.get("dates", [])})
    if not days:
        return "not recorded"
    if len(days) <= _MOST_DATES:
        return ", ".join(days)
    return f"{days[0]} to {days[-1]}, {len(days)} days"


def _build_rows(index: Index) -> list[tuple[str, str]]:
    m = index.manifest
    size = sum(record.size_bytes for record in m.files.values())
    return [
        ("Build", m.build),
        ("Made", m.created_utc.replace("T", " ").removesuffix("+00:00") + " UTC"),
        ("Model", m.model.name + ("" if m.model.trained else " (untrained)")),
        ("Model licence", m.model.licence),
        ("Frames", counted(int(m.frames.get("count", 0)), "frame")),
        ("Read as", m.query_mode),
        ("Between cells", "yes" if m.tokens else "no token maps kept"),
        ("Pictures", "kept" if index.chips else "none kept"),
        ("Took", f"{m.seconds.get('total', 0):,.1f} s"),
        ("Size", f"{size / 1e6:,.1f} MB"),
    ]


def _calibration_html(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            '<p class="gair-fine">None: scores rank places and are not probabilities. '
            "<code>python -m indexer calibrate</code> makes one from photos whose place is known."
            "</p>"
        )
    return rows_html(
        [
            ("Photos", f"{calibration.photos:,}"),
            ("Made", calibration.created_utc[:10]),
            ("Weight of the imagery", f"{calibration.weights.shares[0]:.2f}"),
        ]
    )
