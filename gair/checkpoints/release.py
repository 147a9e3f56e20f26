"""Tensor names of the released checkpoint, and their strict conversion to ours.

The names and shapes are facts of ``checkpoint.pth`` at https://huggingface.co/PingL/GAIR; its
weights are CC BY-NC 4.0. Nothing is dropped silently: a tensor is used, or it is on
:data:`UNUSED`, or it is an error that names it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from gair.config import GairConfig
from gair.errors import CheckpointError

RELEASE_ID = "PingL/GAIR"
"""The release's identifier on the Hugging Face hub."""
RELEASE_FILE = "checkpoint.pth"
"""The weights' file name there."""
RELEASE_LICENCE = "CC BY-NC 4.0"
"""Licence of the released weights."""

UNUSED = (
    "rs_encoder.head.",  # CROMA's pooled head
    "rs_encoder.layer_norm.",
    "nerf_fn.",
    "radar_proj.",
    "location_proj.",
    "query_feature",
    "rs_patch_pos_encoding",
    "queue_for_location",
    "queue_ptr_location",
    "logit_scale",
    # Members of the authors' training model that a training checkpoint may still hold.
    "rs_encoder_teacher.",
    "sv_encoder_teacher.",
    "ContrastLoss.",
    "rs_student_projector.",
    "sv_student_projector.",
    "queue_for_rs_encoding",
    "queue_ptr_rs",
)
"""Known tensors of parts that inference does not use; a name ending in a dot is a prefix."""

FINAL_NORM = "rs_encoder.s2_encoder.transformer.norm_out."
"""CROMA's closing layer norm: used where the checkpoint has it."""

_RENAMED = {
    "sv_encoder.embeddings.cls_token": "street_view.vit.cls_token",
    "sv_encoder.embeddings.position_embeddings": "street_view.vit.pos_embed",
    "sv_encoder.embeddings.patch_embeddings.projection": "street_view.vit.patch_embed.proj",
    "sv_encoder.encoder.layer.#.attention.output.dense": "street_view.vit.blocks.#.attn.proj",
    "sv_encoder.encoder.layer.#.intermediate.dense": "street_view.vit.blocks.#.mlp.fc1",
    "sv_encoder.encoder.layer.#.output.dense": "street_view.vit.blocks.#.mlp.fc2",
    "sv_encoder.encoder.layer.#.layernorm_before": "street_view.vit.blocks.#.norm1",
    "sv_encoder.encoder.layer.#.layernorm_after": "street_view.vit.blocks.#.norm2",
    "sv_encoder.layernorm": "street_view.vit.norm",
    "sv_encoder.pooler.dense": "street_view.pooler",
    "optical_proj": "street_view.projection",
    "rs_encoder.s2_encoder.linear_input": "remote_sensing.patch_embed",
    "rs_encoder.s2_encoder.transformer.layers.#.0.input_norm": "remote_sensing.blocks.#.norm1",
    "rs_encoder.s2_encoder.transformer.layers.#.0.to_qkv": "remote_sensing.blocks.#.qkv",
    "rs_encoder.s2_encoder.transformer.layers.#.0.to_out": "remote_sensing.blocks.#.proj",
    "rs_encoder.s2_encoder.transformer.layers.#.1.input_norm": "remote_sensing.blocks.#.norm2",
    "rs_encoder.s2_encoder.transformer.layers.#.1.net.0": "remote_sensing.blocks.#.fc1",
    "rs_encoder.s2_encoder.transformer.layers.#.1.net.3": "remote_sensing.blocks.#.fc2",
    "rs_encoder.s2_encoder.transformer.norm_out": "remote_sensing.norm",
    "imnet": "inr.decoder",
    "location_encoder.LocEnc#.capsule.0.b": "location.capsules.#.frequencies",
    "location_encoder.LocEnc#.capsule.1": "location.capsules.#.layers.0",
    "location_encoder.LocEnc#.capsule.3": "location.capsules.#.layers.2",
    "location_encoder.LocEnc#.capsule.5": "location.capsules.#.layers.4",
    "location_encoder.LocEnc#.head.0": "location.capsules.#.head",
}
"""Whole names, or names less their last part (``weight`` or ``bias``), theirs to ours; ``#`` is the
number of a layer or capsule."""
_NUMBER = re.compile(r"(?<=layer\.)\d+|(?<=layers\.)\d+|(?<=LocEnc)\d+")
_QKV = re.compile(
    r"sv_encoder\.encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(weight|bias)"
)


_QKV_PARTS = ("query", "key", "value")


def looks_like_release(names: Mapping[str, object]) -> bool:
    """Whether a state dict uses the release's names."""
    return any(_plain(name).startswith(("sv_encoder.", "rs_encoder.")) for name in names)


def release_config(state: Mapping[str, object], base: GairConfig) -> GairConfig:
    """The configuration a checkpoint needs: ``base``, with the final norm if it is there."""
    has_norm = any(_plain(name).startswith(FINAL_NORM) for name in state)
    return dataclasses.replace(base, rs_final_norm=has_norm)


def convert_release(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, allow_unknown: bool = False
) -> dict[str, Tensor]:
    """Rename the released tensors to ours.

    Args:
        state: the release's state dict; names may start with ``module.``.
        wanted: our model's state dict, for names and shapes.
        allow_unknown: leave unknown tensors aside instead of refusing them.

    Returns:
        A state dict with exactly the names and shapes of ``wanted``, float32.

    Raises:
        CheckpointError: a tensor is unknown, missing, misshapen or not finite; it is named. Or our
            model has convolutional stems.
    """
    if any(".trunk." in name for name in wanted):
        raise CheckpointError(
            "the model's towers have convolutional stems, and the release's begin with patches: "
            "convert to a configuration with stem 'patch'"
        )
    converted: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    qkv: dict[str, dict[str, Tensor]] = {}
    unknown: list[str] = []
    for full_name, tensor in state.items():
        name = _plain(full_name)
        if _is_unused(name):
            continue
        if match := _QKV.fullmatch(name):
            target = f"street_view.vit.blocks.{match[1]}.attn.qkv.{match[3]}"
            qkv.setdefault(target, {})[match[2]] = _checked(full_name, tensor)
            origin[target] = name.replace(f".{match[2]}.", ".{query,key,value}.")
            continue
        ours = _renamed(name)
        if ours is None or ours not in wanted:
            unknown.append(full_name)
            continue
        converted[ours] = _checked(full_name, tensor)
        origin[ours] = full_name
    unknown += [origin[name] for name in qkv if name not in wanted]
    if unknown and not allow_unknown:
        raise CheckpointError(
            f"checkpoint has {_listed('unknown tensor', unknown)}; it is another model, or a newer "
            "release: pass `allow_unknown` to load all the same"
        )
    converted |= {
        name: _stacked(origin[name], parts) for name, parts in qkv.items() if name in wanted
    }
    _check_against(converted, origin, wanted)
    return converted


def _check_against(
    converted: Mapping[str, Tensor], origin: Mapping[str, str], wanted: Mapping[str, Tensor]
) -> None:
    missing = [name for name in wanted if name not in converted]
    if missing:
        theirs = [_release_name(name) for name in missing]
        raise CheckpointError(f"checkpoint lacks {_listed('tensor', theirs)}")
    check_shapes(converted, wanted, origin)


def check_shapes(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], origin: Mapping[str, str]
) -> None:
    """Refuse a tensor of another shape.

    Args:
        state: tensors to be loaded, by our names.
        wanted: our model's state dict; it has every name of ``state``.
        origin: what to call each of them in the error.
    """
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"checkpoint tensor {origin[name]} has shape {tuple(tensor.shape)}; "
                f"expected {tuple(wanted[name].shape)}"
            )


def _checked(name: str, tensor: Tensor) -> Tensor:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise CheckpointError(f"checkpoint entry {name} is {kind}; expected a float tensor")
    if not bool(torch.isfinite(tensor).all()):
        raise CheckpointError(f"checkpoint tensor {name} holds NaN or infinite values")
    return tensor.float()


def _stacked(name: str, parts: Mapping[str, Tensor]) -> Tensor:
    """Query, key and value as one matrix; ``name`` has ``{query,key,value}`` in it."""
    absent = [part for part in _QKV_PARTS if part not in parts]
    if absent:
        lacking = [name.replace("{query,key,value}", part) for part in absent]
        raise CheckpointError(f"checkpoint lacks {_listed('tensor', lacking)}")
    shapes = {part: tuple(tensor.shape) for part, tensor in parts.items()}
    if len(set(shapes.values())) != 1:
        raise CheckpointError(f"checkpoint tensors {name} differ in shape: {shapes}")
    return torch.cat([parts[part] for part in _QKV_PARTS])


def _plain(name: str) -> str:
    return name.removeprefix("module.")


def _is_unused(name: str) -> bool:
    return any(name.startswith(u) if u.endswith(".") else name == u for u in UNUSED)


def _renamed(name: str) -> str | None:
    match = _NUMBER.search(name)
    number = match[0] if match else ""
    general = _NUMBER.sub("#", name, count=1)
    stem, _, last = general.rpartition(".")
    ours = _RENAMED.get(general) or (f"{_RENAMED[stem]}.{last}" if stem in _RENAMED else None)
    return ours.replace("#", number, 1) if ours else None


def _release_name(ours: str) -> str:
    """What the release calls a tensor of ours."""
    if match := re.fullmatch(r"street_view\.vit\.blocks\.(\d+)\.attn\.qkv\.(\w+)", ours):
        layer = f"sv_encoder.encoder.layer.{match[1]}.attention.attention"
        return f"{layer}.{{query,key,value}}.{match[2]}"
    number = re.search(r"(?<=blocks\.)\d+|(?<=capsules\.)\d+", ours)
    general = ours if number is None else ours.replace(f".{number[0]}.", ".#.", 1)
    stem, _, last = general.rpartition(".")
    theirs = {mine: name for name, mine in _RENAMED.items()}
    name = theirs.get(general) or f"{theirs.get(stem, stem)}.{last}"
    return name.replace("#", number[0], 1) if number else name


def _listed(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{len(names)} {what}{'s' if len(names) != 1 else ''}: {shown}"
