"""Training step: embeddings, losses and gradients of one global batch.

**Chunks.** Contrastive losses do not split: accumulating the gradients of small batches trains with
small batches' negatives. With ``chunks`` above 1 a step works as GradCache does
(https://arxiv.org/abs/2101.06983): all embeddings first, without keeping activations; the loss of
the whole batch and its gradient with respect to the embeddings; then the towers again, chunk by
chunk, each going back from its share of that gradient. Loss and gradients are those of the
undivided batch, at the memory of a chunk and one more forward pass. The towers have no dropout, so
both passes see the same embeddings.

**Ranks.** Each rank has an equal share of the batch and the loss of its own rows. With ``gather``
the rows are contrasted with the embeddings of all ranks, whose gradients travel back to the ranks
that made them (:func:`training.pretraining.distributed.gather_with_grad`). The gradient of each
weight, averaged over the ranks, is then exactly that of one process with the whole batch. Every
rank encodes the whole queue, which is the same on all.

**Queue.** The negatives of SECL are earlier locations: raw coordinates, not embeddings, and only
ever real ones, as what is not filled yet is not handed out. The release starts its queue with noise
near (0, 0) instead.

**Masks.** Places near a photo may be left out of its negatives, in both losses and on all ranks
(:mod:`training.pretraining.negatives`); its own location always is, out of those of SECL.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gair.errors import TrainingError, UsageError
from gair.losses import distillation, incl, secl
from training.pretraining.distributed import Ranks, average, average_gradients, gather_with_grad
from training.pretraining.negatives import SAME_PLACE_M, farther_than
from training.pretraining.objective import Embeddings, Objective, ObjectiveOptions

if TYPE_CHECKING:
    from training.dataset.batches.batch import Batch

HalfPrecision = Callable[[], torch.autocast]
"""A new context each time: autocast keeps weights cast without gradient until its end."""


class LocationQueue:
    """Earlier locations, first in, first out; every rank holds the same."""

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


@dataclass(frozen=True)
class StepLosses:
    """Detached scalars, means over the ranks; reading one waits for the device."""

    total: Tensor
    """What is minimised."""
    terms: dict[str, Tensor]
    """Of ``incl``, ``secl_sv``, ``secl_rs``, ``distill_sv``, ``distill_rs`` those that count."""
    temperature: Tensor
    """Of the softmax, before the optimiser's step."""
    location_temperature: Tensor | None = None
    """The same of the losses with locations, where they have their own."""

    def floats(self) -> dict[str, float]:
        """``total``, the terms and the temperatures as numbers, fetched at once."""
        scalars = {"total": self.total, **self.terms, "temperature": self.temperature}
        if self.location_temperature is not None:
            scalars["location_temperature"] = self.location_temperature
        values = torch.stack(list(scalars.values())).tolist()
        return dict(zip(scalars, values, strict=True))


def train_step(
    objective: Objective,
    batch: Batch,
    queue: LocationQueue,
    ranks: Ranks,
    *,
    chunks: int = 1,
    autocast: torch.dtype | None = None,
) -> StepLosses:
    """Leave the gradients of one global batch in ``.grad``, the same on all ranks.

    Args:
        objective: whose weights get gradients; earlier gradients are dropped.
        batch: this rank's share, on the objective's device, as large as every other rank's.
        queue: of negatives; all ranks' locations enter it, in rank order, after the loss.
        ranks: this process among the others.
        chunks: pieces the towers take the batch in.
        autocast: half precision of the towers, ``torch.bfloat16`` or none.
    """
    if not 1 <= chunks <= len(batch.photos):
        raise UsageError(f"chunks is {chunks}: a rank has {len(batch.photos)} photos to divide")
    if autocast not in (None, torch.bfloat16):
        raise UsageError(f"autocast to {autocast} would need loss scaling: use bfloat16")
    objective.zero_grad(set_to_none=True)
    half = functools.partial(
        torch.autocast, batch.photos.device.type, autocast, enabled=autocast is not None
    )
    if chunks == 1:
        with half():
            embeddings, taught = objective.embed(batch), _taught(objective, [batch])
        losses = _losses(objective, embeddings, batch.lonlat_deg, taught, queue, half)
        _total(losses, objective.options).backward()  # type: ignore[no-untyped-call]
    else:
        losses = _in_chunks(objective, batch, chunks, queue, half)
    average_gradients(objective.parameters())
    queue.push(gather_with_grad(batch.lonlat_deg)[0])
    mean = average(torch.stack([_total(losses, objective.options), *losses.values()]))
    terms = dict(zip(losses, mean[1:].unbind(), strict=True))
    own = objective.log_location_temperature
    return StepLosses(
        mean[0],
        terms,
        objective.temperature.detach(),
        None if own is None else objective.location_temperature.detach(),
    )


def _in_chunks(
    objective: Objective,
    batch: Batch,
    chunks: int,
    queue: LocationQueue,
    half: HalfPrecision,
) -> dict[str, Tensor]:
    pieces = _pieces(batch, chunks)
    # First pass, without activations: the embeddings of the whole batch.
    with torch.no_grad():
        parts = []
        for piece in pieces:
            with half():
                parts.append(objective.embed(piece).tensors())
        with half():
            taught = _taught(objective, pieces)
    # The loss of the whole batch ends at these leaves: its gradient with respect to each embedding
    # (and, through the queue and the temperature, to the weights that do not depend on photos).
    leaves = [torch.cat(same).requires_grad_() for same in zip(*parts, strict=True)]
    losses = _losses(objective, Embeddings(*leaves), batch.lonlat_deg, taught, queue, half)
    _total(losses, objective.options).backward()  # type: ignore[no-untyped-call]
    # Second pass: each piece's graph is built again and led back from its rows of that gradient,
    # which is the chain rule; the sums over the pieces add up in .grad.
    done = 0
    for piece in pieces:
        rows = slice(done, done := done + len(piece.photos))
        with half():
            again = objective.embed(piece).tensors()
        pairs = [
            (e, leaf.grad[rows])
            for e, leaf in zip(again, leaves, strict=True)
            if leaf.grad is not None
        ]
        torch.autograd.backward([e for e, _ in pairs], [gradient for _, gradient in pairs])
    return {name: loss.detach() for name, loss in losses.items()}


def _losses(
    objective: Objective,
    embeddings: Embeddings,
    lonlat_deg: Tensor,
    taught: tuple[Tensor, Tensor] | None,
    queue: LocationQueue,
    half: HalfPrecision,
) -> dict[str, Tensor]:
    """The terms of this rank's rows."""
    s, z, own = embeddings.s, embeddings.z, embeddings.l
    options = objective.options
    radius_m = max(options.mask_near_m, SAME_PLACE_M)
    losses: dict[str, Tensor] = {}
    if options.losses != "secl":
        (all_s, all_z), first = _of_all_ranks([s, z], options.gather)
        (everywhere,), _ = _of_all_ranks([lonlat_deg], options.gather)
        losses["incl"] = incl(
            s,
            z,
            all_s=all_s,
            all_z=all_z,
            first=first,
            temperature=objective.temperature,
            negatives_valid=(
                farther_than(lonlat_deg, everywhere, radius_m) if options.mask_near_m else None
            ),
        )
    if options.losses != "incl":
        in_batch = options.in_batch_locations
        (all_own,), first = _of_all_ranks([own], options.gather and in_batch)
        (everywhere,), _ = _of_all_ranks([lonlat_deg], options.gather and in_batch)
        if options.stop_location_gradient:
            s, z = s.detach(), z.detach()
        with half():
            negatives = objective.model.encode_location(queue.lonlat_deg, normalize=False)
        for name, anchors in (("secl_sv", s), ("secl_rs", z)):
            losses[name] = secl(
                anchors,
                own,
                negatives,
                all_locations=all_own,
                first=first,
                temperature=objective.location_temperature,
                negatives_valid=farther_than(lonlat_deg, queue.lonlat_deg, radius_m),
                in_batch=in_batch,
                in_batch_valid=farther_than(lonlat_deg, everywhere, radius_m),
            )
    if taught is not None and embeddings.g is not None and embeddings.f is not None:
        losses["distill_sv"] = distillation(embeddings.g, taught[0])
        losses["distill_rs"] = distillation(embeddings.f, taught[1])
    return losses


def _of_all_ranks(embeddings: list[Tensor], gather: bool) -> tuple[tuple[Tensor, ...], int]:
    """(B, D) each to (world * B, D) each, and this rank's first row; themselves if not gathered."""
    if not gather:
        return tuple(embeddings), 0
    rows, first = gather_with_grad(torch.stack(embeddings, dim=1))  # (B, kinds, D), sent at once
    return rows.unbind(1), first


def _total(losses: dict[str, Tensor], options: ObjectiveOptions) -> Tensor:
    """Half of the contrastive terms (paper, section 4.4), and the distillation by its weight."""
    weights = {"distill_sv": options.distill_weight, "distill_rs": options.distill_weight}
    return torch.stack([weights.get(name, 0.5) * loss for name, loss in losses.items()]).sum()


def _taught(objective: Objective, pieces: list[Batch]) -> tuple[Tensor, Tensor] | None:
    if not objective.teachers:
        return None
    g, f = zip(*(objective.teach(piece) for piece in pieces), strict=True)
    return torch.cat(g), torch.cat(f)


def _pieces(batch: Batch, chunks: int) -> list[Batch]:
    """Parts of nearly equal size; a frame whose photos are parted is in both parts."""
    bounds = [len(batch.photos) * i // chunks for i in range(chunks + 1)]
    pieces = []
    for begin, end in zip(bounds, bounds[1:], strict=False):
        frame_of_photo = batch.frame_of_photo[begin:end]
        # Photos come sorted by frame, so the frames of a piece are a run without gaps.
        first, last = frame_of_photo[[0, -1]].tolist()
        pieces.append(
            dataclasses.replace(
                batch,
                photos=batch.photos[begin:end],
                frames=batch.frames[first : last + 1],
                frame_of_photo=frame_of_photo - first,
                xy=batch.xy[begin:end],
                lonlat_deg=batch.lonlat_deg[begin:end],
                photo_index=batch.photo_index[begin:end],
            )
        )
    return pieces
