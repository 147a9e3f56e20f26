"""Token reader: z(x) and e(x) at any point of an index, from the token maps that a build kept.

A point is read from the frame that the cell nearest to it was sampled from. Where that would be the
outer part of the frame, whose tokens saw zero padding instead of neighbours, the frame that holds
the point most centrally is read instead. So at a cell's centre the vector is the stored one, but
for the rounding of the tokens, and the change from frame to frame lies where inner parts end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from scipy.spatial import KDTree

from gair.arrays import Floats, Ints, Vectors
from gair.errors import SearchIndexError
from gair.geo import (
    WEB_MERCATOR_CIRCUMFERENCE_M,
    WEB_MERCATOR_MAX_LATITUDE_DEG,
    lonlat_to_web_mercator,
)
from gair.processes.forks import fork_safe_lock
from indexer.regions.cell_field import CellField
from indexer.regions.cells import cells_at

if TYPE_CHECKING:
    import torch

    from gair.config import QueryMode
    from gair.model import Gair
    from indexer.index.index import Index


ReadMode = Literal["nili", "bilinear", "bicubic", "mean", "frame"]
"""The ways a model knows, and ``frame``: what NILI gives on the mean over the frame's tokens."""

MAPS_KEPT = 64
"""Maps that stay in memory, those used last: 28 MB of the released model's."""
MOST_CONVOLVED_BYTES = 64 << 20
"""Of an index that is convolved whole: 880 frames of the demo's model, 36 of the released one."""
_FRAMES_AT_ONCE = 32
DISCS_KEPT = 1 << 15
"""Discs of which it is known whether all in them is indexed: many photos have places in common."""
_POINTS_AT_ONCE = 1024
"""Points whose tokens are in memory together: 110 MB at 768 dimensions if they share none."""
_OFF_CENTRE = 0.9999
"""The four weights of LIIF's blend are not defined on the outer token centres themselves."""
_EDGE = 1e-6
"""Of a frame's half side: a cell at the very end of an inner part counts as inside."""


class TokenReader:
    """Reads an index between its cells; safe to share between threads."""

    def __init__(
        self,
        index: Index,
        model: Gair,
        field: CellField | None = None,
        *,
        mode: ReadMode | None = None,
    ) -> None:
        """Prepare to read.

        Args:
            index: an open index.
            model: the model that built it.
            field: the index's cells, where they are at hand.
            mode: how token maps are read; as the index's own cells were if None.

        Raises:
            SearchIndexError: the index has no token maps.
        """
        if index.tokens is None:
            raise SearchIndexError(
                f"index {index.name!r} has no token maps, so it can be read at cell centres only: "
                "build it again, without --no-token-maps"
            )
        self.index = index
        self.model = model
        self.field = field or CellField(index.cells.lonlat_deg, index.cells.area_m2)
        self.mode: ReadMode = mode or cast("QueryMode", index.manifest.query_mode)
        self._tokens = index.tokens
        self._inner = float(index.manifest.frames["inner_share"]) + _EDGE
        bounds = index.frames.bounds_wsen_m
        self._centres = (bounds[:, :2] + bounds[:, 2:]) / 2
        self._half_m = float(bounds[0, 2] - bounds[0, 0]) / 2
        self._used = np.unique(index.cells.frame)
        self._tree = KDTree(self._centres[self._used])
        self._maps: LRUCache[int, torch.Tensor] = LRUCache(MAPS_KEPT)
        self._held: LRUCache[tuple[float, float, float], bool] = LRUCache(DISCS_KEPT)
        self._lock = fork_safe_lock()
        self._convolved: torch.Tensor | None = None

    def expect_many(self) -> None:
        """Convolve all token maps now, where that takes little memory.

        Points that are read later take half of the time. Call it before threads or forked
        children read.
        """
        import torch

        count, tokens_each = self._tokens.count, math.prod(self._tokens.grid_hw)
        small = 4 * count * tokens_each * self._tokens.dim <= MOST_CONVOLVED_BYTES
        if self._convolved is not None or not (small and self._is_dense):
            return
        with torch.inference_mode():
            parts = [
                self.model.inr.convolved(self._tokens.frame(rows).to(self.model.device))
                for rows in np.array_split(np.arange(count), -(-count // _FRAMES_AT_ONCE))
            ]
            self._convolved = torch.cat(parts)

    @property
    def token_m(self) -> float:
        """Side of a token on the ground."""
        latitude_deg = float(self.index.cells.lonlat_deg[:, 1].mean())
        config = self.model.config
        return config.footprint_ground_m(latitude_deg) / config.rs_grid

    def indexed(self, lonlat_deg: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which of (Q, 2) points lie in a cell of the index: there is imagery."""
        ids = cells_at(lonlat_deg, self.index.manifest.h3_resolution)
        return np.asarray(self.index.cells.rows_of(ids) >= 0)

    def holding_discs(self, lonlat_deg: Floats, radius_m: float) -> npt.NDArray[np.bool_]:
        """Around which of (Q, 2) points all is indexed: :meth:`CellRows.holding_discs`."""
        keys = [(lon, lat, radius_m) for lon, lat in lonlat_deg.tolist()]
        with self._lock:
            held = [self._held.get(key) for key in keys]
        missing = [number for number, whole in enumerate(held) if whole is None]
        if missing:
            resolution = self.index.manifest.h3_resolution
            looked_up = self.index.cells.holding_discs(lonlat_deg[missing], radius_m, resolution)
            with self._lock:
                for number, whole in zip(missing, looked_up.tolist(), strict=True):
                    held[number] = self._held[keys[number]] = whole
        return np.array(held, dtype=np.bool_)

    def frames(self, lonlat_deg: npt.ArrayLike) -> tuple[Ints, Floats]:
        """Where each of (Q, 2) points is read.

        Returns:
            (Q,) rows of the table of frames, -1 where no frame holds the point; and (Q, 2) frame
            coordinates, NaN there.
        """
        points = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
        frame = np.full(len(points), -1, dtype=np.int64)
        xy = np.full((len(points), 2), np.nan)
        possible = np.flatnonzero(
            np.isfinite(points).all(axis=1) & (np.abs(points[:, 1]) < WEB_MERCATOR_MAX_LATITUDE_DEG)
        )
        if not len(possible):
            return frame, xy
        projected = lonlat_to_web_mercator(points[possible])
        own = self.index.cells.frame[self.field.nearest(points[possible])[0]]
        at = self._frame_xy(projected, own)
        reach = np.abs(at).max(axis=1)
        rim = np.flatnonzero(reach > self._inner)
        central = self._used[self._tree.query(projected[rim], p=np.inf)[1]]
        central_at = self._frame_xy(projected[rim], central)
        # Another frame, where the own one would be read at its rim and it would not, or not at all.
        other = (np.abs(central_at).max(axis=1) <= self._inner) | (reach[rim] > 1)
        own[rim[other]], at[rim[other]] = central[other], central_at[other]
        held = np.abs(at).max(axis=1) <= 1
        frame[possible[held]], xy[possible[held]] = own[held], at[held]
        return frame, xy

    def localized(self, lonlat_deg: npt.ArrayLike) -> Vectors:
        """The vectors z of (Q, 2) points: (Q, D) of unit length, NaN where no frame holds one."""
        points = np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2)
        out = np.full((len(points), self.model.config.dim), np.nan, dtype=np.float32)
        read = self._near if self._is_dense else self.by_frame
        for rows, vectors in read(points):
            out[rows] = vectors
        return out

    def by_frame(self, lonlat_deg: npt.ArrayLike) -> Iterator[tuple[Ints, Vectors]]:
        """The vectors z of (Q, 2) points, frame by frame, for more points than fit in memory.

        Yields:
            (n,) which points these are, and (n, D) their vectors; points that no frame holds do
            not come.
        """
        import torch

        frame, xy = self.frames(lonlat_deg)
        order = np.argsort(frame, kind="stable")
        used, begin = np.unique(frame[order], return_index=True)
        for number, rows in zip(used.tolist(), np.split(order, begin[1:]), strict=True):
            if number < 0:
                continue
            with torch.inference_mode():
                at = torch.from_numpy(xy[rows]).to(self.model.device, torch.float32)
                vectors = self._read(self._map(number), at[None])[0].cpu().numpy()
            yield rows, vectors

    def _near(self, points: Floats) -> Iterator[tuple[Ints, Vectors]]:
        """As :meth:`by_frame`, for few points in many frames: only tokens near them are read."""
        import torch

        frame, xy = self.frames(points)
        order = np.argsort(frame, kind="stable")
        order = order[frame[order] >= 0]
        device, inr = self.model.device, self.model.inr

        def tokens(rows: torch.Tensor) -> torch.Tensor:
            return self._tokens.tokens(rows).to(device)

        for start in range(0, len(order), _POINTS_AT_ONCE):
            rows = order[start : start + _POINTS_AT_ONCE]
            with torch.inference_mode():
                at = torch.from_numpy(xy[rows]).to(device, torch.float32)
                in_frame = torch.from_numpy(frame[rows]).to(device)
                if self._convolved is not None:
                    z = inr.at_convolved(self._convolved, in_frame, at)
                else:
                    z = inr.at_few_points(tokens, in_frame, at, self._tokens.grid_hw)
                vectors = torch.nn.functional.normalize(z, dim=-1).cpu().numpy()
            yield rows, vectors

    def locations(self, lonlat_deg: npt.ArrayLike) -> Vectors:
        """The location embeddings e of (Q, 2) points: (Q, D) of unit length."""
        import torch

        with torch.inference_mode():
            points = torch.from_numpy(np.asarray(lonlat_deg, dtype=np.float64).reshape(-1, 2))
            e = self.model.encode_location(points.to(self.model.device, torch.float32))
        return e.cpu().numpy()

    def _frame_xy(self, projected: Floats, frame: Ints) -> Floats:
        """(Q, 2) EPSG:3857 to coordinates in (Q,) frames, across the antimeridian too."""
        away = projected - self._centres[frame]
        away[:, 0] -= WEB_MERCATOR_CIRCUMFERENCE_M * np.round(
            away[:, 0] / WEB_MERCATOR_CIRCUMFERENCE_M
        )
        return away * [1, -1] / self._half_m

    @property
    def _is_dense(self) -> bool:
        return self.mode == "nili" and not self.model.config.inr_hidden

    def _map(self, frame: int) -> torch.Tensor:
        """What :meth:`_load` gave, or gives now."""
        with self._lock:
            token_map = self._maps.get(frame)
        if token_map is None:
            token_map = self._load(frame)
            with self._lock:
                self._maps[frame] = token_map
        return token_map

    def _load(self, frame: int) -> torch.Tensor:
        """(1, h, w, D) of a frame; convolved already, where NILI has its dense form."""
        import torch

        with torch.inference_mode():
            tokens = self._tokens.frame([frame]).to(self.model.device)
            if self._is_dense:
                return self.model.inr.convolved(tokens)
            if self.mode != "frame":
                return tokens
            rows, columns = tokens.shape[1:3]
            y, x = ((2 * torch.arange(count) + 1) / count - 1 for count in (rows, columns))
            xy = _OFF_CENTRE * torch.cartesian_prod(y, x).flip(-1).to(self.model.device)
            z = self.model.localize(tokens, xy[None], normalize=False)
            return z.mean(dim=1)[:, None, None]

    def _read(self, token_map: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
        """What :meth:`_load` gave at (1, n, 2): (1, n, D)."""
        import torch

        if self._is_dense:
            return torch.nn.functional.normalize(self.model.inr.blend(token_map, xy), dim=-1)
        mode = "mean" if self.mode == "frame" else self.mode
        return self.model.localize(token_map, xy, mode=mode, form="general")
