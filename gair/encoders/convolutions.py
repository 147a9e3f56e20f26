"""Convolutional trunk: 3x3 convolutions, channel norms and residual blocks over a pixel grid.

Small towers learn faster from few pictures by convolutions than by attention. Every norm is over
the channels of one pixel (https://arxiv.org/abs/1607.06450): a token depends on pixels near it and
on nothing else of its batch or frame, so chunks, ranks and frame sizes cannot change it. A residual
block starts as the identity, as its last convolution starts at zero
(:mod:`gair.encoders.initial`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PHOTO_PATCH_PX = 4
"""Side of the patches that the first stage for photos cuts."""
STRIPS = 6
"""Horizontal strips of a photo that are pooled apart: what is high up and what is low."""


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel: (B, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W); channels lie last in memory before and after."""
        rows = x.permute(0, 2, 3, 1)
        normed = F.layer_norm(rows, (x.shape[1],), self.weight, self.bias)
        return normed.permute(0, 3, 1, 2)


class ConvNorm(nn.Module):
    """Convolution, channel norm and ReLU; a stride divides the sides.

    With a stride, kernels are even: a result then lies in the middle of the pixels that it stands
    for, as NILI takes it to, and a mirrored frame has a mirrored grid.
    """

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - stride) // 2)
        self.norm = ChannelNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""
        return F.relu(self.norm(self.conv(x)))


class ResidualConv(nn.Module):
    """``x + out(relu(conv(norm(x))))`` with two 3x3 convolutions of the same width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.out = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        added: Tensor = self.out(F.relu(self.conv(self.norm(x))))
        return x + added


class FrameTrunk(nn.Module):
    """A frame's pixels to features at the tokens' spacing: each stage halves the sides.

    All stages but the last look once more at the finer grid before they halve it. The bands are
    standardised first, with statistics that are stored beside the weights.
    """

    input_mean: Tensor
    input_sd: Tensor

    def __init__(self, bands: int, channels: Sequence[int], residuals: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(bands))
        self.register_buffer("input_sd", torch.ones(bands))
        stages: list[nn.Module] = []
        width = bands
        for stage, (outputs, count) in enumerate(zip(channels, residuals, strict=True), start=1):
            layers: list[nn.Module] = []
            if stage < len(channels):
                layers.append(ConvNorm(width, outputs))
                width = outputs
            layers.append(ConvNorm(width, outputs, kernel=4, stride=2))
            if stage < len(channels):
                layers += [ResidualConv(outputs) for _ in range(count)]
            stages.append(nn.Sequential(*layers))
            width = outputs
        self.stages = nn.ModuleList(stages)
        self.residuals = nn.ModuleList(ResidualConv(width) for _ in range(residuals[-1]))
        """Those at the tokens' spacing, which heads may read one by one."""

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, bands, H, W) to (B, channels, H/8, W/8) before the residual blocks there."""
        x = self.standardised(pixels).contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        return x

    def standardised(self, pixels: Tensor) -> Tensor:
        """The bands by the mean and spread that are stored beside the weights, same shape."""
        mean, sd = self.input_mean[:, None, None], self.input_sd[:, None, None]
        return (pixels - mean) / sd


class PhotoTrunk(nn.Module):
    """A photo's pixels to features, 4x4 patches first and halved by every further stage."""

    def __init__(self, channels: Sequence[int], residuals: Sequence[int]) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        width = 3
        for outputs, count in zip(channels, residuals, strict=True):
            first = (
                ConvNorm(width, outputs, kernel=4, stride=2)
                if stages
                else ConvNorm(width, outputs, kernel=PHOTO_PATCH_PX, stride=PHOTO_PATCH_PX)
            )
            stages.append(nn.Sequential(first, *(ResidualConv(outputs) for _ in range(count))))
            width = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, channels, S/16, S/16)."""
        x = pixels.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        return x


def strips_and_maximum(x: Tensor) -> Tensor:
    """Means of horizontal strips and the maximum: (B, C, H, W) to (B, 7 C).

    Rows are shared between strips where they do not divide evenly.
    """
    strips = F.adaptive_avg_pool1d(x.mean(dim=3), STRIPS)  # (B, C, 6)
    return torch.cat([strips, x.amax(dim=(2, 3))[..., None]], dim=2).flatten(1)
