"""Initial weights of the towers from files that the user has: a timm ViT, CROMA, GeoCLIP.

The paper starts from a ViT-B/16 of ImageNet-21k, CROMA-base and GeoCLIP (arXiv 2503.16683, section
4.1). Nothing is dropped silently: a tensor is used, or it belongs to a part that is named as left
aside, or it is an error that names it. The layouts are facts of

* timm's ``VisionTransformer`` (https://github.com/huggingface/pytorch-image-models), where
  ``pre_logits.fc`` of older ImageNet-21k files is what GAIR calls the pooler;
* ``CROMA_base.pt`` (https://github.com/antofuller/CROMA), five state dicts by name, ``s2_encoder``
  among them, with the twelve bands of Sentinel-2 L2A;
* ``location_encoder_weights.pth`` (https://github.com/VicenteVivan/geo-clip), three capsules with
  heads of width 512.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from gair.bands import LAYOUTS
from gair.checkpoints.checkpoint import read_torch_checkpoint
from gair.checkpoints.release import check_shapes
from gair.config import GairConfig
from gair.encoders.street_view import import_timm
from gair.errors import CheckpointError, ModelError
from gair.model import Gair

_CROMA = (
    (r"linear_input", "patch_embed"),
    (r"transformer\.layers\.(\d+)\.0\.input_norm", r"blocks.\1.norm1"),
    (r"transformer\.layers\.(\d+)\.0\.to_qkv", r"blocks.\1.qkv"),
    (r"transformer\.layers\.(\d+)\.0\.to_out", r"blocks.\1.proj"),
    (r"transformer\.layers\.(\d+)\.1\.input_norm", r"blocks.\1.norm2"),
    (r"transformer\.layers\.(\d+)\.1\.net\.0", r"blocks.\1.fc1"),
    (r"transformer\.layers\.(\d+)\.1\.net\.3", r"blocks.\1.fc2"),
    (r"transformer\.norm_out", "norm"),
)
"""CROMA's names and ours, less the last part."""
_CROMA_PARTS = ("s1_encoder", "s1_GAP_FFN", "s2_encoder", "s2_GAP_FFN", "joint_encoder")
_CROMA_BANDS = LAYOUTS["l2a-12"]
_GEOCLIP = (
    (r"capsule\.0\.b", "frequencies"),
    (r"capsule\.([135])\.(weight|bias)", r"layers.\1.\2"),
    (r"head\.0\.(weight|bias)", r"head.\1"),
)
"""GeoCLIP's names in a capsule and ours; its layers count the encoding, so they are one ahead."""
_SIGMA_TOLERANCE = 0.2
"""Of the spread of a capsule's frequencies, which are 512 random numbers."""

Imported = dict[str, tuple[str, Tensor]]
"""Our name to theirs and the tensor."""


def initialise_towers(
    model: Gair,
    *,
    street_view: str | None = None,
    remote_sensing: str | None = None,
    location: str | None = None,
) -> list[str]:
    """Overwrite towers with weights from elsewhere; what is empty or None is left as it is.

    Args:
        model: changed in place.
        street_view: file of a timm ViT's state dict, or a timm model's name for timm to fetch.
        remote_sensing: CROMA's checkpoint file.
        location: GeoCLIP's file of the location encoder.

    Returns:
        Lines for people: what was loaded from where, and what was not.

    Raises:
        CheckpointError: a tensor is unknown, missing, misshapen or not finite; it is named.
        ModelError: there is no such file or timm model, or the tower has a convolutional stem.
    """
    for flag, source in (
        ("init_street_view", street_view),
        ("init_remote_sensing", remote_sensing),
    ):
        if source and model.config.stem != "patch":
            raise ModelError(
                f"{flag} is {source}, weights of a transformer on patches, and the model's stem is "
                f"{model.config.stem!r}: leave it away, or start from a model with stem 'patch'"
            )
    lines = []
    if street_view:
        lines.append(_street_view(model, street_view))
    if remote_sensing:
        lines.append(_remote_sensing(model, remote_sensing))
    if location:
        lines.append(_location(model, location))
    return lines


def _street_view(model: Gair, source: str) -> str:
    state = _read(source) if Path(source).is_file() else _timm_state(source)
    imported: Imported = {}
    for name, tensor in state.items():
        if name.startswith("pre_logits.fc."):
            imported[name.replace("pre_logits.fc", "street_view.pooler")] = name, tensor
        elif not name.startswith("head."):
            imported[f"street_view.vit.{name}"] = name, tensor
    pooled = any(ours.startswith("street_view.pooler.") for ours in imported)
    wanted = [n for n in model.state_dict() if n.startswith("street_view.vit.")]
    wanted += ["street_view.pooler.weight", "street_view.pooler.bias"] if pooled else []
    _fill(model, source, imported, wanted)
    kept = "the projection" if pooled else "the pooler and the projection"
    aside = "; its classifier is left aside" if any(n.startswith("head.") for n in state) else ""
    return f"street view: {len(imported)} tensors from {source}{aside}; {kept} as before"


def _remote_sensing(model: Gair, source: str) -> str:
    parts: Mapping[str, object] = _read(source)
    state = parts.get("s2_encoder")
    if not isinstance(state, Mapping) or not set(parts) <= set(_CROMA_PARTS):
        raise CheckpointError(
            f"{source} is not a CROMA checkpoint: it has {', '.join(list(parts)[:6])}; "
            f"expected {', '.join(_CROMA_PARTS)}"
        )
    aside = []
    imported: Imported = {}
    for name, tensor in state.items():
        stem, _, last = str(name).rpartition(".")
        ours = f"remote_sensing.{_renamed(stem, _CROMA)}.{last}"
        if ours.startswith("remote_sensing.norm.") and not model.config.rs_final_norm:
            aside = ["its closing norm, which the model does without"]
        else:
            imported[ours] = f"s2_encoder.{name}", tensor
    dropped = [band for band in _CROMA_BANDS if band not in model.config.rs_bands]
    if dropped:
        aside.append(f"the input weights of {' and '.join(dropped)}")
    if "remote_sensing.patch_embed.weight" in imported:
        name, kernel = imported["remote_sensing.patch_embed.weight"]
        chosen = _of_our_bands(source, name, kernel, model.config)
        imported["remote_sensing.patch_embed.weight"] = name, chosen
    wanted = [n for n in model.state_dict() if n.startswith("remote_sensing.")]
    _fill(model, source, imported, wanted)
    left = f"; left aside: {', '.join(aside)}" if aside else ""
    return f"remote sensing: {len(imported)} tensors from {source}{left}"


def _of_our_bands(source: str, name: str, kernel: Tensor, config: GairConfig) -> Tensor:
    """Input weights (D, bands * p * p) of CROMA's bands to those of ours."""
    pixels = config.rs_patch_px**2
    if kernel.dim() != 2 or kernel.shape[1] != len(_CROMA_BANDS) * pixels:
        raise CheckpointError(
            f"tensor {name} of {source} has shape {tuple(kernel.shape)}; expected "
            f"{len(_CROMA_BANDS)} bands of {pixels} pixels"
        )
    # CROMA unfolds a patch with the bands outermost: column b * p * p + (row, column in the patch).
    places = [_CROMA_BANDS.index(band) for band in config.rs_bands]
    return kernel.view(len(kernel), len(_CROMA_BANDS), pixels)[:, places].flatten(1)


def _location(model: Gair, source: str) -> str:
    state = _read(source)
    sigmas = model.config.location_sigmas
    place = {
        name.split(".")[0]: _capsule_of(source, name, tensor, sigmas)
        for name, tensor in state.items()
        if name.endswith(".capsule.0.b")
    }
    widths = {len(tensor) for name, tensor in state.items() if name.endswith(".head.0.weight")}
    with_heads = widths == {model.config.dim}
    imported: Imported = {}
    for name, tensor in state.items():
        theirs, _, part = name.partition(".")
        renamed = _renamed(part, _GEOCLIP)
        if renamed.startswith("layers."):
            _, number, last = renamed.split(".")
            renamed = f"layers.{int(number) - 1}.{last}"
        if with_heads or not renamed.startswith("head."):
            imported[f"location.capsules.{place.get(theirs, theirs)}.{renamed}"] = name, tensor
    wanted = [
        name
        for name in model.state_dict()
        if name.startswith(tuple(f"location.capsules.{i}." for i in place.values()))
        and (with_heads or ".head." not in name)
    ]
    _fill(model, source, imported, wanted)
    fresh = [f"{sigma:g}" for i, sigma in enumerate(sigmas) if i not in place.values()]
    text = f"location: {len(imported)} tensors from {source}"
    if not with_heads:
        text += f"; its heads of width {max(widths, default=0)} are left aside, ours as before"
    return text + (f"; the capsules of sigma {', '.join(fresh)} as before" if fresh else "")


def _capsule_of(source: str, name: str, frequencies: Tensor, sigmas: tuple[float, ...]) -> int:
    """Which of our capsules has the sigma that these frequencies were drawn with."""
    spread = float(frequencies.float().std())
    for i, sigma in enumerate(sigmas):
        if abs(spread / sigma - 1) < _SIGMA_TOLERANCE:
            return i
    ours = ", ".join(f"{sigma:g}" for sigma in sigmas)
    raise CheckpointError(
        f"tensor {name} of {source} has frequencies of sigma {spread:.3g}; the model's are {ours}"
    )


def _renamed(name: str, table: tuple[tuple[str, str], ...]) -> str:
    """By the first pattern that is the whole name; a name without one is kept."""
    for pattern, ours in table:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    return name


def _fill(model: Gair, source: str, imported: Imported, wanted: list[str]) -> None:
    """Overwrite exactly the wanted tensors."""
    unknown = [theirs for ours, (theirs, _) in imported.items() if ours not in wanted]
    if unknown:
        raise CheckpointError(f"{source} has tensors that are not known here: {_some(unknown)}")
    missing = [name for name in wanted if name not in imported]
    if missing:
        raise CheckpointError(f"{source} has no tensors for {_some(missing)}")
    ours = model.state_dict()
    origin = {name: f"{theirs} of {source}" for name, (theirs, _) in imported.items()}
    check_shapes({name: tensor for name, (_, tensor) in imported.items()}, ours, origin)
    for name, (_, tensor) in imported.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"tensor {origin[name]} holds NaN or infinite values")
    for name, (_, tensor) in imported.items():
        ours[name].copy_(tensor)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _read(source: str) -> dict[str, Tensor]:
    path = Path(source)
    if not path.is_file():
        raise ModelError(f"no weights at {source!r}: give the path of a checkpoint file")
    if path.suffix != ".safetensors":
        return read_torch_checkpoint(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error


def _timm_state(source: str) -> dict[str, Tensor]:
    """Weights that timm fetches, or has fetched before."""
    import_timm()
    import timm

    name = source.removeprefix("timm:")
    if not timm.is_model(name):
        raise ModelError(f"{source!r} is neither a file nor the name of a timm model")
    try:
        return cast(dict[str, Tensor], timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:  # which one depends on the hub's client
        raise ModelError(
            f"cannot get timm's {name!r} ({type(error).__name__}): check the network, or download "
            "its weights and pass the file's path"
        ) from error
