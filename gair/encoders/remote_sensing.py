"""Remote-sensing encoder f: CROMA's optical transformer with 2D-ALiBi.

No CLS token and no position embedding: each head adds ``-slope * distance`` between patch centres
to its attention scores (CROMA, https://arxiv.org/abs/2311.00566, section 3.1; the slopes are
ALiBi's, https://arxiv.org/abs/2108.12409, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.config import GairConfig


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

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """(B, N, D) and (heads, N, N) to (B, N, D)."""
        batch, count, dim = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).view(batch, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, D/heads)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
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
        channels = len(config.rs_bands) * config.rs_patch_px**2
        self.patch_embed = nn.Linear(channels, config.dim)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.rs_heads) for _ in range(config.rs_depth)
        )
        self.norm = nn.LayerNorm(config.dim) if config.rs_final_norm else nn.Identity()
        self.register_buffer("bias", None, persistent=False)
        self.compute_bias()

    def compute_bias(self) -> None:
        """Make the bias anew; it is computed, not stored, so a model without memory lacks it."""
        with torch.device("cpu"):
            self.bias = alibi_bias(self.heads, self.grid_hw)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) to (B, h, w, D), not normalised."""
        normed: Tensor = self.norm(self.before_norm(pixels))
        return normed

    def before_norm(self, pixels: Tensor) -> Tensor:
        """The tokens as they leave the last block: (B, C, H, W) to (B, h, w, D)."""
        return self.after_blocks(pixels, (len(self.blocks),))[0]

    def after_blocks(self, pixels: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """The tokens after some numbers of blocks, for heads that read several depths.

        Args:
            pixels: (B, C, H, W).
            counts: how many blocks each answer has passed, not decreasing; 0 is the embedding.

        Returns:
            (B, h, w, D) for each, before the closing norm.
        """
        batch, channels, height, width = pixels.shape
        p = self.patch_px
        h, w = height // p, width // p
        # (B, C, h, i, w, j) to (B, h, w, C, i, j): a patch is channel-major, as CROMA flattens it.
        patches = pixels.view(batch, channels, h, p, w, p).permute(0, 2, 4, 1, 3, 5)
        tokens = self.patch_embed(patches.reshape(batch, h * w, channels * p * p))  # (B, h*w, D)
        bias = self.bias  # (heads, h*w, h*w), the same for every frame of the batch
        if (h, w) != self.grid_hw:
            bias = alibi_bias(self.heads, (h, w)).to(tokens.device)
        outputs: list[Tensor] = []
        done = 0
        for count in counts:
            for block in list(self.blocks)[done:count]:
                tokens = block(tokens, bias)
            done = count
            outputs.append(tokens.view(batch, h, w, -1))
        return outputs
