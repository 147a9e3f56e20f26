"""What became of each cell of a region: indexed, or why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INDEXED, OUTSIDE, NO_DATA, MOSTLY_EMPTY = range(4)
"""What became of a cell."""
REASONS = {
    OUTSIDE: "outside the imagery",
    NO_DATA: "no data in the imagery",
    MOSTLY_EMPTY: "too little imagery around it",
}
"""Why a cell is not indexed, for people."""


@dataclass(frozen=True)
class Outcome:
    """What the frames of a plan gave, but for the vectors."""

    status: npt.NDArray[np.uint8]
    """(N,) ``INDEXED``, or which of :data:`REASONS` a cell has no vector for."""
    valid_fraction: npt.NDArray[np.float64]
    """(F,) share of each frame that the imagery covers."""

    @property
    def kept(self) -> npt.NDArray[np.int64]:
        """Which cells are indexed, ascending: the rows of an index."""
        return np.flatnonzero(self.status == INDEXED)

    @property
    def lost(self) -> npt.NDArray[np.int64]:
        """Which cells are not indexed, ascending."""
        return np.flatnonzero(self.status != INDEXED)

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
