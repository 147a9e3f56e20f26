"""Encoders by name, as the command line and the table ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gair.errors import ModelError, UsageError
from training.finetune.encoders import Adapted, Kind

SCRATCH = "scratch:"
"""Before a GAIR model: its shape with random weights, to be trained on the labels alone."""

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
            ``untrained:PRESET``); ``scratch:`` and one, for its shape with random weights; or a
            baseline of :data:`NAMED`.
        kind: what it must encode.
        seed: of random weights.

    Raises:
        ModelError: there is no such encoder, or its weights cannot be had.
        UsageError: the baseline encodes something else.
    """
    name, _, rest = source.partition(":")
    known = {n.partition(":")[0] for names in NAMED.values() for n in names}
    if name in known:
        return _baseline(name, rest, kind, seed)
    from gair.model import Gair
    from training.finetune import gair_encoders

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
        from training.finetune.timm_encoders import timm_frame_encoder, timm_photo_encoder

        if name == "timm" and not rest:
            raise ModelError("timm: needs a name, such as timm:resnet50")
        model = rest if name == "timm" else "dinov2"
        return timm_photo_encoder(model) if kind == "photo" else timm_frame_encoder(model)
    if name == "efficientnet-lite":
        from training.finetune.efficientnet_lite import efficientnet_lite_encoder

        return efficientnet_lite_encoder(rest)
    if name == "croma":
        from training.finetune.croma import croma_encoder

        return croma_encoder(rest)
    if name == "geoclip":
        from training.finetune.geoclip import geoclip_encoder

        return geoclip_encoder(rest)
    if name == "random":
        from training.finetune.gair_encoders import random_location_encoder

        return random_location_encoder(seed)
    from training.finetune.satclip import satclip_encoder

    return satclip_encoder(rest)
