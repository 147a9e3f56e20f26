"""Street-view encoder g: a vision transformer or convolutions, a pooler and a projection.

``s = projection(tanh(pooler(CLS)))`` (gair release: ``sv_encoder`` then ``optical_proj``); ``s`` is
the vector compared with remote-sensing and location embeddings. With a convolutional stem
(``config.stem``) the pooler reads strips of a feature map instead of the class token.
"""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.config import GairConfig
from gair.encoders.convolutions import STRIPS, ChannelNorm, PhotoTrunk, strips_and_maximum
from gair.encoders.readers import StripReader
from gair.encoders.remote_sensing import Block

MISSING_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class StreetViewEncoder(nn.Module):
    """(B, 3, S, S) normalised pixels to (B, D)."""

    def __init__(self, config: GairConfig) -> None:
        super().__init__()
        self.has_conv_stem = config.stem == "conv"
        self.mirrored = config.sv_mirrored
        seen = config.sv_width
        if self.has_conv_stem:
            self.conv = PhotoTower(config)
            seen = (STRIPS + 1) * config.sv_channels[-1]
        else:
            self.vit = _vision_transformer(config)
        self.pooler = nn.Linear(seen, config.sv_width)
        self.projection = nn.Linear(config.sv_width, config.dim)
        self.reader = StripReader(seen, config.sv_hidden, config.dim) if config.sv_hidden else None

    @property
    def tower(self) -> nn.Module:
        """What is before the pooler: the ViT of timm, or the convolutional tower."""
        return self.conv if self.has_conv_stem else self.vit

    @property
    def segments(self) -> list[nn.Module]:
        """Its parts, one after another, whose activations may be computed twice to save memory."""
        stages = self.conv.trunk.stages if self.has_conv_stem else ()
        return [*stages, *cast(nn.ModuleList, self.tower.blocks)]

    def pooled(self, pixels: Tensor) -> Tensor:
        """The pooler's output, (B, sv_width), before the projection."""
        return self._as_it_is(pixels)[0]

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) to the projected embedding (B, D), not normalised."""
        return self.pooled_and_embedding(pixels)[1]

    def pooled_and_embedding(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Both of :meth:`pooled` and :meth:`forward` from one pass of the tower.

        With ``sv_mirrored`` the embedding is the mean over each photo and its mirror image.
        """
        if not self.mirrored:
            return self._as_it_is(pixels)
        pooled, s = self._as_it_is(torch.cat([pixels, pixels.flip(3)]))
        return pooled[: len(pixels)], s.view(2, len(pixels), -1).mean(dim=0)

    def _as_it_is(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.tower(pixels)  # of the ViT its class token after the final norm
        pooled = self.pooler(seen)
        pooled = F.gelu(pooled) if self.has_conv_stem else torch.tanh(pooled)
        s = cast(Tensor, self.projection(pooled))
        return pooled, s if self.reader is None else s + self.reader(seen)


class PhotoTower(nn.Module):
    """Convolutions, transformer blocks if there are any, and strips: (B, 3, S, S) to (B, 7 C)."""

    def __init__(self, config: GairConfig) -> None:
        super().__init__()
        width, grid = config.sv_channels[-1], config.sv_image_px // config.sv_patch_px
        self.trunk = PhotoTrunk(config.sv_channels, config.sv_residuals)
        if config.sv_depth:
            self.pos_embed = nn.Parameter(torch.zeros(1, grid * grid, width))
        self.blocks = nn.ModuleList(Block(width, config.sv_heads) for _ in range(config.sv_depth))
        self.norm = ChannelNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) to the means of six horizontal strips and the maximum, (B, 7 C)."""
        features = self.trunk(pixels)
        if len(self.blocks):
            tokens = features.flatten(2).transpose(1, 2) + self.pos_embed
            for block in self.blocks:
                tokens = block(tokens)
            features = tokens.transpose(1, 2).unflatten(2, features.shape[2:])
        return strips_and_maximum(self.norm(features))


def _vision_transformer(config: GairConfig) -> nn.Module:
    """ViT from timm without a head."""
    import_timm()
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
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
