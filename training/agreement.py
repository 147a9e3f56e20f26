"""What the ranks of a run do once and share: rank 0 does it, or fails, for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import torch.distributed as dist

from gair.errors import GairError

if TYPE_CHECKING:
    from training.distributed import Ranks

T = TypeVar("T")


def from_first(ranks: Ranks, work: Callable[[], T]) -> T:
    """Let rank 0 do something, and give every rank the result.

    Args:
        ranks: this process among the others.
        work: run on rank 0 only; its result can be pickled.

    Raises:
        GairError: what rank 0 met, on rank 0.
        SystemExit: the same on the others, which have nothing to add.
    """
    outcome: list[Any] = [None, None]
    if ranks.is_first:
        try:
            outcome[0] = work()
        except GairError as error:
            outcome[1] = error
    if ranks.world > 1:
        dist.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        fail_together(ranks, outcome[1])
    result: T = outcome[0]
    return result


def from_all(ranks: Ranks, mine: list[T]) -> list[T]:
    """The lists of all ranks, one after the other."""
    if ranks.world == 1:
        return mine
    parts: list[Any] = [None] * ranks.world
    dist.all_gather_object(parts, mine)
    return [item for part in parts for item in part]


def fail_together(ranks: Ranks, error: GairError) -> NoReturn:
    """Raise an error that all ranks met: rank 0 reports it, the others just end."""
    if ranks.is_first:
        raise error
    raise SystemExit(error.exit_status)
