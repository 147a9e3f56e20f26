"""Embeds frames: read and prepared ahead, one encoder pass a frame, then every cell of it by NILI.

Threads of their own read frames and prepare them while the encoder is at work; the cells of a frame
are read by the dense form of NILI.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gair.arrays import Bools, Floats, Halves, Ints
from gair.errors import ModelError
from gair.geo import Footprint
from gair.preprocess import remote_sensing_pixels
from gair.progress import Progress, Timings
from indexer.build.frames import FramePlan
from indexer.build.recipe import Recipe
from indexer.build.units import (
    INDEXED,
    MOSTLY_EMPTY,
    NO_DATA,
    OUTSIDE,
    WHOLE,
    BuildPlan,
    Outcome,
    Unit,
)
from indexer.imagery.source import FramePixels, ImagerySource
from indexer.index.picture.shades import packed, shaded
from indexer.index.token_maps import half_maps

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair, NiliForm

LOCATIONS_AT_ONCE = 4096
"""Places in one pass of the location encoder."""
LEAST_PLACES = 8
"""Fewer than these are computed more than once, in one pass."""
FRAMES_AHEAD = 16
"""Frames that wait, or are being read, before no further one is begun."""
READERS = 1
"""Threads that read. With more, rasterio's switching of Python's warnings off and on around itself
is felt from one in the other."""
MIN_VALID_SHARE = 0.5
"""A frame with less imagery than this is not used."""


@dataclass(frozen=True)
class ReadyFrame:
    """A frame that only has to be encoded."""

    frame: int
    """Row of the frame plan."""
    cells: Ints
    """(n,) its cells, as positions in ``unit.cells``."""
    xy: Floats
    """(n, 2) where they lie in it."""
    status: npt.NDArray[np.uint8]
    """(n,) what becomes of them."""
    valid_fraction: float
    """Share of the frame that the imagery covers."""
    pixels: Tensor | None
    """(1, C, H, W) input of the encoder; None where no cell would be read from it."""
    pictures: Mapping[str, bytes]
    """Its packed :mod:`shades <indexer.index.picture.shades>`, by day of those that show any of it,
    and under ``WHOLE`` what is encoded, if it is."""


@dataclass(eq=False)
class FrameReader:
    """Reads the frames of units, in their order. The ``with`` block ends its threads."""

    imagery: ImagerySource
    plan: BuildPlan
    units: Sequence[Unit]
    frame_px: int
    """Side of the encoder's input."""
    timings: Timings

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="frame-reader")

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[ReadyFrame]:
        """The frames of the first unit, then of the next one, and so on."""
        waiting: deque[Future[ReadyFrame]] = deque()
        for unit in self.units:
            for frame, cells in _cells_of_frames(unit, self.plan.frames).items():
                waiting.append(self._pool.submit(self._ready, frame, unit, cells))
                # What is read ahead crosses the borders of units, so that the encoder never waits
                # there.
                if len(waiting) > FRAMES_AHEAD:
                    yield self._next(waiting.popleft())
        while waiting:
            yield self._next(waiting.popleft())

    def _next(self, waited_for: Future[ReadyFrame]) -> ReadyFrame:
        since = time.perf_counter()
        ready = waited_for.result()
        self.timings.add("waiting for imagery", since)
        return ready

    def _ready(self, frame: int, unit: Unit, cells: Ints) -> ReadyFrame:
        """Read a frame; ``cells`` are its own, as positions in ``unit.cells``."""
        since = time.perf_counter()
        side_px = int(self.plan.frames.frame_px[frame])
        pixels, days = self._read(self.plan.frames.footprint(frame), (side_px, side_px))
        since = self.timings.add_beside("reading", since)
        ready = self._prepared(frame, cells, unit, pixels, days)
        self.timings.add_beside("preprocessing", since)
        return ready

    def _read(
        self, footprint: Footprint, shape: tuple[int, int]
    ) -> tuple[FramePixels, Mapping[str, FramePixels]]:
        """A frame, and the days of it that pictures are kept of, which are read no second time."""
        if days := self.plan.days:
            return self.imagery.read_with_days(footprint, shape, days)
        return self.imagery.read(footprint, shape), {}

    def _prepared(
        self,
        frame: int,
        cells: Ints,
        unit: Unit,
        pixels: FramePixels,
        days: Mapping[str, FramePixels],
    ) -> ReadyFrame:
        lonlat_deg = self.plan.cells.lonlat_deg[unit.cells[cells]]
        xy = self.plan.frames.footprint(frame).frame_xy(lonlat_deg)
        here = _valid_at(pixels, xy)
        enough = pixels.valid_fraction >= MIN_VALID_SHARE
        status = np.where(here, INDEXED if enough else MOSTLY_EMPTY, NO_DATA).astype(np.uint8)
        prepared, pictures = None, {day: _picture(seen) for day, seen in days.items()}
        if enough and here.any() and not self._stop.is_set():
            prepared = remote_sensing_pixels(pixels.dn[None], self.frame_px)
            pictures[WHOLE] = _picture(pixels)
        return ReadyFrame(frame, cells, xy, status, pixels.valid_fraction, prepared, pictures)


def _picture(pixels: FramePixels) -> bytes:
    return packed(shaded(pixels.dn, pixels.valid))


def _cells_of_frames(unit: Unit, plan: FramePlan) -> dict[int, Ints]:
    """The cells of each frame of a unit, as positions in ``unit.cells``."""
    frame_of_cell = plan.frame_of_cell[unit.cells]
    # Sorted by frame, the cells of a frame are one run; a stable sort leaves them ascending.
    order = np.argsort(frame_of_cell, kind="stable")
    begin = np.searchsorted(frame_of_cell[order], unit.frames)
    end = np.searchsorted(frame_of_cell[order], unit.frames, side="right")
    return {frame: order[a:b] for frame, a, b in zip(unit.frames.tolist(), begin, end, strict=True)}


def _valid_at(pixels: FramePixels, xy: Floats) -> Bools:
    """(n,) whether the pixel under each of (n, 2) frame coordinates is real imagery."""
    height, width = pixels.valid.shape
    column = np.clip(((xy[:, 0] + 1) / 2 * width).astype(int), 0, width - 1)
    row = np.clip(((xy[:, 1] + 1) / 2 * height).astype(int), 0, height - 1)
    return np.asarray(pixels.valid[row, column])


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
    pictures: dict[str, dict[int, bytes]]
    """By day, or under ``WHOLE``, frame to its packed shades."""


class Encoders:
    """Frames, points and places to float32; matrix products in the precision of a recipe.

    In bfloat16 the imagery encoder and NILI's convolution are copies whose weights are rounded
    once. The location encoder keeps its weights and rounds them on the way, as its phases need
    float32 (:mod:`gair.encoders.location`); so do NILI's weights of the four corners.
    """

    def __init__(self, model: Gair, recipe: Recipe, most_cells_a_frame: int = 0) -> None:
        """Prepare the copies.

        Args:
            model: what computes.
            recipe: how.
            most_cells_a_frame: of any frame of a plan. It says in which form NILI reads every
                frame of it, so that a frame's vectors do not depend on its company in a pass; 0
                leaves the choice to each pass.
        """
        self.model = model
        self._most_cells = most_cells_a_frame
        self._mode: QueryMode = recipe.query_mode
        self._low: nn.Module | None = None
        self._low_inr = model.inr
        if recipe.precision == "bfloat16":
            self._low = copy.deepcopy(model.remote_sensing).to(torch.bfloat16)
            self._low_inr = copy.deepcopy(model.inr).to(torch.bfloat16)

    def token_maps(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels to (B, h, w, D)."""
        pixels = pixels.to(self.model.device)
        if self._low is None:
            return self.model.encode_remote_sensing(pixels)
        maps: Tensor = self._low(pixels.to(torch.bfloat16)).float()
        return maps

    def at_points(self, token_maps: Tensor, xy: Tensor) -> Tensor:
        """(B, h, w, D) token maps read at (B, N, 2) points: (B, N, D) of unit length."""
        model, xy = self.model, xy.to(self.model.device)
        # With few points the general form is less work than a convolution of the whole map: the
        # border is that of gair.encoders.inr, which chooses the form in the same way.
        tokens = token_maps.shape[1] * token_maps.shape[2]
        many = 4 * (self._most_cells or xy.shape[1]) >= tokens and not model.config.inr_hidden
        if self._low is None or self._mode != "nili" or not many:
            form: NiliForm = "dense" if many else "general"
            return model.localize(token_maps, xy, mode=self._mode, form=form)
        convolved = self._low_inr.convolved(token_maps.to(torch.bfloat16))
        return nn.functional.normalize(model.inr.blend(convolved.float(), xy), dim=-1)

    def at_places(self, lonlat_deg: Tensor) -> Tensor:
        """(N, 2) degrees to (N, D) of unit length."""
        places = lonlat_deg.to(self.model.device)
        # Up to three rows are multiplied in another way (MKL): their last digits would show it.
        more = -(-LEAST_PLACES // len(places)) if 0 < len(places) < LEAST_PLACES else 1
        with self._lower():
            return self.model.encode_location(places.repeat(more, 1)).float()[: len(places)]

    def _lower(self) -> contextlib.AbstractContextManager[object]:
        if self._low is None:
            return contextlib.nullcontext()
        return torch.autocast(self.model.device.type, torch.bfloat16)


def embed_units(
    model: Gair,
    imagery: ImagerySource,
    plan: BuildPlan,
    units: Sequence[Unit],
    recipe: Recipe,
    *,
    timings: Timings | None = None,
    progress: Progress | None = None,
) -> Generator[UnitVectors]:
    """The vectors of units, one after the other; imagery is read ahead across their borders.

    A unit's vectors do not depend on the other units, so it can be computed in any company.

    Args:
        model: the encoders and the INR.
        imagery: where pixels come from; read by background threads.
        plan: cells, frames, and the frame of each cell.
        units: what to compute.
        recipe: how.
        timings: collects where the time goes.
        progress: counts cells.

    Raises:
        ImageryError: a file cannot be read.
        ModelError: the model's vectors are not finite.
    """
    timings = timings or Timings()
    frames_with_cells = plan.frames.frame_of_cell[plan.frames.frame_of_cell >= 0]
    most_cells = int(np.bincount(frames_with_cells, minlength=1).max())
    encoders = Encoders(model, recipe, most_cells)
    with FrameReader(imagery, plan, units, model.config.rs_frame_px, timings) as reader:
        frames = iter(reader)
        for unit in units:
            work = _UnitWork(encoders, recipe, unit, timings)
            for ready in itertools.islice(frames, len(unit.frames)):
                work.take(ready)
                if progress is not None:
                    progress.advance(len(ready.cells))
            work.flush()
            kept = np.flatnonzero(work.vectors.status == INDEXED)
            places = plan.cells.lonlat_deg[unit.cells[kept]]
            work.vectors.location[kept] = embed_locations(encoders, places, timings=timings)
            yield work.vectors


def embed_locations(
    encoders: Encoders, lonlat_deg: Floats, *, timings: Timings | None = None
) -> Halves:
    """The location embedding of each place: (N, 2) degrees to (N, D) unit vectors."""
    timings = timings or Timings()
    vectors = np.zeros((len(lonlat_deg), encoders.model.config.dim), dtype=np.float16)
    for start in range(0, len(lonlat_deg), LOCATIONS_AT_ONCE):
        since = time.perf_counter()
        places = lonlat_deg[start : start + LOCATIONS_AT_ONCE]
        with torch.inference_mode():
            embedded = encoders.at_places(torch.from_numpy(places).to(torch.float32))
        vectors[start : start + len(places)] = _to_half(embedded)
        timings.add("location encoder", since)
    return vectors


class _UnitWork:
    """The vectors of one unit, as they come."""

    def __init__(self, encoders: Encoders, recipe: Recipe, unit: Unit, timings: Timings) -> None:
        config = encoders.model.config
        grid, dim, cells, frames = config.rs_grid, config.dim, len(unit.cells), len(unit.frames)
        tokens = np.zeros((frames, grid, grid, dim), dtype=np.float16)
        self._encoders = encoders
        self._frames_at_once = recipe.frames_at_once
        self._timings = timings
        self._batch: list[ReadyFrame] = []
        self.vectors = UnitVectors(
            status=np.full(cells, OUTSIDE, dtype=np.uint8),
            valid_fraction=np.zeros(frames),
            unit=unit,
            remote=np.zeros((cells, dim), dtype=np.float16),
            location=np.zeros((cells, dim), dtype=np.float16),
            tokens=tokens if recipe.keep_token_maps else None,
            pictures={},
        )
        """Filled as frames come; all there when every frame has come and nothing waits."""

    def take(self, ready: ReadyFrame) -> None:
        """Count a frame in, and encode when enough have come."""
        place = np.searchsorted(self.vectors.unit.frames, ready.frame)
        self.vectors.valid_fraction[place] = ready.valid_fraction
        self.vectors.status[ready.cells] = ready.status
        if ready.pixels is not None:
            self._batch.append(ready)
        for day, picture in ready.pictures.items():
            self.vectors.pictures.setdefault(day, {})[ready.frame] = picture
        if len(self._batch) == self._frames_at_once:
            self.flush()

    def flush(self) -> None:
        """Encode what waits."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        encoders, timings = self._encoders, self._timings
        since = time.perf_counter()
        here = [frame.status == INDEXED for frame in batch]
        # Frames have unlike numbers of cells: their points, (B, most, 2), are filled up with the
        # middle of the frame, and what is read there is dropped.
        xy = torch.zeros(len(batch), max(int(which.sum()) for which in here), 2)
        for row, (frame, which) in enumerate(zip(batch, here, strict=True)):
            xy[row, : which.sum()] = torch.from_numpy(frame.xy[which])
        pixels = torch.cat([frame.pixels for frame in batch if frame.pixels is not None])
        with torch.inference_mode():
            token_maps = encoders.token_maps(pixels)
            since = timings.add("imagery encoder", since)
            vectors = encoders.at_points(token_maps, xy)
            for row, (frame, which) in enumerate(zip(batch, here, strict=True)):
                self.vectors.remote[frame.cells[which]] = _to_half(vectors[row, : which.sum()])
        since = timings.add("dense sampling", since)
        if self.vectors.tokens is not None:
            rows = np.searchsorted(self.vectors.unit.frames, [frame.frame for frame in batch])
            self.vectors.tokens[rows] = half_maps(token_maps)
            timings.add("keeping token maps", since)


def _to_half(vectors: Tensor) -> Halves:
    if not bool(torch.isfinite(vectors).all()):
        raise ModelError("the model gave vectors that are not finite: its weights are damaged")
    return vectors.to("cpu", torch.float16).numpy()
