"""Token maps: what the imagery encoder made of each frame, kept so that any point can be read.

``tokens.npy`` is a plain NumPy file, (F, h, w, D) in half precision; row f is frame f of the table
``frames``. A frame with too little imagery was not encoded: its row holds zeros, no cell refers to
it, and it is not read. Row 0 of a map is its north edge.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gair.arrays import Halves
from gair.errors import IndexCorruptError, ModelError
from indexer.index.vectors import RowWriter

if TYPE_CHECKING:
    import torch

TOKEN_TYPE = np.dtype("<f2")


class TokenMaps:
    """Read access to the token maps of a build, memory-mapped; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        try:
            maps = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise IndexCorruptError(f"{path} is not a readable NumPy file: rebuild it") from error
        if maps.dtype != TOKEN_TYPE or maps.ndim != 4:
            raise IndexCorruptError(
                f"{path} holds {maps.dtype} of shape {maps.shape}; expected float16 of frames, "
                "rows, columns, dimensions: rebuild it"
            )
        self._maps = maps
        frames, rows, columns, dim = maps.shape
        self.count, self.grid_hw, self.dim = int(frames), (int(rows), int(columns)), int(dim)
        """Number of frames F, rows and columns of a map, number of dimensions D."""

    def frame(self, rows: npt.ArrayLike) -> torch.Tensor:
        """The maps of some frames: (R,) frames to (R, h, w, D) float32."""
        import torch

        return torch.from_numpy(self.halves(rows).astype(np.float32))

    def tokens(self, rows: torch.Tensor) -> torch.Tensor:
        """Single tokens: (R,) rows of all maps, stacked and flattened, to (R, D) float32."""
        import torch

        flat = self._maps.reshape(-1, self.dim)  # a view of the file
        return torch.from_numpy(flat[rows.cpu().numpy()].astype(np.float32))

    def halves(self, rows: npt.ArrayLike) -> Halves:
        """The same as they are stored, (R, h, w, D)."""
        return np.asarray(self._maps[np.asarray(rows, dtype=np.int64)])


class TokenWriter(RowWriter):
    """Writes token maps as they come, in any order; frames that never come hold zeros."""

    def __init__(self, path: Path, shape: tuple[int, int, int, int]) -> None:
        """Take the path of a new file and its shape (F, h, w, D)."""
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": TOKEN_TYPE.str, "fortran_order": False, "shape": shape}
        )
        super().__init__(path, head.getvalue(), map_bytes(shape))
        self._frames = shape[0]

    def write(self, frames: npt.ArrayLike, maps: Halves) -> None:
        """Keep the (B, h, w, D) maps of (B,) frames, as :func:`half_maps` gives them.

        Raises:
            StorageError: the disk refused.
        """
        self.put(frames, maps)

    def _finish(self, file: IO[bytes]) -> None:
        # The last frames may not have come.
        file.truncate(len(self._head) + self._frames * self._row_bytes)


def half_maps(token_maps: torch.Tensor) -> Halves:
    """Token maps as they are kept.

    Raises:
        ModelError: a value is too large for half precision.
    """
    import torch

    halves = token_maps.to("cpu", torch.float16)
    if not bool(torch.isfinite(halves).all()):
        raise ModelError(
            f"token maps reach {float(token_maps.abs().max()):g}, too much for half precision: "
            "build without them (`keep_token_maps`)"
        )
    return halves.numpy()


def map_bytes(shape: tuple[int, int, int, int]) -> int:
    """Bytes of one map of a file of shape (F, h, w, D)."""
    return int(np.prod(shape[1:])) * TOKEN_TYPE.itemsize
