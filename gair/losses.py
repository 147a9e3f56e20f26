"""Contrastive losses of GAIR as functions of embeddings.

Source: the paper (arXiv 2503.16683, section 4.4) and the release. ``s`` is a street view, ``z`` the
imagery localised at its point, ``l`` its location; all are L2-normalised here, so raw encoder
outputs may come in, and everything is computed in float32 or better.

* INCL, implicit neural contrastive: symmetric InfoNCE between ``s`` and ``z`` of a batch.
* SECL, spatially explicit contrastive: InfoNCE from an image to locations, once with the anchor
  ``s`` and once with ``z``; the negatives are the encoded locations of a queue.
* Total: (INCL + SECL of s + SECL of z) / 2, INCL being the sum of its two directions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gair.errors import ModelError

TEMPERATURE = 0.07
"""Of both losses; fixed in the release."""


def incl(
    s: Tensor,
    z: Tensor,
    *,
    all_s: Tensor | None = None,
    all_z: Tensor | None = None,
    first: int = 0,
    temperature: float | Tensor = TEMPERATURE,
    negatives_valid: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE between street views and localised imagery; the sum of both directions.

    Args:
        s: (B, D).
        z: (B, D), row i from the same photo as row i of ``s``.
        all_s: (N, D) street views of every rank, gathered with gradient; ``s`` if not given.
        all_z: (N, D) localised imagery of every rank; ``z`` if not given.
        first: row of ``all_s`` and ``all_z`` where this rank's batch begins.
        temperature: of the softmax, above 0.
        negatives_valid: (B, N) bool, which rows of every rank are negatives of each row, in both
            directions; a row's own pair is its positive, whatever stands there. All if not given.

    Returns:
        A scalar; ``2 ln N`` when all embeddings are equal.
    """
    _check_pair("street views and imagery", s, z)
    gathered_s, gathered_z = s if all_s is None else all_s, z if all_z is None else all_z
    _check_pair("gathered street views and imagery", gathered_s, gathered_z)
    _check_rows(first, s, gathered_s)
    target = torch.arange(first, first + len(s), device=s.device)
    # L(s -> z) = -1/B sum_i ln( exp(s_i z_i / t) / sum_j exp(s_i z_j / t) ), j over all N rows;
    # cross-entropy with row first + i as the class. L(z -> s) likewise; INCL is their sum.
    to_z = _cosines(s, gathered_z) / temperature  # (B, N)
    to_s = _cosines(z, gathered_s) / temperature  # (B, N)
    if negatives_valid is not None:
        to_z = _without(to_z, negatives_valid, target)
        to_s = _without(to_s, negatives_valid, target)
    return F.cross_entropy(to_z, target) + F.cross_entropy(to_s, target)


def secl(
    anchors: Tensor,
    own_locations: Tensor,
    negatives: Tensor,
    *,
    all_locations: Tensor | None = None,
    first: int = 0,
    temperature: float | Tensor = TEMPERATURE,
    negatives_valid: Tensor | None = None,
    in_batch: bool = False,
    in_batch_valid: Tensor | None = None,
) -> Tensor:
    """InfoNCE from images to locations.

    Args:
        anchors: (B, D) street views, or localised imagery.
        own_locations: (B, D) the positives.
        negatives: (Q, D) encoded locations of the queue.
        all_locations: (N, D) own locations of every rank, gathered with gradient, for ``in_batch``;
            ``own_locations`` if not given.
        first: row of ``all_locations`` where this rank's batch begins.
        temperature: of the softmax, above 0.
        negatives_valid: (Q,) bool, which of the negatives count; or (B, Q), which for each anchor.
        in_batch: whether the other photos' locations are negatives too.
        in_batch_valid: (B, N) bool, which of ``all_locations`` are negatives of each anchor; its
            own is its positive, whatever stands there. All if not given.

    Returns:
        A scalar; ``ln(1 + Q)`` when all embeddings are equal.
    """
    _check_pair("images and locations", anchors, own_locations)
    # L(a -> l) = -1/B sum_i ln( exp(a_i l_i / t) / (exp(a_i l_i / t) + sum_q exp(a_i l_q / t)) ),
    # q over the queue, and with ``in_batch`` over the other photos' locations, too.
    to_queue = _cosines(anchors, negatives) / temperature  # (B, Q)
    if negatives_valid is not None:
        _check_mask("negatives_valid", negatives_valid, to_queue, rows=negatives_valid.dim() == 2)
        # exp(-inf) = 0: an entry that does not count adds nothing to the sum.
        to_queue = to_queue.masked_fill(~negatives_valid, float("-inf"))
    if in_batch:
        gathered = own_locations if all_locations is None else all_locations
        _check_rows(first, anchors, gathered)
        to_own = _cosines(anchors, gathered) / temperature  # (B, N), positives on a diagonal
        target = torch.arange(first, first + len(anchors), device=anchors.device)
        if in_batch_valid is not None:
            to_own = _without(to_own, in_batch_valid, target)
    else:
        a, b = _unit(anchors), _unit(own_locations)
        to_own = (a * b).sum(-1, keepdim=True) / temperature  # (B, 1)
        target = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
    return F.cross_entropy(torch.cat([to_own, to_queue], dim=1), target)


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean negative cosine to a frozen teacher, (B, D) each; -1 when they agree.

    An option of the authors' later version, with weight 0.2 for each tower.
    """
    _check_pair("student and teacher", student, teacher)
    a, b = at_least_float32(student), at_least_float32(teacher.detach())
    return -F.cosine_similarity(a, b, dim=-1).mean()


def _without(logits: Tensor, valid: Tensor, positive: Tensor) -> Tensor:
    """(B, N) logits with -inf where there is neither a valid negative nor the positive, (B,)."""
    _check_mask("negatives_valid", valid, logits, rows=True)
    own = positive[:, None] == torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(~(valid | own), float("-inf"))


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    """(A, D) and (B, D) to (A, B)."""
    return _unit(a) @ _unit(b).T


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(at_least_float32(vectors), dim=-1)


def at_least_float32(vectors: Tensor) -> Tensor:
    """Widen half precision, which cannot tell cosines apart at this temperature."""
    return vectors if vectors.dtype == torch.float64 else vectors.float()


def _check_pair(what: str, a: Tensor, b: Tensor) -> None:
    if a.dim() != 2 or a.shape != b.shape or not len(a):
        raise ModelError(
            f"{what} have shapes {tuple(a.shape)} and {tuple(b.shape)}; expected two equal (B, D)"
        )


def _check_mask(name: str, mask: Tensor, logits: Tensor, *, rows: bool) -> None:
    wanted = logits.shape if rows else logits.shape[1:]
    if mask.dtype != torch.bool or mask.shape != wanted:
        raise ModelError(
            f"{name} is {mask.dtype} of shape {tuple(mask.shape)}; expected bool {tuple(wanted)}"
        )


def _check_rows(first: int, own: Tensor, gathered: Tensor) -> None:
    if first < 0 or first + len(own) > len(gathered):
        raise ModelError(f"rows {first} to {first + len(own)} are not among {len(gathered)}")
