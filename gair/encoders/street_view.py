"""Street-view encoder g: a vision transformer, a tanh pooler and a projection.

``s = projection(tanh(pooler(CLS)))`` (gair release: ``sv_encoder`` then ``optical_proj``); ``s`` is
the vector compared with remote-sensing and location embeddings.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn

from gair.config import GairConfig

MISSING_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class StreetViewEncoder(nn.Module):
    """ViT from timm; (B, 3, 224, 224) normalised pixels to (B, D)."""

    def __init__(self, config: GairConfig) -> None:
        super().__init__()
        import_timm()
        from timm.models.vision_transformer import VisionTransformer

        self.vit: nn.Module = VisionTransformer(
            img_size=config.sv_image_px,
            patch_size=config.sv_patch_px,
            embed_dim=config.sv_width,
            depth=config.sv_depth,
            num_heads=config.sv_heads,
            mlp_ratio=4.0,
            qkv_bias=True,
            norm_layer=functools.partial(nn.LayerNorm, eps=config.sv_norm_eps),
            num_classes=0,
            global_pool="token",
        )
        self.pooler = nn.Linear(config.sv_width, config.sv_width)
        self.projection = nn.Linear(config.sv_width, config.dim)

    def pooled(self, pixels: Tensor) -> Tensor:
        """The pooler's output, (B, sv_width), before the projection."""
        cls_token = cast(Tensor, self.vit(pixels))  # (B, sv_width), after the final norm
        return torch.tanh(self.pooler(cls_token))

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) to the projected embedding (B, D), not normalised."""
        return cast(Tensor, self.projection(self.pooled(pixels)))


def import_timm() -> ModuleType:
    """The timm package, mending torchvision's missing operators only if the import needs it.

    timm imports torchvision, and torchvision registers fake kernels for its binary operators when
    it is imported. Beside a torch build that its binary was not made for (for example a CPU-only
    torch), the binary is skipped, the operators were never defined, and ``import timm`` dies with
    "operator torchvision::nms does not exist". No vision transformer uses those operators, so
    declaring their signatures is enough. A machine whose torch and torchvision match is left alone.
    """
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _forget_half_imports()
    _declare_missing_operators()
    return importlib.import_module("timm")


def _declare_missing_operators() -> None:
    namespace: Any = torch.ops.torchvision
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in MISSING_OPERATORS:
        if not hasattr(namespace, name):
            library.define(name + _SIGNATURE)
    # The definitions live as long as the library object: tie it to the namespace they are in.
    namespace.gair_keeps_alive = library


def _forget_half_imports() -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in {"timm", "torchvision"}:
            del sys.modules[name]
