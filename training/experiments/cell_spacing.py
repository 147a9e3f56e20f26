"""Measures error and size against the spacing of cells: what are fine cells worth when refined?

The same imagery is indexed at several H3 resolutions, and the same photos are searched in each: the
best cell as it is, and refined between cells (:mod:`indexer.search.refine`). From the command
line::

    python -m training.experiments.cell_spacing IMAGERY PHOTOS --model shipped:demo
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from gair.command import run_script
from gair.errors import UsageError
from gair.fields import option
from gair.geo import haversine_m

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.imagery.source import ImagerySource
    from indexer.index.index import Index
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.refine import Estimate, RefineOptions
    from indexer.search.token_reader import TokenReader

Rows = list[dict[str, Any]]

RESOLUTIONS = (9, 10, 11)

_PHOTOS_AT_ONCE = 64


@dataclass(frozen=True)
class SpacingOptions:
    """Weights and radii that photos are searched and judged with."""

    rs_weight: float = 20.0
    """Factor of the imagery's cosine, as a calibration gives it: the refined mean depends on it."""
    location_weight: float = 0.0
    """Factor of the location's cosine: 0 where the model never saw these places."""
    radius_m: float | None = None
    """How far refinement may go; None: its own default."""
    radii_m: tuple[float, ...] = option((50.0, 100.0, 200.0), many="commas")
    """Within which the best guess counts as right."""
    near_m: float = 500.0
    """Errors are averaged over photos whose best cell is this near at every resolution: what lies
    farther away, refinement cannot mend."""


def spacing_table(
    imagery: ImagerySource,
    model: Gair,
    photos: PhotoVectors,
    resolutions: Sequence[int] = RESOLUTIONS,
    options: SpacingOptions | None = None,
) -> Rows:
    """Index imagery at several resolutions and search photos in each.

    Args:
        imagery: all that it covers is indexed, in a temporary folder.
        model: the model that made the photos' vectors, too.
        photos: one without a vector or a place counts as not found.
        resolutions: of H3.
        options: weights and radii.

    Returns:
        Three rows a resolution: ``refined`` is "no", "peak" or "mean".

    Raises:
        UsageError: no photo has a vector and a place.
    """
    options = options or SpacingOptions()
    if not photos.usable.any():
        raise UsageError("no photo has both a vector and a place: nothing can be measured")
    rows: Rows = []
    errors: list[Floats] = []
    with tempfile.TemporaryDirectory() as folder:
        for resolution in resolutions:
            index, build_s = _built(imagery, model, resolution, Path(folder))
            for row, error_m in _searched(index, model, photos, options):
                rows.append({"resolution": resolution, **row, "build_s": build_s})
                errors.append(error_m)
    first = [error for row, error in zip(rows, errors, strict=True) if row["refined"] == "no"]
    near = np.all([error <= options.near_m for error in first], axis=0)
    for row, error in zip(rows, errors, strict=True):
        row["photos"] = len(error)
        row["recall"] = {f"{r:g}": float((error <= r).mean()) for r in options.radii_m}
        row["near_photos"] = int(near.sum())
        row["near_median_m"] = float(np.median(error[near])) if near.any() else None
        row["near_mean_m"] = float(error[near].mean()) if near.any() else None
    return rows


def _built(
    imagery: ImagerySource, model: Gair, resolution: int, folder: Path
) -> tuple[Index, float]:
    from indexer.build.build import BuildOptions, build_index
    from indexer.index.index import open_index
    from indexer.regions.region import Region

    since = time.perf_counter()
    name = f"r{resolution}"
    region = Region(name, imagery.coverage, attribution="")
    options = BuildOptions(resolution=resolution, quiet=True)
    build_index(name, region, imagery, model, folder, options=options)
    return open_index(folder / name), time.perf_counter() - since


def _searched(
    index: Index, model: Gair, photos: PhotoVectors, options: SpacingOptions
) -> list[tuple[dict[str, Any], Floats]]:
    """For each kind of refinement a row and (P,) errors; infinite where there is no answer."""
    from indexer.search.refine import RefineOptions, default_radius_m
    from indexer.search.token_reader import TokenReader

    reader = TokenReader(index, model)
    sizes = {name: record.size_bytes / 1e6 for name, record in index.manifest.files.items()}
    token_mb = sizes.pop("tokens.npy")
    about = {
        "cells": len(index.cells),
        "spacing_m": reader.field.spacing_m,
        "megabytes": sum(sizes.values()),
        "token_megabytes": token_mb,
    }
    usable = np.flatnonzero(photos.usable)
    place = np.full((len(photos.s), 2), np.nan)
    place[usable] = index.cells.lonlat_deg[_best_cells(index, photos.s[usable], options)]
    error_m = _error_m(place, photos)
    rows: list[tuple[dict[str, Any], Floats]] = [({**about, "refined": "no"}, error_m)]
    estimates: tuple[Estimate, ...] = ("peak", "mean")
    for estimate in estimates:
        radius_m = options.radius_m or default_radius_m(reader, estimate)
        # From farther away no refinement reaches what is counted.
        close = np.flatnonzero(error_m <= max(options.near_m, *options.radii_m) + radius_m)
        weights = (options.rs_weight, options.location_weight)
        wanted = RefineOptions(*weights, radius_m, estimate)
        since = time.perf_counter()
        refined = _refined(reader, photos, place, close, wanted)
        ms = 1000 * (time.perf_counter() - since) / max(1, len(close))
        row = {**about, "refined": estimate, "radius_m": radius_m, "refine_ms": ms}
        rows.append((row, _error_m(refined, photos)))
    return rows


def _best_cells(
    index: Index, s: npt.NDArray[np.float32], options: SpacingOptions
) -> npt.NDArray[np.int64]:
    best = []
    for start in range(0, len(s), _PHOTOS_AT_ONCE):
        block = s[start : start + _PHOTOS_AT_ONCE]
        scores = options.rs_weight * index.rs.scores(block)  # (B, N)
        if options.location_weight:
            scores += options.location_weight * index.location.scores(block)
        best.append(scores.argmax(axis=1))
    return np.concatenate(best)


def _refined(
    reader: TokenReader,
    photos: PhotoVectors,
    place: Floats,
    rows: npt.NDArray[np.int64],
    options: RefineOptions,
) -> Floats:
    from indexer.search.refine import refine

    refined = place.copy()
    for row in rows:
        best = refine(reader, photos.s[row], place[row], options)
        refined[row] = best.lon_deg, best.lat_deg
    return refined


def _error_m(place: Floats, photos: PhotoVectors) -> Floats:
    away_m = haversine_m(place, photos.lonlat_deg)
    return np.where(np.isfinite(away_m), away_m, np.inf)


def table_text(rows: Rows) -> str:
    """The rows as a Markdown table."""
    radii = list(rows[0]["recall"])
    names = ["H3", "cells", "spacing m", "MB", "+ tokens MB", "refined"]
    names += [f"R@1 {radius} m" for radius in radii] + ["near: median m", "mean m", "ms"]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [row["resolution"], f"{row['cells']:,}", f"{row['spacing_m']:.0f}"]
        cells += [f"{row['megabytes']:.1f}", f"{row['token_megabytes']:.1f}", row["refined"]]
        cells += [f"{row['recall'][radius]:.1%}" for radius in radii]
        for name in ("near_median_m", "near_mean_m", "refine_ms"):
            cells.append("" if row.get(name) is None else f"{row[name]:.1f}")
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    near = f"near: {rows[0]['near_photos']:,} of {rows[0]['photos']:,} photos"
    return "\n".join([*lines, "", near])


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    return run_script(
        _Arguments,
        _run,
        argv,
        prog="python -m training.experiments.cell_spacing",
        description="Error and size against the spacing of cells, with and without refinement.",
    )


@dataclass(frozen=True)
class _Arguments:
    """What a command line gives."""

    imagery: Path = option(positional=True, metavar="IMAGERY")
    """Sentinel-2 files; all they cover is indexed."""
    photos: Path = option(positional=True, metavar="PHOTOS")
    """A folder of photos with GPS, or a manifest."""
    model: str = option(metavar="MODEL")
    """Folder, or shipped:NAME."""
    resolutions: tuple[int, ...] = option(RESOLUTIONS, many="commas", metavar="R,R,...")
    """Of H3."""
    options: SpacingOptions = SpacingOptions()
    """How photos are searched and judged."""
    json: bool = False
    """Rows as JSON."""


def _run(arguments: _Arguments) -> int:
    from gair.model import Gair
    from indexer.imagery import open_imagery
    from indexer.photos.vectors import photo_vectors
    from indexer.search.geolocator import Geolocator

    model = Gair.from_pretrained(arguments.model)
    with open_imagery(arguments.imagery) as imagery:
        with tempfile.TemporaryDirectory() as folder:
            index, _ = _built(imagery, model, min(arguments.resolutions), Path(folder))
            photos = photo_vectors(Geolocator(index, model), arguments.photos, cache=None)
        rows = spacing_table(imagery, model, photos, arguments.resolutions, arguments.options)
    print(json.dumps(rows, indent=1) if arguments.json else table_text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
