"""The released checkpoint's tensors, listed from its documented shapes, and a recipe to fill them.

The names are those of the state dict in ``checkpoint.pth``; the values are made up, each from a
generator seeded by its name, so that anybody can make the same ones.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

from gair.config import GairConfig


def release_shapes(c: GairConfig) -> dict[str, tuple[int, ...]]:
    """Name to shape of every tensor of a release-like checkpoint of some size."""
    d, w, patch = c.dim, c.sv_width, c.sv_patch_px
    positions = (c.sv_image_px // patch) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {
        "query_feature": (1, 1, d),
        "rs_patch_pos_encoding": (1, c.rs_grid**2, d),
        "logit_scale": (),
        "queue_for_location": (2, 4096),
        "queue_ptr_location": (1,),
        "sv_encoder.embeddings.cls_token": (1, 1, w),
        "sv_encoder.embeddings.position_embeddings": (1, positions, w),
        "rs_encoder.head.weight": (10, d),
        "rs_encoder.head.bias": (10,),
    }

    def linear(name: str, out: int, *inputs: int) -> None:
        shapes[f"{name}.weight"] = (out, *inputs)
        shapes[f"{name}.bias"] = (out,)

    linear("sv_encoder.embeddings.patch_embeddings.projection", w, 3, patch, patch)
    linear("sv_encoder.layernorm", w)
    linear("sv_encoder.pooler.dense", w, w)
    linear("rs_encoder.layer_norm", d)
    linear("nerf_fn.norm_out", d)
    for i in range(2):
        layer = f"nerf_fn.layers.{i}"
        shapes[f"{layer}.0.create_qkv.weight"] = (3 * d, d)
        linear(f"{layer}.0.out", d, d)
        linear(f"{layer}.1.net.0", 4 * d, d)
        linear(f"{layer}.1.net.2", d, 4 * d)
        for part in (0, 1):
            linear(f"{layer}.{part}.input_norm", d)
    linear("imnet", d, 9 * d + 2)
    for name in ("radar_proj", "location_proj"):
        linear(name, d, d)
    linear("optical_proj", d, w)
    for i in range(c.sv_depth):
        layer = f"sv_encoder.encoder.layer.{i}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.attention.{part}", w, w)
        linear(f"{layer}.attention.output.dense", w, w)
        linear(f"{layer}.intermediate.dense", 4 * w, w)
        linear(f"{layer}.output.dense", w, 4 * w)
        linear(f"{layer}.layernorm_before", w)
        linear(f"{layer}.layernorm_after", w)
    trunk = "rs_encoder.s2_encoder"
    linear(f"{trunk}.linear_input", d, 10 * c.rs_patch_px**2)
    for i in range(c.rs_depth):
        layer = f"{trunk}.transformer.layers.{i}"
        linear(f"{layer}.0.input_norm", d)
        shapes[f"{layer}.0.to_qkv.weight"] = (3 * d, d)
        linear(f"{layer}.0.to_out", d, d)
        linear(f"{layer}.1.input_norm", d)
        linear(f"{layer}.1.net.0", 4 * d, d)
        linear(f"{layer}.1.net.3", d, 4 * d)
    for i in range(len(c.location_sigmas)):
        capsule, hidden = f"location_encoder.LocEnc{i}", c.location_hidden
        shapes[f"{capsule}.capsule.0.b"] = (c.location_frequencies, 2)
        linear(f"{capsule}.capsule.1", hidden, 2 * c.location_frequencies)
        linear(f"{capsule}.capsule.3", hidden, hidden)
        linear(f"{capsule}.capsule.5", hidden, hidden)
        linear(f"{capsule}.head.0", d, hidden)
    return shapes


def final_norm_shapes(c: GairConfig) -> dict[str, tuple[int, ...]]:
    """The two tensors that a checkpoint may have or not."""
    stem = "rs_encoder.s2_encoder.transformer.norm_out"
    return {f"{stem}.weight": (c.dim,), f"{stem}.bias": (c.dim,)}


def made_up(name: str, shape: tuple[int, ...]) -> Tensor:
    """The made-up value of one tensor."""
    if name.startswith("queue_ptr"):
        return torch.zeros(shape, dtype=torch.int64)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    a = rng.standard_normal(shape, dtype=np.float32)
    if name.endswith("capsule.0.b"):
        a = a * {"0": 1, "1": 16, "2": 256}[name.split("LocEnc")[1][0]]
    elif name.endswith("weight") and any(
        norm in name for norm in ("layernorm", "layer_norm", "input_norm", "norm_out")
    ):
        a = 1 + 0.02 * a
    elif name.endswith("weight") and len(shape) >= 2:
        a = a / np.sqrt(np.prod(shape[1:]))
    else:
        a = 0.02 * a
    return torch.from_numpy(np.asarray(a, dtype=np.float32))


def made_up_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A whole state dict."""
    return {name: made_up(name, shape) for name, shape in shapes.items()}
