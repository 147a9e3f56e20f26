"""What an index is: where, from what imagery, how built, and where it has holes."""

from __future__ import annotations

from typing import Any

from app.views.markup import counted, esc, rows_html
from indexer.index.index import Index
from indexer.index.manifest import Manifest
from indexer.probability.calibration import Calibration

_MOST_DATES = 12


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


def comparison_html(first: str, second: str, cosine: float) -> str:
    """How alike two photos are to the model."""
    width = max(0.0, min(1.0, cosine)) * 100
    return (
        '<div class="gair-comparison" role="status">'
        f"<p><b>{cosine:.3f}</b> cosine of {esc(first)} with {esc(second)}</p>"
        f'<span class="gair-meter"><i style="width:{width:.1f}%"></i></span>'
        '<p class="gair-fine">1 for the same picture. It says how alike the model finds them, not '
        "how likely they show one place: that is not calibrated.</p></div>"
    )
