"""UPerNet: a head that reads four feature maps and labels every pixel.

Xiao et al., https://arxiv.org/abs/1807.10221: pyramid pooling on the coarsest map, a feature
pyramid down to the finest, all levels fused. A plain transformer has maps of one size only; as in
PANGAEA (https://arxiv.org/abs/2412.04204) they are brought to 4, 2, 1 and 1/2 times that first.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.finetune.encoders.encoder import DEPTHS

POOL_SIDES = (1, 2, 3, 6)
"""Grids of the pyramid pooling (PSPNet, https://arxiv.org/abs/1612.01105, section 3.2)."""


class UPerNet(nn.Module):
    """(B, 4, width, h, w) feature maps to (B, classes, 4h, 4w) scores.

    It has batch norms, so in training a batch needs two examples or more.
    """

    def __init__(self, width: int, classes: int, channels: int = 512) -> None:
        super().__init__()
        self.rescale = nn.ModuleList(_rescalings(width))
        self.pools = nn.ModuleList(_conv(width, channels, 1) for _ in POOL_SIDES)
        self.pooled = _conv(width + len(POOL_SIDES) * channels, channels, 3)
        self.lateral = nn.ModuleList(_conv(width, channels, 1) for _ in range(DEPTHS - 1))
        self.smooth = nn.ModuleList(_conv(channels, channels, 3) for _ in range(DEPTHS - 1))
        self.fuse = _conv(DEPTHS * channels, channels, 3)
        self.dropout = nn.Dropout2d(0.1)
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Scores at the size of the finest level, four times that of the maps."""
        # Finest first: (B, width, 4h, 4w), (B, width, 2h, 2w), (.., h, w), (.., h/2, w/2).
        levels = [scale(maps[:, i]) for i, scale in enumerate(self.rescale)]
        top_down = [self._pyramid_pooling(levels[-1])]
        for i in reversed(range(DEPTHS - 1)):
            finer = self.lateral[i](levels[i])
            top_down.insert(0, finer + _to_size_of(top_down[0], finer))
        # Three smoothings for four levels: the coarsest comes smooth out of the pooling.
        smoothed = [conv(level) for conv, level in zip(self.smooth, top_down, strict=False)]
        smoothed.append(top_down[-1])
        same = [smoothed[0], *(_to_size_of(level, smoothed[0]) for level in smoothed[1:])]
        fused = self.dropout(self.fuse(torch.cat(same, dim=1)))  # (B, channels, 4h, 4w)
        return cast(Tensor, self.classify(fused))

    def _pyramid_pooling(self, coarse: Tensor) -> Tensor:
        """The coarsest level beside its means over grids of several sizes."""
        parts = [coarse]
        for side, conv in zip(POOL_SIDES, self.pools, strict=True):
            parts.append(_to_size_of(conv(F.adaptive_avg_pool2d(coarse, side)), coarse))
        return cast(Tensor, self.pooled(torch.cat(parts, dim=1)))


def _rescalings(width: int) -> list[nn.Module]:
    """Maps of one size to 4, 2, 1 and 1/2 times it."""
    return [
        nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, stride=2),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.ConvTranspose2d(width, width, 2, stride=2),
        ),
        nn.ConvTranspose2d(width, width, 2, stride=2),
        nn.Identity(),
        nn.MaxPool2d(2, ceil_mode=True),
    ]


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _to_size_of(coarse: Tensor, fine: Tensor) -> Tensor:
    return F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
