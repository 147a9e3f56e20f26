"""The whole loss of a batch, as the paper writes it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gair.losses import TEMPERATURE, incl, secl


@dataclass(frozen=True)
class GairLoss:
    """The total and its terms; ``total`` is what is minimised."""

    total: Tensor
    incl: Tensor
    """Sum of both directions."""
    secl_sv: Tensor
    """Anchor: street view."""
    secl_rs: Tensor
    """Anchor: localised imagery."""


def gair_loss(
    s: Tensor,
    z: Tensor,
    own_locations: Tensor,
    queue_locations: Tensor,
    *,
    temperature: float | Tensor = TEMPERATURE,
    queue_valid: Tensor | None = None,
    in_batch_locations: bool = False,
) -> GairLoss:
    """The loss of one batch.

    Args:
        s: (B, D) street views.
        z: (B, D) imagery localised at the photos' points.
        own_locations: (B, D) encoded locations of the photos.
        queue_locations: (Q, D) encoded locations of earlier photos; Q may be 0.
        temperature: a number, or a learnable scalar.
        queue_valid: (Q,) False where the queue is still empty; such entries take no part.
        in_batch_locations: whether the other photos' locations are negatives too; in the release
            they are not.
    """
    options = {
        "temperature": temperature,
        "negatives_valid": queue_valid,
        "in_batch": in_batch_locations,
    }
    incl_term = incl(s, z, temperature=temperature)
    # Total = 1/2 (INCL + SECL(s) + SECL(z)), paper, section 4.4.
    secl_sv = secl(s, own_locations, queue_locations, **options)  # type: ignore[arg-type]
    secl_rs = secl(z, own_locations, queue_locations, **options)  # type: ignore[arg-type]
    return GairLoss((incl_term + secl_sv + secl_rs) / 2, incl_term, secl_sv, secl_rs)
