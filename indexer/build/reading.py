"""Reads and prepares frames ahead of the encoder, in threads of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gair.preprocess import remote_sensing_pixels
from gair.progress import Timings
from indexer.build.frames import Block, FramePlan, blocks_of
from indexer.build.units import INDEXED, MOSTLY_EMPTY, NO_DATA, BuildPlan, Unit
from indexer.imagery.source import FramePixels, ImagerySource
from indexer.index.chips import jpeg_of

if TYPE_CHECKING:
    from torch import Tensor

FRAMES_AHEAD = 16
"""Frames that wait before no further block of them is read."""
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
    cells: npt.NDArray[np.int64]
    """(n,) its cells, as positions in ``unit.cells``."""
    xy: npt.NDArray[np.float64]
    """(n, 2) where they lie in it."""
    status: npt.NDArray[np.uint8]
    """(n,) what becomes of them."""
    valid_fraction: float
    """Share of the frame that the imagery covers."""
    pixels: Tensor | None
    """(1, C, H, W) input of the encoder; None where no cell would be read from it."""
    picture: bytes | None
    """JPEG for people (:mod:`indexer.index.chips`); None where the frame is not encoded."""


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
        waiting: deque[tuple[int, Future[list[ReadyFrame]]]] = deque()
        ahead = 0
        for unit in self.units:
            cells_of = _cells_of_frames(unit, self.plan.frames)
            for block in blocks_of(self.plan.frames, unit.frames):
                cells = [cells_of[frame] for frame in block.frames.tolist()]
                waiting.append((len(cells), self._pool.submit(self._ready, block, unit, cells)))
                ahead += len(cells)
                # Enough wait behind the oldest block: it is handed out before more is read. What is
                # read ahead crosses the borders of units, so that the encoder never waits there.
                while ahead - waiting[0][0] >= FRAMES_AHEAD:
                    ahead -= waiting[0][0]
                    yield from self._next(waiting.popleft()[1])
        while waiting:
            yield from self._next(waiting.popleft()[1])

    def _next(self, block: Future[list[ReadyFrame]]) -> list[ReadyFrame]:
        since = time.perf_counter()
        ready = block.result()
        self.timings.add("waiting for imagery", since)
        return ready

    def _ready(
        self, block: Block, unit: Unit, cells: Sequence[npt.NDArray[np.int64]]
    ) -> list[ReadyFrame]:
        """Read a block; ``cells`` are those of its frames, as positions in ``unit.cells``."""
        since = time.perf_counter()
        pixels = self.imagery.read(block.footprint, block.shape)
        since = self.timings.add_beside("reading", since)
        ready = [
            self._prepared(frame, own, unit, block.cut(pixels, number))
            for number, (frame, own) in enumerate(zip(block.frames.tolist(), cells, strict=True))
        ]
        self.timings.add_beside("preprocessing", since)
        return ready

    def _prepared(
        self, frame: int, cells: npt.NDArray[np.int64], unit: Unit, pixels: FramePixels
    ) -> ReadyFrame:
        lonlat_deg = self.plan.cells.lonlat_deg[unit.cells[cells]]
        xy = self.plan.frames.footprint(frame).frame_xy(lonlat_deg)
        here = _valid_at(pixels, xy)
        enough = pixels.valid_fraction >= MIN_VALID_SHARE
        status = np.where(here, INDEXED if enough else MOSTLY_EMPTY, NO_DATA).astype(np.uint8)
        prepared = picture = None
        if enough and here.any() and not self._stop.is_set():
            prepared = remote_sensing_pixels(pixels.dn[None], self.frame_px)
            picture = jpeg_of(pixels.dn)
        return ReadyFrame(frame, cells, xy, status, pixels.valid_fraction, prepared, picture)


def _cells_of_frames(unit: Unit, plan: FramePlan) -> dict[int, npt.NDArray[np.int64]]:
    """The cells of each frame of a unit, as positions in ``unit.cells``."""
    frame_of_cell = plan.frame_of_cell[unit.cells]
    # Sorted by frame, the cells of a frame are one run; a stable sort leaves them ascending.
    order = np.argsort(frame_of_cell, kind="stable")
    begin = np.searchsorted(frame_of_cell[order], unit.frames)
    end = np.searchsorted(frame_of_cell[order], unit.frames, side="right")
    return {frame: order[a:b] for frame, a, b in zip(unit.frames.tolist(), begin, end, strict=True)}


def _valid_at(pixels: FramePixels, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """(n,) whether the pixel under each of (n, 2) frame coordinates is real imagery."""
    height, width = pixels.valid.shape
    column = np.clip(((xy[:, 0] + 1) / 2 * width).astype(int), 0, width - 1)
    row = np.clip(((xy[:, 1] + 1) / 2 * height).astype(int), 0, height - 1)
    return np.asarray(pixels.valid[row, column])
