"""CROMA weights in miniature, as its file names them."""

from __future__ import annotations

from typing import Any

import torch
from micro_training import MICRO

State = dict[str, Any]


def croma_state() -> State:
    """``CROMA_base.pt``, small: the encoder has twelve bands."""
    d = MICRO.dim

    def linear(name: str, out: int, inputs: int) -> State:
        return {f"{name}.weight": torch.randn(out, inputs), f"{name}.bias": torch.randn(out)}

    def norm(name: str) -> State:
        return {f"{name}.weight": torch.randn(d), f"{name}.bias": torch.randn(d)}

    encoder = linear("linear_input", d, 12 * 64)
    for i in range(MICRO.rs_depth):
        layer = f"transformer.layers.{i}"
        encoder |= norm(f"{layer}.0.input_norm") | linear(f"{layer}.0.to_out", d, d)
        encoder[f"{layer}.0.to_qkv.weight"] = torch.randn(3 * d, d)
        encoder |= norm(f"{layer}.1.input_norm")
        encoder |= linear(f"{layer}.1.net.0", 4 * d, d) | linear(f"{layer}.1.net.3", d, 4 * d)
    encoder |= norm("transformer.norm_out")
    others = ("s1_encoder", "s1_GAP_FFN", "s2_GAP_FFN", "joint_encoder")
    return {"s2_encoder": encoder, **{part: {"0.weight": torch.ones(2)} for part in others}}
