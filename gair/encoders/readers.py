"""Second readers of convolutional towers: what pooling and tokens miss, added to what they say.

A small tower learns the colours of a frame's pixels soon, and late how much they vary and what lies
a few tokens away. So frames are read once more, without learning: the mean, the spread and the
contrast of each band in windows around each token (:func:`window_statistics`). A layer with hidden
units adds what it makes of them to the tokens (:class:`WindowReader`). Photos have a second way
from their strips to the embedding beside the pooler (:class:`StripReader`).

Both begin as silent: their last layers start at zero (:mod:`gair.encoders.initial`), so a trained
model that is given readers says at first what it said before. They are options of this project,
not of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STATISTICS = 3
"""Of a band in a window: mean, standard deviation and contrast."""


def window_statistics(pixels: Tensor, patch_px: int, windows: Sequence[int]) -> Tensor:
    """Mean, spread and contrast of each band in windows around each token.

    Contrast is the mean absolute difference between pixels that are neighbours, along rows and
    along columns, inside a token's own patch: so it is the same when a frame is mirrored or turned.
    Windows are cut at the frame's edges.

    Args:
        pixels: (B, C, H, W); sides are multiples of ``patch_px``.
        patch_px: side of a token, pixels.
        windows: sides of the windows, tokens, odd.

    Returns:
        (B, 3 C len(windows), H / patch_px, W / patch_px): for each window the means of all bands,
        then their standard deviations, then their contrasts.
    """
    batch, bands, height, width = pixels.shape
    rows, columns = height // patch_px, width // patch_px
    patches = pixels.reshape(batch, bands, rows, patch_px, columns, patch_px)
    across = (patches[..., 1:] - patches[..., :-1]).abs().mean(dim=(3, 5))
    down = (patches[:, :, :, 1:] - patches[:, :, :, :-1]).abs().mean(dim=(3, 5))
    mean, square = patches.mean(dim=(3, 5)), patches.square().mean(dim=(3, 5))
    of_patches = torch.cat([mean, square, across + down], dim=1)
    read = []
    for side in windows:
        within = F.avg_pool2d(of_patches, side, 1, side // 2, count_include_pad=False)
        mean, square, contrast = within.chunk(STATISTICS, dim=1)
        read += [mean, (square - mean.square()).clamp_min(0).sqrt(), contrast]
    return torch.cat(read, dim=1)


class WindowReader(nn.Module):
    """``tokens + out(gelu(fc([norm(tokens), statistics])))``."""

    def __init__(self, dim: int, bands: int, windows: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.windows = tuple(windows)
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim + STATISTICS * bands * len(windows), hidden)
        self.out = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor, statistics: Tensor) -> Tensor:
        """(B, h * w, D) and (B, F, h, w) of :func:`window_statistics` to (B, h * w, D)."""
        seen = statistics.flatten(2).transpose(1, 2)
        hidden = F.gelu(self.fc(torch.cat([self.norm(tokens), seen], dim=2)))
        added: Tensor = self.out(hidden)
        return tokens + added


class StripReader(nn.Module):
    """``out(gelu(fc(strips)))``, to be added to the embedding."""

    def __init__(self, seen: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(seen, hidden)
        self.out = nn.Linear(hidden, dim)

    def forward(self, strips: Tensor) -> Tensor:
        """(B, 7 C) to (B, D)."""
        added: Tensor = self.out(F.gelu(self.fc(strips)))
        return added
