"""Facts of an index: the line and the warnings at the top of the page, and the panel Explore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.views.templates import render
from app.views.wording import counted, is_grave
from indexer.search.weights import default_weights

if TYPE_CHECKING:
    from indexer.ground.manifest import ReferenceManifest
    from indexer.index.index import Index
    from indexer.photos.encoder import Runtime
    from indexer.probability.calibration import Calibration
    from indexer.search.space import SearchSpace

UNTRAINED = "Untrained model: the places mean nothing."
_UNCALIBRATED = "uncalibrated"
_MOST_DATES = 12
"""Days of imagery that are listed; of more the first and the last are told."""


def facts_line_html(space: SearchSpace) -> str:
    """The index in one line: cells, model, terms, credit."""
    uncalibrated = any(w.lower().startswith(_UNCALIBRATED) for w in space.warnings)
    return render(
        "facts_line.html",
        manifest=space.index.manifest,
        runtime=space.runtime,
        attribution=space.attribution,
        uncalibrated=uncalibrated,
    )


def standing_warnings_html(space: SearchSpace) -> str:
    """Warnings that hold for every search: grave ones in full, the others folded away.

    One about an untrained model is always among them.
    """
    warnings = space.warnings
    if not (space.index.manifest.model.trained or any(map(is_grave, warnings))):
        warnings = (UNTRAINED, *warnings)
    return render("standing_warnings.html", warnings=warnings)


def explore_html(
    index: Index,
    calibration: Calibration | None,
    references: ReferenceManifest | None = None,
    runtime: Runtime = "torch",
) -> str:
    """Facts of an open index, of its reference photos, and how a search weighs its vectors."""
    m = index.manifest
    scenes = _scenes(m.imagery)
    levels = {str(scene["level"]) for scene in scenes if scene.get("level")} - {"unknown"}
    return render(
        "explore.html",
        m=m,
        lost=[(reason, counted(count, "cell")) for reason, count in sorted(m.missing.items())],
        dates=imagery_dates(m.imagery),
        scenes=scenes,
        levels=sorted(levels),
        made=m.created_utc.replace("T", " ").removesuffix("+00:00"),
        chips_kept=bool(index.pictures or index.chips),
        size_bytes=sum(record.size_bytes for record in m.files.values()),
        calibration=calibration,
        weights=default_weights(m.model, calibration),
        references=references,
        runtime=runtime,
    )


def imagery_dates(imagery: dict[str, Any]) -> str:
    """Days of the scenes of a manifest, or the first and the last of many."""
    days = sorted({str(date)[:10] for scene in _scenes(imagery) for date in scene.get("dates", [])})
    if not days:
        return "not recorded"
    if len(days) <= _MOST_DATES:
        return ", ".join(days)
    return f"{days[0]} to {days[-1]}, {len(days)} days"


def _scenes(imagery: dict[str, Any]) -> list[dict[str, Any]]:
    return [scene for scene in imagery.get("scenes", []) if isinstance(scene, dict)]
