"""Remote-sensing encoder f: CROMA's optical transformer with 2D-ALiBi.

No CLS token and no position embedding: each head adds ``-slope * distance`` between patch centres
to its attention scores (CROMA, https://arxiv.org/abs/2311.00566, section 3.1; the slopes are
ALiBi's, https://arxiv.org/abs/2108.12409, section 3).

With a convolutional stem (``config.stem``), the tokens come from convolutions instead of a linear
layer on patches; the blocks and all that is behind them are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.config import GairConfig
from gair.encoders.convolutions import FrameTrunk
from gair.encoders.readers import WindowReader, window_statistics
from gair.losses import at_least_float32


def alibi_slopes(heads: int) -> list[float]:
    """One slope a head: a geometric sequence from 2^(-8/heads), as ALiBi defines it.

    For a number of heads that is no power of two, the sequence of the next lower power is
    completed with every other slope of the next higher one.
    """
    lower = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8.0 * (i + 1) / lower) for i in range(lower)]
    if lower == heads:
        return slopes
    return slopes + alibi_slopes(2 * lower)[::2][: heads - lower]


def alibi_bias(heads: int, grid_hw: tuple[int, int]) -> Tensor:
    """The additive attention bias, (heads, h*w, h*w), in units of patches."""
    rows, cols = torch.meshgrid(
        torch.arange(grid_hw[0], dtype=torch.float32),
        torch.arange(grid_hw[1], dtype=torch.float32),
        indexing="ij",
    )
    centres = torch.stack([rows.flatten(), cols.flatten()], dim=1)  # (h*w, 2)
    offsets = centres[:, None] - centres[None]  # (h*w, h*w, 2)
    distance = offsets.square().sum(-1).sqrt()
    # (heads, 1, 1) by (h*w, h*w): a head with a steep slope sees near patches only.
    return -torch.tensor(alibi_slopes(heads))[:, None, None] * distance


def blurred(tokens: Tensor, sd: float) -> Tensor:
    """Means of each token and those around it, weighted by a Gaussian of their distance.

    Weights at a frame's edge add up to 1 as they do inside: what lies beyond does not count.

    Args:
        tokens: (B, h, w, D).
        sd: of the Gaussian, tokens.

    Returns:
        (B, h, w, D), float32 or better.
    """
    with torch.autocast(tokens.device.type, enabled=False):
        wide = at_least_float32(tokens)
        down, across = (_gaussian_means(side, sd).to(wide) for side in tokens.shape[1:3])
        # The Gaussian and its sum over a rectangle are products of one factor an axis.
        return torch.einsum("ij,kl,bjld->bikd", down, across, wide)


def _gaussian_means(count: int, sd: float) -> Tensor:
    """(count, count) weights of each token in a row for each; every row sums to 1."""
    at = torch.arange(count, dtype=torch.float64)
    weights = torch.exp(-((at[:, None] - at[None]) ** 2) / (2 * sd**2))
    return weights / weights.sum(dim=1, keepdim=True)


class Block(nn.Module):
    """Pre-norm attention and MLP (x4), with the ALiBi bias added to the scores."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """(B, N, D) and, if distance counts, (heads, N, N) to (B, N, D)."""
        batch, count, dim = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).view(batch, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, D/heads)
        mask = None if bias is None else bias.to(q.dtype)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        tokens = tokens + self.proj(attended.transpose(1, 2).reshape(batch, count, dim))
        mixed: Tensor = tokens + self.fc2(F.gelu(self.fc1(self.norm2(tokens))))
        return mixed


class RemoteSensingEncoder(nn.Module):
    """(B, 10, H, W) pixels to a token map (B, H/8, W/8, D); row 0 is the north edge."""

    bias: Tensor

    def __init__(self, config: GairConfig) -> None:
        super().__init__()
        self.patch_px = config.rs_patch_px
        self.heads = config.rs_heads
        self.grid_hw = (config.rs_grid, config.rs_grid)
        self.blur = config.rs_blur
        self.has_conv_stem = config.stem == "conv"
        if self.has_conv_stem:
            bands, channels = len(config.rs_bands), config.rs_channels
            self.trunk = FrameTrunk(bands, channels, config.rs_residuals)
            self.to_tokens = nn.Conv2d(channels[-1], config.dim, 1)
        else:
            self.patch_embed = nn.Linear(len(config.rs_bands) * config.rs_patch_px**2, config.dim)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.rs_heads) for _ in range(config.rs_depth)
        )
        self.reader = (
            WindowReader(config.dim, len(config.rs_bands), config.rs_windows, config.rs_hidden)
            if config.rs_windows
            else None
        )
        self.norm = nn.LayerNorm(config.dim) if config.rs_final_norm else nn.Identity()
        self.register_buffer("bias", None, persistent=False)
        self.compute_bias()

    @property
    def residuals(self) -> list[nn.Module]:
        """Residual convolutions between the stem and the blocks; none without a conv stem."""
        return list(self.trunk.residuals) if self.has_conv_stem else []

    @property
    def depth(self) -> int:
        """Steps from the embedding to the last tokens: residual convolutions, then blocks."""
        return len(self.residuals) + len(self.blocks)

    @property
    def segments(self) -> list[nn.Module]:
        """Its parts, one after another, whose activations may be computed twice to save memory."""
        stages = self.trunk.stages if self.has_conv_stem else ()
        return [*stages, *self.residuals, *self.blocks]

    def compute_bias(self) -> None:
        """Make the bias anew; it is computed, not stored, so a model without memory lacks it."""
        with torch.device("cpu"):
            self.bias = alibi_bias(self.heads, self.grid_hw)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) to (B, h, w, D), not normalised."""
        normed: Tensor = self.norm(self.before_norm(pixels))
        return blurred(normed, self.blur) if self.blur else normed

    def before_norm(self, pixels: Tensor) -> Tensor:
        """The tokens as they leave the last block: (B, C, H, W) to (B, h, w, D)."""
        return self.after_blocks(pixels, (self.depth,))[0]

    def after_blocks(self, pixels: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """The tokens after some numbers of blocks, for heads that read several depths.

        With a convolutional stem, the residual convolutions at the tokens' spacing count as the
        first blocks.

        Args:
            pixels: (B, C, H, W).
            counts: how many blocks each answer has passed, not decreasing; 0 is the embedding, the
                most is :attr:`depth`.

        Returns:
            (B, h, w, D) for each, before the closing norm.
        """
        h, w = pixels.shape[2] // self.patch_px, pixels.shape[3] // self.patch_px
        convolved = len(self.residuals)
        bias = self.bias  # (heads, h*w, h*w), the same for every frame of the batch
        if (h, w) != self.grid_hw and counts[-1] > convolved:
            bias = alibi_bias(self.heads, (h, w)).to(pixels.device)
        outputs = self._embedded(pixels, [min(count, convolved) for count in counts])
        tokens, done = outputs[-1], convolved
        for i, count in enumerate(counts):
            if count > convolved:
                for block in list(self.blocks)[done - convolved : count - convolved]:
                    tokens = block(tokens, bias)
                outputs[i], done = tokens, count
            if self.reader is not None and count == self.depth:
                outputs[i] = self.reader(outputs[i], self._statistics(pixels))
        return [tokens.view(pixels.shape[0], h, w, -1) for tokens in outputs]

    def _statistics(self, pixels: Tensor) -> Tensor:
        """What the window reader adds to the last tokens: (B, F, h, w) float32 or better."""
        assert self.reader is not None
        with torch.autocast(pixels.device.type, enabled=False):
            standardised = self.trunk.standardised(pixels)
            return window_statistics(standardised, self.patch_px, self.reader.windows)

    def _embedded(self, pixels: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """(B, C, H, W) to tokens (B, h*w, D) after some numbers of residual convolutions."""
        if not self.has_conv_stem:
            batch, channels, height, width = pixels.shape
            p = self.patch_px
            h, w = height // p, width // p
            # (B, C, h, i, w, j) to (B, h, w, C, i, j): a patch is channel-major, as CROMA
            # flattens it.
            patches = pixels.view(batch, channels, h, p, w, p).permute(0, 2, 4, 1, 3, 5)
            tokens = self.patch_embed(patches.reshape(batch, h * w, channels * p * p))
            return [tokens] * len(counts)
        features = self.trunk(pixels)
        outputs: list[Tensor] = []
        done = 0
        for count in counts:
            for residual in self.residuals[done:count]:
                features = residual(features)
            done = count
            outputs.append(self.to_tokens(features).flatten(2).transpose(1, 2))
        return outputs
