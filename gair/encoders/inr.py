"""NILI, implicit neural representation: a token map as a function of any coordinate.

Neural Implicit Local Interpolation is LIIF's feature unfolding and local ensemble
(https://arxiv.org/abs/2012.09161, section 3) with one affine layer as the decoder (paper, section
4.3; release: ``imnet``), or, as an extension, with hidden ReLU layers as LIIF itself has. For a
query point q and each of the four nearest token centres c, the decoder sees the 3 x 3 neighbourhood
of c and the offset of q from c; the four answers are blended by the area of the opposite rectangle.

Two forms give the same values, as long as the decoder is affine:

* :meth:`Nili.local_ensemble` is the definition. Its cost grows with the number of points.
* :meth:`Nili.dense` uses that the decoder is affine. Its part in the 3 x 3 neighbourhood does not
  depend on q, so it is one 3 x 3 convolution of the whole token map, computed once; what is left
  per point is a blend of four vectors and a 2 x D product for the blended offsets. Inside the grid
  of token centres the blended offset is zero (area weights reproduce linear functions) and the
  blend is plain bilinear interpolation; only within half a token of the frame's edge does it add
  something.

:meth:`Nili.at_points` is the definition again for points that lie in frames in any number, as the
photos of a training batch do; it is the one form of a decoder with hidden layers.

Coordinates are ``(x, y)`` in [-1, 1], x to the right, y down: (-1, -1) is the north-west corner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.config import QueryMode
from gair.errors import ModelError

QUERY_MODES: tuple[QueryMode, ...] = ("nili", "bilinear", "bicubic", "mean")

EDGE = 1e-6
"""Shift and clamping margin of LIIF's nearest-centre lookup."""
AREA_FLOOR = 1e-9
"""Keeps the blend defined where a point lies on a token centre (LIIF)."""
_POINTS_AT_ONCE = 1 << 14
"""Bounds the memory of a decoder with hidden layers."""


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
    # A centre counts by the rectangle on the other side of the point; reversing the order of the
    # four (upper left, upper right, lower left, lower right) swaps each with its opposite.
    opposite = area.flip(-1)
    return Corners(index, offset, opposite / opposite.sum(-1, keepdim=True))


def _nearest(q: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Along one axis: indices (..., 2) of the two nearest centres, and offsets in half-tokens."""
    shift = torch.tensor([-1.0, 1.0], dtype=q.dtype, device=q.device) / count + EDGE
    # Half a token to either side lie in the cells of the two nearest centres. In the outer half
    # cell one of them leaves the frame and is clamped back into the same cell: both are then the
    # outermost centre, with equal offsets and weights, so the blended offset is not zero there.
    shifted = (q[..., None] + shift).clamp(-1 + EDGE, 1 - EDGE)
    index = (((shifted + 1) * count - 1) / 2).round()
    centre = (2 * index + 1) / count - 1
    return index.long(), (q[..., None] - centre) * count


class Nili(nn.Module):
    """The decoder of NILI and the ways to apply it."""

    def __init__(self, dim: int, hidden: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.dim = dim
        self.decoder: nn.Module = nn.Linear(9 * dim + 2, dim)
        if hidden:
            inputs = (9 * dim + 2, *hidden[:-1])
            pairs = [[nn.Linear(i, o), nn.ReLU()] for i, o in zip(inputs, hidden, strict=True)]
            self.decoder = nn.Sequential(*sum(pairs, []), nn.Linear(hidden[-1], dim))

    @property
    def first(self) -> nn.Linear:
        """The decoder's first layer, which is all of an affine one."""
        layer = self.decoder[0] if isinstance(self.decoder, nn.Sequential) else self.decoder
        return cast(nn.Linear, layer)

    def local_ensemble(self, token_map: Tensor, xy: Tensor) -> Tensor:
        """The definition, point by point: (B, h, w, D) and (B, N, 2) to (B, N, D)."""
        batch, height, width, dim = token_map.shape
        if isinstance(self.decoder, nn.Sequential):
            frame = torch.arange(batch, device=xy.device).repeat_interleave(xy.shape[1])
            return self.at_points(token_map, frame, xy.flatten(0, 1)).view(batch, -1, dim)
        unfolded = unfold_3x3(token_map)  # (B, h*w, 9 D)
        nearest = corners(xy, (height, width))
        out = token_map.new_zeros(batch, xy.shape[1], dim)
        for k in range(4):
            at = nearest.index[..., k, None].expand(-1, -1, 9 * dim)
            seen = torch.cat([unfolded.gather(1, at), nearest.offset[..., k, :]], dim=-1)
            out = out + nearest.weight[..., k, None] * self.decoder(seen)
        return out

    def at_points(self, token_maps: Tensor, frame_of_point: Tensor, xy: Tensor) -> Tensor:
        """The definition for points in any frames, without padding.

        An affine decoder may be applied after the blend instead of before it, as the weights sum
        to 1; so may the last layer of one with hidden layers.

        Args:
            token_maps: (F, h, w, D).
            frame_of_point: (P,) which of the token maps each point lies in.
            xy: (P, 2) in [-1, 1].

        Returns:
            (P, D).
        """
        if isinstance(self.decoder, nn.Sequential):
            return self._mlp_at_points(self.decoder, token_maps, frame_of_point, xy)
        frames, height, width, dim = token_maps.shape
        nearest = corners(xy[None], (height, width))
        index, inside = _neighbourhood(nearest.index[0], (height, width))  # (P, 4, 9)
        weight = nearest.weight[0, ..., None].to(token_maps.dtype) * inside
        blended = weighted_sums(
            token_maps.reshape(-1, dim),
            (index + (frame_of_point * (height * width))[:, None, None]).transpose(1, 2),
            weight.transpose(1, 2),
        )  # (P, 9, D)
        offset = (nearest.weight[..., None] * nearest.offset).sum(-2)[0]  # (P, 2)
        seen = [blended.transpose(1, 2).flatten(1), offset.to(token_maps.dtype)]
        return cast(Tensor, self.decoder(torch.cat(seen, dim=1)))

    def at_few_points(
        self,
        read: Callable[[Tensor], Tensor],
        frame_of_point: Tensor,
        xy: Tensor,
        grid_hw: tuple[int, int],
    ) -> Tensor:
        """As :meth:`dense` gives it at some points of many frames, from the tokens near them alone.

        One matrix product convolves the tokens that any of the points is blended from, each once.

        Args:
            read: (R,) rows of the token maps, all of them stacked and flattened to (F*h*w, D), to
                those rows, (R, D).
            frame_of_point: (P,) which of the token maps each point lies in.
            xy: (P, 2) in [-1, 1].
            grid_hw: rows and columns of a token map.

        Returns:
            (P, D).

        Raises:
            ModelError: the decoder has hidden layers.
        """
        self._check_affine()
        height, width = grid_hw
        nearest = corners(xy[None], grid_hw)
        wanted = nearest.index[0] + frame_of_point[:, None] * (height * width)  # (P, 4)
        token, place = torch.unique(wanted, return_inverse=True)  # (T,), (P, 4)
        nine, inside = _neighbourhood(token % (height * width), grid_hw)  # (T, 9), in a frame
        # back to rows of all frames: a token's neighbours lie in its own frame
        nine = nine + (token - token % (height * width))[:, None]
        row, at = torch.unique(nine, return_inverse=True)
        seen = read(row)[at] * inside[..., None]  # (T, 9, D)
        near = seen.transpose(1, 2).flatten(1)  # (T, 9 D), channel-major
        convolved = F.linear(near, self.first.weight[:, : 9 * self.dim], self.first.bias)
        return self._blended(convolved, place, nearest.weight[0], nearest.offset[0])

    def at_convolved(self, convolved: Tensor, frame_of_point: Tensor, xy: Tensor) -> Tensor:
        """As :meth:`at_few_points`, from tokens that are :meth:`convolved` already.

        Args:
            convolved: (F, h, w, D) of all frames.
            frame_of_point: (P,) which of them each point lies in.
            xy: (P, 2) in [-1, 1].

        Returns:
            (P, D).
        """
        self._check_affine()
        height, width, dim = convolved.shape[1:]
        nearest = corners(xy[None], (height, width))
        index = nearest.index[0] + frame_of_point[:, None] * (height * width)
        table = convolved.reshape(-1, dim)
        return self._blended(table, index, nearest.weight[0], nearest.offset[0])

    def _mlp_at_points(
        self, decoder: nn.Sequential, token_maps: Tensor, frame_of_point: Tensor, xy: Tensor
    ) -> Tensor:
        """The first layer's part in the tokens is computed once a token, where that is cheaper."""
        frames, height, width, dim = token_maps.shape
        middle, last = decoder[1:-1], decoder[-1]
        near, by_offset = torch.tensor_split(self.first.weight, [9 * dim], dim=1)
        nearest = corners(xy[None], (height, width))
        start = frame_of_point[:, None] * (height * width)
        # Four neighbourhoods a point, or one a token of every frame: whichever is fewer.
        if few := 4 * len(xy) < frames * height * width:
            table = token_maps.reshape(-1, dim)
        else:
            table = self.convolved(token_maps).flatten(0, 2)  # (F*h*w, hidden)
        parts = []
        for begin in range(0, max(1, len(xy)), _POINTS_AT_ONCE):
            at = slice(begin, begin + _POINTS_AT_ONCE)
            index = nearest.index[0, at]
            if few:
                nine, inside = _neighbourhood(index, (height, width))
                seen = table[nine + start[at, :, None]] * inside[..., None]  # (p, 4, 9, D)
                before = F.linear(seen.transpose(2, 3).flatten(2), near, self.first.bias)
            else:
                before = table[index + start[at]]
            offset = nearest.offset[0, at].to(token_maps.dtype)
            after = middle(before + F.linear(offset, by_offset))  # (p, 4, hidden)
            parts.append((after * nearest.weight[0, at, :, None].to(after.dtype)).sum(1))
        return cast(Tensor, last(torch.cat(parts)))

    def convolved(self, token_map: Tensor) -> Tensor:
        """The part of the first layer that does not depend on the point.

        (B, h, w, D) to (B, h, w, outputs of that layer).
        """
        weight = self.first.weight[:, : 9 * self.dim]
        batch, height, width, _ = token_map.shape
        flat = F.linear(unfold_3x3(token_map), weight, self.first.bias)  # a 3 x 3 convolution
        return flat.view(batch, height, width, -1)

    def blend(self, convolved: Tensor, xy: Tensor) -> Tensor:
        """Read a :meth:`convolved` map at (B, N, 2) points: (B, N, D)."""
        batch, points, dim = *xy.shape[:2], convolved.shape[-1]
        frame = torch.arange(batch, device=xy.device).repeat_interleave(points)
        return self.at_convolved(convolved, frame, xy.flatten(0, 1)).view(batch, points, dim)

    def _blended(self, table: Tensor, index: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
        """Convolved tokens (T, D) blended: (..., 4) rows and weights, (..., 4, 2), to (..., D)."""
        # With decoder(u, d) = A u + B d + b and weights that sum to 1,
        #   sum_k w_k decoder(u_k, d_k) = sum_k w_k (A u_k + b) + B sum_k w_k d_k:
        # A u + b is the convolved token; its blend is bilinear interpolation inside the grid.
        blended = weighted_sums(table, index, weight.to(table.dtype))
        mean = (weight[..., None] * offset).sum(-2)  # (..., 2), 0 inside the grid
        return blended + F.linear(mean.to(table.dtype), self.first.weight[:, 9 * self.dim :])

    def _check_affine(self) -> None:
        if isinstance(self.decoder, nn.Sequential):
            raise ModelError(
                "NILI's decoder has hidden layers, so there is no dense form: use form 'general'"
            )

    def dense(self, token_map: Tensor, xy: Tensor) -> Tensor:
        """The same values as :meth:`local_ensemble`, by one convolution and a blend."""
        return self.blend(self.convolved(token_map), xy)


def weighted_sums(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """(R, D) rows, (..., k) which of them and with what weight, to (..., D)."""
    summed = F.embedding_bag(
        index.flatten(0, -2), table, per_sample_weights=weight.flatten(0, -2), mode="sum"
    )
    return summed.view(*index.shape[:-1], -1)


def _neighbourhood(index: Tensor, grid_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The 3 x 3 tokens around (...) tokens: (..., 9) positions, row by row, and which exist."""
    height, width = grid_hw
    step = torch.arange(9, device=index.device)
    row = (index // width)[..., None] + step // 3 - 1
    column = (index % width)[..., None] + step % 3 - 1
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return row.clamp(0, height - 1) * width + column.clamp(0, width - 1), inside


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
