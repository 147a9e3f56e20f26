"""Queue of earlier locations, the negatives of SECL.

It holds raw coordinates, not embeddings, and only ever real ones: what is not filled yet is not
handed out. The release starts its queue with noise near (0, 0) instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gair.errors import TrainingError, UsageError


class LocationQueue:
    """First in, first out; every rank holds the same."""

    def __init__(self, size: int, device: torch.device | str = "cpu") -> None:
        if size < 0:
            raise UsageError(f"queue_size is {size}: it must be 0 or more")
        self._lonlat_deg = torch.full((size, 2), torch.nan, dtype=torch.float64, device=device)
        self._next = 0
        self._count = 0

    @property
    def size(self) -> int:
        """Most locations it holds."""
        return len(self._lonlat_deg)

    def __len__(self) -> int:
        """Locations it holds now."""
        return self._count

    @property
    def valid(self) -> Tensor:
        """(Q,) bool, which places are filled."""
        return torch.arange(self.size, device=self._lonlat_deg.device) < self._count

    @property
    def lonlat_deg(self) -> Tensor:
        """(len, 2) float64 longitude, latitude: the filled places, in no order of age."""
        return self._lonlat_deg[: self._count]

    def push(self, lonlat_deg: Tensor) -> None:
        """Add (N, 2) locations, oldest first; the oldest in the queue make room.

        Of more than the queue holds, the last ones stay.
        """
        newest = lonlat_deg.detach()[max(0, len(lonlat_deg) - self.size) :]
        if not len(newest):
            return
        # A ring: at most `size` new ones, so no place is written twice by one assignment.
        places = (self._next + torch.arange(len(newest))) % self.size
        self._lonlat_deg[places.to(self._lonlat_deg.device)] = newest.to(self._lonlat_deg)
        self._next = (self._next + len(newest)) % self.size
        self._count = min(self.size, self._count + len(newest))

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs; on the CPU."""
        return {
            "lonlat_deg": self._lonlat_deg.cpu().clone(),
            "next": self._next,
            "count": len(self),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a queue of the same size."""
        stored: Tensor = state["lonlat_deg"]
        if stored.shape != self._lonlat_deg.shape:
            raise TrainingError(
                f"the stored location queue holds {len(stored)} places and this run's {self.size}: "
                f"resume with queue_size {len(stored)}"
            )
        self._lonlat_deg.copy_(stored)
        self._next, self._count = int(state["next"]), int(state["count"])
