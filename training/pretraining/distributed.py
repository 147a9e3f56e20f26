"""Ranks of a run, one process for each device as torchrun starts them, and what they exchange.

Gradients are averaged by :func:`average_gradients` after the backward pass and not by
``DistributedDataParallel``: a step with GradCache runs the towers several times and back before the
gradients are complete, and a weight that the chosen losses do not use has none, which DDP would
have to search for. With the same weights, the same data order and these functions, all ranks hold
the same gradients after a step, and they are those of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gair.errors import GairError, TrainingError, UsageError

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


_BUCKET_ELEMENTS = 1 << 25
"""Most gradient elements that are sent at once: 128 MB of float32."""


@dataclass(frozen=True)
class Ranks:
    """This process among all processes of a run."""

    rank: int
    """Of this process, from 0."""
    world: int
    """Number of processes."""
    device: torch.device
    """Where this process computes."""
    local_rank: int = 0
    """Of this process on its machine."""

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0


def start_ranks(device: str = "auto") -> Ranks:
    """Join the processes that torchrun started; without torchrun this is the only one.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` (of this rank) or ``cuda:N``.
    """
    try:
        rank, world, local_rank = (
            int(os.environ.get(name, unset))
            for name, unset in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
        )
    except ValueError as error:
        raise TrainingError(f"torchrun's environment is broken: {error}") from error
    ranks = Ranks(rank, world, _device(device, local_rank), local_rank)
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    if world > 1:
        dist.init_process_group("nccl" if ranks.device.type == "cuda" else "gloo")
    return ranks


def stop_ranks() -> None:
    """Leave the group of processes, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}: give auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda":
        index = local_rank if device.index is None else device.index
        if index >= torch.cuda.device_count():
            raise UsageError(f"device {name!r} is not there: torch sees no CUDA device {index}")
        return torch.device("cuda", index)
    return device


class _Gather(torch.autograd.Function):
    """All ranks' rows in rank order; back, each rank gets the gradients of all for its rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:  # noqa: ANN401
        ctx.count = len(rows)
        received = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(received, rows.contiguous())
        return torch.cat(received)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        # Each rank's loss saw these rows, so their gradient is the sum over the ranks, not this
        # rank's alone; of the world * B rows only this rank's own lead back to its encoders.
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        first = dist.get_rank() * ctx.count
        return total[first : first + ctx.count]


def gather_with_grad(rows: Tensor) -> tuple[Tensor, int]:
    """The rows of all ranks, differentiable.

    In the backward pass a rank's rows get the sum of what all ranks' losses say of them. Averaging
    the weights' gradients over the ranks afterwards gives the gradient of the mean of the losses.

    Args:
        rows: (B, ...), the same shape on every rank.

    Returns:
        (world * B, ...) in rank order, and the first row that is this rank's.
    """
    if not dist.is_initialized():
        return rows, 0
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered, dist.get_rank() * len(rows)


def average(values: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, without gradient."""
    if not dist.is_initialized():
        return values.detach()
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the ranks; what has none is left without.

    The same weights must have gradients on every rank, as they do when the ranks run the same step.
    """
    if not dist.is_initialized():
        return
    # Every rank fills the same buckets in the same order, as its weights are in the same order;
    # otherwise the ranks would add up gradients of different weights.
    buckets: list[list[Tensor]] = []
    filled = 0
    for gradient in (p.grad for p in parameters if p.grad is not None):
        full = filled + gradient.numel() > _BUCKET_ELEMENTS
        if not buckets or full or gradient.dtype != buckets[-1][0].dtype:
            buckets.append([])
            filled = 0
        buckets[-1].append(gradient)
        filled += gradient.numel()
    for bucket in buckets:
        mean = average(torch.cat([gradient.reshape(-1) for gradient in bucket]))
        for gradient, part in zip(
            bucket, torch.split(mean, [g.numel() for g in bucket]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))


def broadcast_weights(module: nn.Module) -> None:
    """Give every rank the weights and buffers of rank 0."""
    if dist.is_initialized():
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def any_rank(flag: bool, ranks: Ranks) -> bool:
    """Whether the flag is set on some rank, the same answer on all of them."""
    if ranks.world == 1:
        return flag
    raised = torch.tensor(float(flag), device=ranks.device)
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return bool(raised.item())
