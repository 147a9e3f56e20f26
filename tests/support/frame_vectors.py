"""Vectors of any cells by the encoders of a build, all in memory and without a build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gair.arrays import Halves
from gair.encoders.inr import QueryMode
from gair.model import Gair
from gair.progress import Timings
from indexer.build.embed import embed_units
from indexer.build.frames import FramePlan
from indexer.build.recipe import Recipe
from indexer.build.units import OUTSIDE, BuildPlan, Outcome, Unit
from indexer.imagery import ImagerySource
from indexer.index.token_maps import TokenWriter
from indexer.regions.cells import Cells


@dataclass(frozen=True)
class FrameVectors(Outcome):
    """What the frames gave for the cells of a plan."""

    vectors: Halves
    """(N, D) unit vectors of the imagery; zero where there is none."""


def embed_frames(
    model: Gair,
    imagery: ImagerySource,
    plan: FramePlan,
    lonlat_deg: npt.NDArray[np.float64],
    *,
    mode: QueryMode = "nili",
    tokens: TokenWriter | None = None,
    timings: Timings | None = None,
) -> FrameVectors:
    """One vector for each cell that the plan assigns to a frame, as of one unit of all frames."""
    recipe = Recipe(query_mode=mode, keep_token_maps=tokens is not None)
    vectors = np.zeros((len(lonlat_deg), model.config.dim), dtype=np.float16)
    status = np.full(len(lonlat_deg), OUTSIDE, dtype=np.uint8)
    assigned = np.flatnonzero(plan.frame_of_cell >= 0)
    whole = Unit(0, np.arange(len(plan.bounds_wsen_m)), assigned)
    count = len(lonlat_deg)
    cells = Cells(np.arange(count, dtype=np.uint64), lonlat_deg, np.ones(count), resolution=10)
    of_frames = BuildPlan(cells, plan, 0, (whole,))
    (unit,) = embed_units(model, imagery, of_frames, [whole], recipe, timings=timings)
    vectors[assigned], status[assigned] = unit.remote, unit.status
    if tokens is not None and unit.tokens is not None:
        tokens.write(whole.frames, unit.tokens)
    return FrameVectors(status, unit.valid_fraction, vectors)
