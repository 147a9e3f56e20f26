"""The street-view encoder g: a vision transformer, a tanh pooler and a projection.

``s = projection(tanh(pooler(CLS)))`` (gair release: ``sv_encoder`` then ``optical_proj``); ``s`` is
the vector compared with remote-sensing and location embeddings.
"""

from __future__ import annotations

import functools
from typing import cast

import torch
from torch import Tensor, nn

from gair.config import GairConfig
from gair.encoders.timm_import import import_timm


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
