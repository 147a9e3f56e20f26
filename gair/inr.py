"""NILI, the implicit neural representation: a token map as a function of any coordinate.

Neural Implicit Local Interpolation is LIIF's feature unfolding and local ensemble
(https://arxiv.org/abs/2012.09161, section 3) with one affine layer as the decoder (paper, section
4.3; release: ``imnet``). For a query point q and each of the four nearest token centres c, the
decoder sees the 3 x 3 neighbourhood of c and the offset of q from c; the four answers are blended
by the area of the opposite rectangle.

Two forms give the same values:

* :func:`local_ensemble` is the definition. Its cost grows with the number of points.
* :func:`dense` uses that the decoder is affine. Its part in the 3 x 3 neighbourhood does not depend
  on q, so it is one 3 x 3 convolution of the whole token map, computed once; what is left per point
  is a blend of four vectors and a 2 x D product for the blended offsets. Inside the grid of token
  centres the blended offset is zero (area weights reproduce linear functions) and the blend is
  plain bilinear interpolation; only within half a token of the frame's edge does it add something.

Coordinates are ``(x, y)`` in [-1, 1], x to the right, y down: (-1, -1) is the north-west corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QueryMode = Literal["nili", "bilinear", "bicubic", "mean"]
"""How a token map is read at a point. ``mean`` ignores the point: the frame's mean token."""

QUERY_MODES: tuple[QueryMode, ...] = ("nili", "bilinear", "bicubic", "mean")

EDGE = 1e-6
"""Shift and clamping margin of LIIF's nearest-centre lookup."""
AREA_FLOOR = 1e-9
"""Keeps the blend defined where a point lies on a token centre (LIIF)."""


@dataclass(frozen=True)
class Corners:
    """The four nearest token centres of each query point."""

    index: Tensor
    """(B, N, 4) positions in the row-major token grid."""
    offset: Tensor
    """(B, N, 4, 2) x, y from the centre to the point, in half-tokens."""
    weight: Tensor
    """(B, N, 4) blend weights; they sum to 1."""


def corners(xy: Tensor, grid_hw: tuple[int, int]) -> Corners:
    """Find the four nearest token centres and LIIF's blend weights.

    Args:
        xy: (B, N, 2) query points in [-1, 1].
        grid_hw: rows and columns of the token grid.
    """
    height, width = grid_hw
    columns, dx = _nearest(xy[..., 0], width)  # (B, N, 2): left, right
    rows, dy = _nearest(xy[..., 1], height)  # (B, N, 2): upper, lower
    index = (rows[..., :, None] * width + columns[..., None, :]).flatten(-2)
    offset = torch.stack(
        [
            dx[..., None, :].expand(*dx.shape[:-1], 2, 2),
            dy[..., :, None].expand(*dy.shape[:-1], 2, 2),
        ],
        dim=-1,
    ).flatten(-3, -2)  # (B, N, 4, 2): upper left, upper right, lower left, lower right
    area = offset.prod(dim=-1).abs() + AREA_FLOOR
    opposite = area.flip(-1)
    return Corners(index, offset, opposite / opposite.sum(-1, keepdim=True))


def _nearest(q: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Along one axis: indices (..., 2) of the two nearest centres, and offsets in half-tokens."""
    shift = torch.tensor([-1.0, 1.0], dtype=q.dtype, device=q.device) / count + EDGE
    shifted = (q[..., None] + shift).clamp(-1 + EDGE, 1 - EDGE)
    index = (((shifted + 1) * count - 1) / 2).round()
    centre = (2 * index + 1) / count - 1
    return index.long(), (q[..., None] - centre) * count


class Nili(nn.Module):
    """The affine decoder of NILI and the two ways to apply it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.decoder = nn.Linear(9 * dim + 2, dim)

    def local_ensemble(self, token_map: Tensor, xy: Tensor) -> Tensor:
        """The definition, point by point: (B, h, w, D) and (B, N, 2) to (B, N, D)."""
        batch, height, width, dim = token_map.shape
        unfolded = unfold_3x3(token_map)  # (B, h*w, 9 D)
        found = corners(xy, (height, width))
        out = token_map.new_zeros(batch, xy.shape[1], dim)
        for k in range(4):
            at = found.index[..., k, None].expand(-1, -1, 9 * dim)
            seen = torch.cat([unfolded.gather(1, at), found.offset[..., k, :]], dim=-1)
            out = out + found.weight[..., k, None] * self.decoder(seen)
        return out

    def convolved(self, token_map: Tensor) -> Tensor:
        """The part of the decoder that does not depend on the point: (B, h, w, D) to itself."""
        weight = self.decoder.weight[:, : 9 * self.dim]
        batch, height, width, dim = token_map.shape
        flat = F.linear(unfold_3x3(token_map), weight, self.decoder.bias)  # a 3 x 3 convolution
        return flat.view(batch, height, width, dim)

    def blend(self, convolved: Tensor, xy: Tensor) -> Tensor:
        """Read a :meth:`convolved` map at (B, N, 2) points: (B, N, D)."""
        batch, height, width, dim = convolved.shape
        found = corners(xy, (height, width))
        first = torch.arange(batch, device=xy.device)[:, None, None] * (height * width)
        blended = F.embedding_bag(
            (found.index + first).flatten(0, 1),
            convolved.reshape(-1, dim),
            per_sample_weights=found.weight.flatten(0, 1).to(convolved.dtype),
            mode="sum",
        ).view(batch, -1, dim)
        offset = (found.weight[..., None] * found.offset).sum(-2)  # (B, N, 2), 0 inside the grid
        return blended + F.linear(offset.to(convolved.dtype), self.decoder.weight[:, 9 * dim :])

    def dense(self, token_map: Tensor, xy: Tensor) -> Tensor:
        """The same values as :meth:`local_ensemble`, by one convolution and a blend."""
        return self.blend(self.convolved(token_map), xy)


def unfold_3x3(token_map: Tensor) -> Tensor:
    """Each token with its zero-padded neighbourhood: (B, h, w, D) to (B, h*w, 9 D).

    Channels are in the release's order, channel-major: ``c * 9 + position`` with the nine positions
    row by row.
    """
    return F.unfold(token_map.permute(0, 3, 1, 2), kernel_size=3, padding=1).transpose(1, 2)


def interpolate_tokens(
    token_map: Tensor, xy: Tensor, mode: Literal["bilinear", "bicubic"]
) -> Tensor:
    """Plain interpolation of tokens, the paper's ablation: (B, h, w, D), (B, N, 2) to (B, N, D)."""
    sampled = F.grid_sample(
        token_map.permute(0, 3, 1, 2),
        xy[:, None].to(token_map.dtype),
        mode=mode,
        padding_mode="border",
        align_corners=False,
    )  # (B, D, 1, N)
    return sampled[:, :, 0].transpose(1, 2)
