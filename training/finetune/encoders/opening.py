"""Encoders by name, as the command line and the table ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gair.errors import ModelError, UsageError
from training.finetune.encoders.encoder import Adapted, Kind

SCRATCH = "scratch:"
"""Before a GAIR or timm model: its shape, random weights, to be trained on the labels alone."""

NAMED: dict[Kind, tuple[str, ...]] = {
    "photo": ("timm:NAME", "dinov2", "efficientnet-lite"),
    "frame": ("croma", "timm:NAME", "dinov2"),
    "location": ("geoclip", "satclip", "random"),
}
"""Baselines of each kind; a weight file may follow a colon."""


def open_encoder(source: str, kind: Kind, seed: int = 0) -> Adapted[Any]:
    """An encoder of one kind.

    Args:
        source: a GAIR model (a folder, a checkpoint, a hub id, ``shipped:NAME``,
            ``untrained:PRESET``); a baseline of :data:`NAMED`; or ``scratch:`` before a GAIR or
            timm model, for its shape with random weights.
        kind: what it must encode.
        seed: of random weights.

    Raises:
        ModelError: there is no such encoder, or its weights cannot be had.
        UsageError: the baseline encodes something else, or does not start from scratch.
    """
    name, _, rest = source.partition(":")
    known = {n.partition(":")[0] for names in NAMED.values() for n in names}
    if source.startswith(f"{SCRATCH}timm:"):
        return _timm(source.removeprefix(f"{SCRATCH}timm:"), kind, seed)
    if source.startswith(SCRATCH) and rest.partition(":")[0] in {*known, SCRATCH[:-1]}:
        raise UsageError(f"{source!r}: scratch: goes before a GAIR model or timm:NAME")
    if name in known:
        return _baseline(name, rest, kind, seed)
    from gair.model import Gair
    from training.finetune.encoders import gair_encoders

    model = Gair.from_pretrained(source.removeprefix(SCRATCH))
    if source.startswith(SCRATCH) or (source.startswith("untrained:") and seed):
        model = gair_encoders.untrained_like(model, seed)
    adapters: dict[Kind, Callable[[Gair], Adapted[Any]]] = {
        "photo": gair_encoders.photo_encoder,
        "frame": gair_encoders.frame_encoder,
        "location": gair_encoders.location_encoder,
    }
    return adapters[kind](model)


def _baseline(name: str, rest: str, kind: Kind, seed: int) -> Adapted[Any]:
    if not any(n.partition(":")[0] == name for n in NAMED[kind]):
        raise UsageError(
            f"{name} encodes no {kind}s; there are: GAIR models, {', '.join(NAMED[kind])}"
        )
    if name in ("timm", "dinov2"):
        return _timm(rest if name == "timm" else name, kind)
    if name == "efficientnet-lite":
        from training.finetune.encoders.efficientnet_lite import efficientnet_lite_encoder

        return efficientnet_lite_encoder(rest)
    if name == "croma":
        from training.finetune.encoders.croma import croma_encoder

        return croma_encoder(rest)
    if name == "geoclip":
        from training.finetune.encoders.geoclip import geoclip_encoder

        return geoclip_encoder(rest)
    if name == "random":
        from training.finetune.encoders.gair_encoders import random_location_encoder

        return random_location_encoder(seed)
    from training.finetune.encoders.satclip import satclip_encoder

    return satclip_encoder(rest)


def _timm(name: str, kind: Kind, random_seed: int | None = None) -> Adapted[Any]:
    """A timm model with its weights, or with random ones where a seed is given."""
    import torch

    from training.finetune.encoders.timm_encoders import timm_frame_encoder, timm_photo_encoder

    if not name:
        raise ModelError("timm: needs a name, such as timm:resnet50")
    if kind == "location":
        raise UsageError(f"timm encodes no locations; there are: {', '.join(NAMED[kind])}")
    adapt = timm_photo_encoder if kind == "photo" else timm_frame_encoder
    if random_seed is None:
        return adapt(name)
    state = torch.random.get_rng_state()
    torch.manual_seed(random_seed)
    try:
        return adapt(name, pretrained=False)
    finally:
        torch.random.set_rng_state(state)
