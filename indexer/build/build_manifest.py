"""What a finished build says about itself: its manifest, its warnings, its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from indexer.build.frames import FramePlan
from indexer.build.outcome import Outcome
from indexer.index.manifest import SCHEMA_VERSION, FileRecord, Manifest, ModelRecord
from indexer.index.storage import LOCATION_FILE, RS_FILE, TOKENS_FILE
from indexer.regions.cells import Cells
from indexer.regions.region import Region

if TYPE_CHECKING:
    from gair.model import Gair

METRIC = "inner product of L2-normalised vectors, rounded to half precision"
CONTAINMENT = "center"
SYNTHETIC = "synthetic"
"""Stands in the name of a model that saw no real place in training."""
_LIBRARIES = ("torch", "timm", "faiss-cpu", "faiss-gpu", "h3", "duckdb", "rasterio", "numpy")


def make_manifest(
    *,
    name: str,
    build: str,
    region: Region,
    imagery: dict[str, Any],
    imagery_warnings: Sequence[str],
    model: Gair,
    model_source: str,
    model_fingerprint: str,
    cells: Cells,
    plan: FramePlan,
    outcome: Outcome,
    query_mode: str,
    token_shape: tuple[int, int, int, int] | None,
    seconds: Mapping[str, float],
    files: dict[str, FileRecord],
    computed: dict[str, Any],
    content_sha256: str,
    search: dict[str, Any],
) -> Manifest:
    """The manifest of a build whose files are all written."""
    missing = outcome.missing()
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        build=build,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        model=ModelRecord(
            name=model.info.name,
            source=model_source,
            licence=model.info.licence,
            trained=model.info.trained,
            fingerprint=model_fingerprint,
        ),
        region={
            "name": region.name,
            "area_km2": round(region.area_km2, 3),
            "bbox_wsen_deg": [round(v, 6) for v in region.bbox_wsen_deg],
            "polygon_sha256": region.sha256,
            "attribution": region.attribution,
        },
        h3_resolution=cells.resolution,
        containment=CONTAINMENT,
        cells_in_region=len(cells),
        cells_indexed=len(cells) - sum(missing.values()),
        missing=missing,
        frames={
            "count": len(plan.bounds_wsen_m),
            "crs": "EPSG:3857",
            "side_m": plan.side_m,
            "inner_share": plan.inner_share,
            "incomplete": outcome.incomplete_frames,
        },
        imagery=imagery,
        query_mode=query_mode,
        metric=METRIC,
        vectors={
            kind: {"file": file, "dim": model.config.dim, "type": "float16"}
            for kind, file in (("rs", RS_FILE), ("location", LOCATION_FILE))
        },
        tokens=None
        if token_shape is None
        else {"file": TOKENS_FILE, "shape": list(token_shape), "type": "float16"},
        warnings=[
            *_model_warnings(model),
            *imagery_warnings,
            *_coverage_warnings(region, cells, outcome),
        ],
        libraries=_library_versions(),
        seconds={part: round(s, 3) for part, s in seconds.items()},
        files=files,
        computed=computed,
        content_sha256=content_sha256,
        search=search,
    )


def summary_lines(manifest: Manifest) -> list[str]:
    """A finished build as lines for a terminal."""
    m = manifest
    total_s = m.seconds["total"]
    speed = f"({m.cells_indexed / total_s:,.0f} cells/s)"
    if resumed := m.computed.get("units_resumed", 0):
        speed = f"({resumed:,} of {m.computed['units']:,} units were there)"
    return [
        f"index {m.name}, build {m.build}",
        f"  {m.cells_indexed:,} of {m.cells_in_region:,} cells at H3 resolution "
        f"{m.h3_resolution}, {m.frames['count']:,} frames, {total_s:,.1f} s {speed}",
        f"  model {m.model.name}, licence {m.model.licence}",
        f"  imagery: {m.imagery['attribution']}",
        *[f"  note: {warning}" for warning in m.warnings],
    ]


def _model_warnings(model: Gair) -> list[str]:
    name = model.info.name
    if not model.info.trained:
        return [
            f"the model {name} is untrained: its weights are random and the places it ranks mean "
            "nothing"
        ]
    if SYNTHETIC in name.lower():
        return [
            f"the model {name} was trained on synthetic cities and knows nothing of real places"
        ]
    return []


def _coverage_warnings(region: Region, cells: Cells, outcome: Outcome) -> list[str]:
    found = []
    for reason, count in sorted(outcome.missing().items()):
        share = cells.area_m2[outcome.lost_for(reason)].sum() / cells.area_m2.sum()
        found.append(
            f"{count:,} cells ({share:.1%} of the area of {region.name}) are not indexed: {reason}"
        )
    if outcome.incomplete_frames:
        found.append(
            f"{outcome.incomplete_frames:,} of {len(outcome.valid_fraction):,} frames reach past "
            "the imagery; the missing pixels were filled from their neighbours"
        )
    return found


def _library_versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
