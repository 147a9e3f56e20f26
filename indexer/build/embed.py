"""Frames to vectors: one encoder pass a frame, then every cell of it by the dense form of NILI."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gair.arrays import Halves
from gair.errors import ModelError
from gair.progress import Progress
from indexer.build.encoders import Towers
from indexer.build.frames import FramePlan
from indexer.build.outcome import INDEXED, OUTSIDE, Outcome
from indexer.build.reading import FrameReader, ReadyFrame
from indexer.build.recipe import Recipe
from indexer.build.timings import Timings
from indexer.build.units import Unit
from indexer.imagery.source import ImagerySource
from indexer.index.token_maps import half_maps

if TYPE_CHECKING:
    import torch

    from gair.config import QueryMode
    from gair.model import Gair
    from indexer.index.token_maps import TokenWriter


LOCATIONS_AT_ONCE = 4096
"""Places in one pass of the location encoder."""


@dataclass(frozen=True)
class UnitVectors(Outcome):
    """What one unit gave; N are its cells, F its frames."""

    unit: Unit
    remote: Halves
    """(N, D) unit vectors of the imagery; zero where a cell is not indexed."""
    location: Halves
    """(N, D) unit vectors of the places; zero where a cell is not indexed."""
    tokens: Halves | None
    """(F, h, w, D) token maps, zero where a frame was not encoded; None if they are not kept."""
    pictures: dict[int, bytes]
    """Frame to JPEG, of the frames that were encoded."""


@dataclass(frozen=True)
class RemoteSensingVectors(Outcome):
    """What the frames gave for the cells of a plan."""

    vectors: Halves
    """(N, D) unit vectors; zero where there is none."""


def embed_units(
    model: Gair,
    imagery: ImagerySource,
    plan: FramePlan,
    lonlat_deg: npt.NDArray[np.float64],
    units: Sequence[Unit],
    recipe: Recipe,
    *,
    locations: bool = True,
    timings: Timings | None = None,
    progress: Progress | None = None,
) -> Generator[UnitVectors]:
    """The vectors of units, one after the other; imagery is read ahead across their borders.

    A unit's vectors do not depend on the other units, so it can be computed in any company.

    Args:
        model: the encoders and the INR.
        imagery: where pixels come from; read by background threads.
        plan: frames, and the frame of each cell.
        lonlat_deg: (N, 2) centres of all cells.
        units: what to compute.
        recipe: how.
        locations: whether the location encoder runs too.
        timings: collects where the time goes.
        progress: counts cells.

    Raises:
        ImageryError: a file cannot be read.
        ModelError: the model's vectors are not finite.
    """
    timings = timings or Timings()
    towers = Towers(model, recipe)
    side = model.config.rs_frame_px
    with FrameReader(imagery, plan, lonlat_deg, units, side, timings) as reader:
        frames = iter(reader)
        for unit in units:
            work = _UnitWork(towers, recipe, unit, timings)
            for ready in itertools.islice(frames, len(unit.frames)):
                work.take(ready)
                if progress is not None:
                    progress.advance(len(ready.cells))
            work.flush()
            if locations:
                kept = np.flatnonzero(work.status == INDEXED)
                places = lonlat_deg[unit.cells[kept]]
                work.location[kept] = embed_locations(towers, places, timings=timings)
            yield work.result()


def embed_frames(
    model: Gair,
    imagery: ImagerySource,
    plan: FramePlan,
    lonlat_deg: npt.NDArray[np.float64],
    *,
    mode: QueryMode = "nili",
    tokens: TokenWriter | None = None,
    timings: Timings | None = None,
    quiet: bool = False,
) -> RemoteSensingVectors:
    """One vector for each cell that the plan assigns to a frame, all in memory.

    ``tokens`` keeps the token maps; the vectors are made before these are rounded. For the other
    arguments and the errors see :func:`embed_units`.
    """
    recipe = Recipe(query_mode=mode, keep_token_maps=tokens is not None)
    vectors = np.zeros((len(lonlat_deg), model.config.dim), dtype=np.float16)
    status = np.full(len(lonlat_deg), OUTSIDE, dtype=np.uint8)
    assigned = np.flatnonzero(plan.frame_of_cell >= 0)
    whole = Unit(0, np.arange(len(plan.bounds_wsen_m)), assigned)
    with Progress("imagery", total=len(assigned), unit="cell", quiet=quiet) as progress:
        (found,) = embed_units(
            model,
            imagery,
            plan,
            lonlat_deg,
            [whole],
            recipe,
            locations=False,
            timings=timings,
            progress=progress,
        )
    vectors[assigned], status[assigned] = found.remote, found.status
    if tokens is not None and found.tokens is not None:
        tokens.write(whole.frames, found.tokens)
    return RemoteSensingVectors(status, found.valid_fraction, vectors)


def embed_locations(
    towers: Towers, lonlat_deg: npt.NDArray[np.float64], *, timings: Timings | None = None
) -> Halves:
    """The location embedding of each place: (N, 2) degrees to (N, D) unit vectors."""
    import torch

    timings = timings or Timings()
    vectors = np.zeros((len(lonlat_deg), towers.model.config.dim), dtype=np.float16)
    for start in range(0, len(lonlat_deg), LOCATIONS_AT_ONCE):
        since = time.perf_counter()
        places = lonlat_deg[start : start + LOCATIONS_AT_ONCE]
        with torch.inference_mode():
            found = towers.at_places(torch.from_numpy(places).to(torch.float32))
        vectors[start : start + len(places)] = _to_half(found)
        timings.add("location encoder", since)
    return vectors


class _UnitWork:
    """The vectors of one unit, as they come."""

    def __init__(
        self,
        towers: Towers,
        recipe: Recipe,
        unit: Unit,
        timings: Timings,
    ) -> None:
        config = towers.model.config
        grid, dim = config.rs_grid, config.dim
        self._towers = towers
        self._recipe = recipe
        self._unit = unit
        self._timings = timings
        self._batch: list[ReadyFrame] = []
        self.status = np.full(len(unit.cells), OUTSIDE, dtype=np.uint8)
        self.location = np.zeros((len(unit.cells), dim), dtype=np.float16)
        self._pictures: dict[int, bytes] = {}
        self._remote = np.zeros((len(unit.cells), dim), dtype=np.float16)
        self._valid_fraction = np.zeros(len(unit.frames))
        self._tokens = None
        if recipe.keep_token_maps:
            self._tokens = np.zeros((len(unit.frames), grid, grid, dim), dtype=np.float16)

    def take(self, ready: ReadyFrame) -> None:
        """Count a frame in, and encode when enough have come."""
        self._valid_fraction[np.searchsorted(self._unit.frames, ready.frame)] = ready.valid_fraction
        self.status[ready.cells] = ready.status
        if ready.pixels is not None:
            self._batch.append(ready)
        if ready.picture is not None:
            self._pictures[ready.frame] = ready.picture
        if len(self._batch) == self._recipe.frames_at_once:
            self.flush()

    def flush(self) -> None:
        """Encode what waits."""
        import torch

        batch, self._batch = self._batch, []
        if not batch:
            return
        towers, timings = self._towers, self._timings
        since = time.perf_counter()
        here = [frame.status == INDEXED for frame in batch]
        xy = torch.zeros(len(batch), max(int(which.sum()) for which in here), 2)
        for row, (frame, which) in enumerate(zip(batch, here, strict=True)):
            xy[row, : which.sum()] = torch.from_numpy(frame.xy[which])
        pixels = torch.cat([frame.pixels for frame in batch if frame.pixels is not None])
        with torch.inference_mode():
            token_maps = towers.token_maps(pixels)
            since = timings.add("imagery encoder", since)
            found = towers.at_points(token_maps, xy)
            for row, (frame, which) in enumerate(zip(batch, here, strict=True)):
                self._remote[frame.cells[which]] = _to_half(found[row, : which.sum()])
        since = timings.add("dense sampling", since)
        if self._tokens is not None:
            rows = np.searchsorted(self._unit.frames, [frame.frame for frame in batch])
            self._tokens[rows] = half_maps(token_maps)
            timings.add("keeping token maps", since)

    def result(self) -> UnitVectors:
        """Everything, when all frames have come and nothing waits."""
        return UnitVectors(
            status=self.status,
            valid_fraction=self._valid_fraction,
            unit=self._unit,
            remote=self._remote,
            location=self.location,
            tokens=self._tokens,
            pictures=self._pictures,
        )


def _to_half(vectors: torch.Tensor) -> Halves:
    import torch

    if not bool(torch.isfinite(vectors).all()):
        raise ModelError("the model gave vectors that are not finite: its weights are damaged")
    return vectors.to("cpu", torch.float16).numpy()
