"""Frames to vectors: one encoder pass a frame, then every cell of it by the dense form of NILI."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gair.errors import ModelError
from gair.geo import Footprint
from gair.preprocess import remote_sensing_pixels
from indexer.frames import FramePlan
from indexer.imagery.source import FramePixels, ImagerySource
from indexer.progress import Progress

if TYPE_CHECKING:
    import torch

    from gair.inr import QueryMode
    from gair.model import Gair
    from indexer.token_maps import TokenWriter

FRAMES_AT_ONCE = 8
"""Frames in one encoder pass."""
LOCATIONS_AT_ONCE = 4096
"""Places in one pass of the location encoder."""
FRAMES_AHEAD = 16
"""Frames that are read before they are needed."""
MIN_VALID_SHARE = 0.5
"""A frame with less imagery than this is not used."""
FRAME_PX_RANGE = (96, 512)
"""Least and most pixels a frame is read at, before it is resized to the encoder's input."""

INDEXED, OUTSIDE, NO_DATA, MOSTLY_EMPTY = range(4)
"""What became of a cell."""
REASONS = {
    OUTSIDE: "outside the imagery",
    NO_DATA: "no data in the imagery",
    MOSTLY_EMPTY: "too little imagery around it",
}
"""Why a cell is not indexed, for people."""


@dataclass
class Timings:
    """Seconds spent in each part of the work."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, part: str, since: float) -> float:
        """Add the time since ``since`` to a part; returns now."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - since
        return now


@dataclass(frozen=True)
class RemoteSensingVectors:
    """What the frames gave for the cells of a plan."""

    vectors: npt.NDArray[np.float16]
    """(N, D) unit vectors; zero where there is none."""
    status: npt.NDArray[np.uint8]
    """(N,) ``INDEXED``, or which of :data:`REASONS` a cell has no vector for."""
    valid_fraction: npt.NDArray[np.float64]
    """(F,) share of each frame that the imagery covers."""

    @property
    def incomplete_frames(self) -> int:
        """How many frames reach past the imagery."""
        return int((self.valid_fraction < 1).sum())

    def missing(self) -> dict[str, int]:
        """How many cells are not indexed, by reason."""
        counts = {text: int((self.status == code).sum()) for code, text in REASONS.items()}
        return {text: count for text, count in counts.items() if count}

    def lost_for(self, reason: str) -> npt.NDArray[np.bool_]:
        """(N,) which cells are not indexed for this reason."""
        code = next(code for code, text in REASONS.items() if text == reason)
        return np.asarray(self.status == code)

    def reasons(self, cells: npt.NDArray[np.int64]) -> list[str]:
        """Why each of some cells is not indexed."""
        return [REASONS[int(code)] for code in self.status[cells]]


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
    """One vector for each cell that the plan assigns to a frame.

    Args:
        model: the encoder and the INR.
        imagery: where pixels come from; read by one background thread.
        plan: frames, and the frame of each cell.
        lonlat_deg: (N, 2) cell centres.
        mode: how token maps are read at the cells.
        tokens: keeps the token maps; the vectors are made before these are rounded.
        timings: collects where the time goes.
        quiet: no progress bar.

    Raises:
        ImageryError: a file cannot be read.
        ModelError: the model's vectors are not finite.
        StorageError: the disk refused token maps.
    """
    timings = timings or Timings()
    cells_of_frame = _group(plan)
    vectors = np.zeros((len(lonlat_deg), model.config.dim), dtype=np.float16)
    status = np.full(len(lonlat_deg), OUTSIDE, dtype=np.uint8)
    valid_fraction = np.zeros(len(plan.bounds_wsen_m))
    assigned = sum(len(cells) for cells in cells_of_frame)
    with (
        Progress("imagery", total=assigned, unit="cell", quiet=quiet) as progress,
        _FrameReader(imagery, plan) as reader,
    ):
        encode = _Encoder(model, mode, vectors, tokens, timings)
        batch: list[_Frame] = []
        for frame, pixels in reader:
            cells = cells_of_frame[frame]
            xy = plan.footprint(frame).frame_xy(lonlat_deg[cells])
            valid_fraction[frame] = pixels.valid_fraction
            here = _valid_at(pixels, xy)
            enough = pixels.valid_fraction >= MIN_VALID_SHARE
            status[cells] = np.where(here, INDEXED if enough else MOSTLY_EMPTY, NO_DATA)
            if enough and here.any():
                batch.append(_Frame(frame, pixels, xy[here], cells[here]))
            progress.advance(len(cells))
            if len(batch) == FRAMES_AT_ONCE:
                encode(batch)
                batch.clear()
        if batch:
            encode(batch)
    timings.seconds["waiting for imagery"] = reader.waited_s
    return RemoteSensingVectors(vectors, status, valid_fraction)


def embed_locations(
    model: Gair,
    lonlat_deg: npt.NDArray[np.float64],
    *,
    timings: Timings | None = None,
    quiet: bool = False,
) -> npt.NDArray[np.float16]:
    """The location embedding of each place: (N, 2) degrees to (N, D) unit vectors."""
    import torch

    timings = timings or Timings()
    vectors = np.zeros((len(lonlat_deg), model.config.dim), dtype=np.float16)
    with Progress("locations", total=len(lonlat_deg), unit="cell", quiet=quiet) as progress:
        for start in range(0, len(lonlat_deg), LOCATIONS_AT_ONCE):
            since = time.perf_counter()
            places = lonlat_deg[start : start + LOCATIONS_AT_ONCE]
            with torch.inference_mode():
                batch = torch.from_numpy(places).to(model.device, torch.float32)
                found = model.encode_location(batch)
            vectors[start : start + len(places)] = _to_half(found)
            progress.advance(len(places))
            timings.add("location encoder", since)
    return vectors


def frame_shape_px(footprint: Footprint, resolution_m: float) -> tuple[int, int]:
    """Rows and columns to read a square of EPSG:3857 at: its ground size over the pixel's."""
    west, _, east, _ = footprint.bounds_wsen
    latitude_deg = footprint.lonlat_deg([[0.0, 0.0]])[0, 1]
    ground_m = (east - west) * np.cos(np.radians(latitude_deg))
    side = int(np.clip(round(ground_m / resolution_m), *FRAME_PX_RANGE))
    return side, side


@dataclass(frozen=True)
class _Frame:
    """A frame that waits to be encoded."""

    number: int
    """Row of the plan."""
    pixels: FramePixels
    xy: npt.NDArray[np.float64]
    """(n, 2) where its cells lie in it."""
    cells: npt.NDArray[np.int64]
    """(n,) which cells those are."""


@dataclass(frozen=True)
class _Encoder:
    """Turns frames into the vectors of their cells."""

    model: Gair
    mode: QueryMode
    vectors: npt.NDArray[np.float16]
    """(N, D), filled in."""
    tokens: TokenWriter | None
    timings: Timings

    def __call__(self, batch: list[_Frame]) -> None:
        import torch

        model, timings = self.model, self.timings
        since = time.perf_counter()
        side = model.config.rs_frame_px
        pixels = torch.cat([remote_sensing_pixels(f.pixels.dn[None], side) for f in batch])
        xy = torch.zeros(len(batch), max(len(f.cells) for f in batch), 2)
        for row, frame in enumerate(batch):
            xy[row, : len(frame.xy)] = torch.from_numpy(frame.xy)
        since = timings.add("preprocessing", since)
        with torch.inference_mode():
            token_maps = model.encode_remote_sensing(pixels.to(model.device))
            since = timings.add("imagery encoder", since)
            found = model.localize(token_maps, xy.to(model.device), mode=self.mode)
            for row, frame in enumerate(batch):
                self.vectors[frame.cells] = _to_half(found[row, : len(frame.cells)])
        since = timings.add("dense sampling", since)
        if self.tokens is not None:
            self.tokens.write([frame.number for frame in batch], token_maps)
            timings.add("keeping token maps", since)


def _to_half(vectors: torch.Tensor) -> npt.NDArray[np.float16]:
    import torch

    if not bool(torch.isfinite(vectors).all()):
        raise ModelError("the model gave vectors that are not finite: its weights are damaged")
    return vectors.to("cpu", torch.float16).numpy()


def _group(plan: FramePlan) -> list[npt.NDArray[np.int64]]:
    """The cells of each frame."""
    order = np.argsort(plan.frame_of_cell, kind="stable")
    bounds = np.searchsorted(plan.frame_of_cell[order], np.arange(len(plan.bounds_wsen_m) + 1))
    return [order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


def _valid_at(pixels: FramePixels, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether the pixel under each frame coordinate is real imagery."""
    height, width = pixels.valid.shape
    column = np.clip(((xy[:, 0] + 1) / 2 * width).astype(int), 0, width - 1)
    row = np.clip(((xy[:, 1] + 1) / 2 * height).astype(int), 0, height - 1)
    return np.asarray(pixels.valid[row, column])


class _FrameReader:
    """Reads the frames of a plan, in order, in a background thread."""

    def __init__(self, imagery: ImagerySource, plan: FramePlan) -> None:
        self.waited_s = 0.0
        self._imagery = imagery
        self._plan = plan
        self._ready: queue.Queue[tuple[int, FramePixels] | BaseException | None]
        self._ready = queue.Queue(maxsize=FRAMES_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name="frame-reader", daemon=True)

    def __enter__(self) -> _FrameReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[int, FramePixels]]:
        while True:
            since = time.perf_counter()
            item = self._ready.get()
            self.waited_s += time.perf_counter() - since
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _read_all(self) -> None:
        try:
            for frame in range(len(self._plan.bounds_wsen_m)):
                if self._stop.is_set():
                    return
                footprint = self._plan.footprint(frame)
                shape = frame_shape_px(footprint, self._imagery.resolution_m)
                pixels = self._imagery.read(footprint, shape)
                self._ready.put((frame, pixels))
            self._ready.put(None)
        except BaseException as error:  # handed to the thread that iterates
            self._ready.put(error)
