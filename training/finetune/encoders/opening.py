"""Opens encoders by name, as the command line and the table ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gair.errors import ModelError, UsageError
from gair.model import Gair
from training.finetune.encoders.encoder import Encoder, Kind
from training.finetune.encoders.gair_encoders import (
    croma_encoder,
    frame_encoder,
    geoclip_encoder,
    location_encoder,
    photo_encoder,
    random_location_encoder,
    untrained_like,
)
from training.finetune.encoders.satclip import satclip_encoder
from training.finetune.encoders.timm_encoders import (
    efficientnet_lite_encoder,
    timm_frame_encoder,
    timm_photo_encoder,
)

SCRATCH = "scratch:"
"""Before a GAIR or timm model: its shape, random weights, to be trained on the labels alone."""

NAMED: dict[Kind, tuple[str, ...]] = {
    "photo": ("timm:NAME", "dinov2", "efficientnet-lite"),
    "frame": ("croma", "timm:NAME", "dinov2"),
    "location": ("geoclip", "satclip", "random"),
}
"""Baselines of each kind; a weight file may follow a colon."""

_TOWERS: dict[Kind, Callable[[Gair], Encoder[Any]]] = {
    "photo": photo_encoder,
    "frame": frame_encoder,
    "location": location_encoder,
}
_FROM_FILES: dict[str, Callable[[str], Encoder[Any]]] = {
    "efficientnet-lite": efficientnet_lite_encoder,
    "croma": croma_encoder,
    "geoclip": geoclip_encoder,
    "satclip": satclip_encoder,
}
"""Opened by the path of a weight file, or by an empty one where it is known where to get it."""


def open_encoder(source: str, kind: Kind, seed: int = 0) -> Encoder[Any]:
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
    baselines = {n.partition(":")[0] for names in NAMED.values() for n in names}
    if source.startswith(f"{SCRATCH}timm:"):
        return _timm(source.removeprefix(f"{SCRATCH}timm:"), kind, seed)
    if source.startswith(SCRATCH) and rest.partition(":")[0] in {*baselines, SCRATCH[:-1]}:
        raise UsageError(f"{source!r}: scratch: goes before a GAIR model or timm:NAME")
    if name in baselines:
        return _baseline(name, rest, kind, seed)
    model = Gair.from_pretrained(source.removeprefix(SCRATCH))
    if source.startswith(SCRATCH) or (source.startswith("untrained:") and seed):
        model = untrained_like(model, seed)
    return _TOWERS[kind](model)


def _baseline(name: str, rest: str, kind: Kind, seed: int) -> Encoder[Any]:
    if not any(n.partition(":")[0] == name for n in NAMED[kind]):
        raise UsageError(
            f"{name} encodes no {kind}s; there are: GAIR models, {', '.join(NAMED[kind])}"
        )
    if name in ("timm", "dinov2"):
        return _timm(rest if name == "timm" else name, kind)
    if name == "random":
        return random_location_encoder(seed)
    return _FROM_FILES[name](rest)


def _timm(name: str, kind: Kind, random_seed: int | None = None) -> Encoder[Any]:
    """A timm model with its weights, or with random ones where a seed is given."""
    if not name:
        raise ModelError("timm: needs a name, such as timm:resnet50")
    if kind == "location":
        raise UsageError(f"timm encodes no locations; there are: {', '.join(NAMED[kind])}")
    adapt = timm_photo_encoder if kind == "photo" else timm_frame_encoder
    if random_seed is None:
        return adapt(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed)
        return adapt(name, pretrained=False)
