"""Token maps read at the points of photos, as a training step needs it.

A batch has some frames and, in each, a number of photos of its own. ``Gair.localize`` takes the
same number in every frame; these functions take a flat list instead, so nothing is padded and
the cost follows the photos. Values and gradients are the same.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gair.config import QueryMode
from gair.encoders.inr import Nili, weighted_sums

_CUBIC = -0.75
"""Parameter of the cubic kernel, that of ``torch.nn.functional.grid_sample``."""


def read_at_points(
    inr: Nili, token_maps: Tensor, frame_of_point: Tensor, xy: Tensor, mode: QueryMode
) -> Tensor:
    """The vectors z at points of frames, not normalised.

    NILI is taken at the points: it runs its decoder once a point, where convolving the frames would
    run it once a token, and a batch has fewer photos than tokens (144 a frame in the release).

    Args:
        inr: the model's.
        token_maps: (F, h, w, D).
        frame_of_point: (P,) which frame each point lies in.
        xy: (P, 2) frame coordinates in [-1, 1].
        mode: ``nili`` or a baseline.

    Returns:
        (P, D).
    """
    if mode == "nili":
        return inr.at_points(token_maps, frame_of_point, xy)
    if mode == "mean":
        return token_maps.mean(dim=(1, 2))[frame_of_point]
    return interpolate_at_points(token_maps, frame_of_point, xy, mode)


def interpolate_at_points(
    token_maps: Tensor, frame_of_point: Tensor, xy: Tensor, mode: Literal["bilinear", "bicubic"]
) -> Tensor:
    """Plain interpolation of tokens: (F, h, w, D), (P,) and (P, 2) to (P, D)."""
    _, height, width, dim = token_maps.shape
    columns, column_weights = _taps(xy[:, 0], width, mode)  # (P, 2 or 4)
    rows, row_weights = _taps(xy[:, 1], height, mode)
    start = frame_of_point[:, None, None] * (height * width)
    index = start + rows[:, :, None] * width + columns[:, None]  # (P, taps, taps)
    weight = row_weights[:, :, None] * column_weights[:, None]
    return weighted_sums(
        token_maps.reshape(-1, dim), index.flatten(1), weight.flatten(1).to(token_maps.dtype)
    )


def _taps(q: Tensor, count: int, mode: Literal["bilinear", "bicubic"]) -> tuple[Tensor, Tensor]:
    """Along one axis: the tokens (P, taps) that count for each coordinate, and their weights.

    Beyond the outer centres the outer tokens go on (``padding_mode="border"``).
    """
    at = ((q + 1) * count - 1) / 2
    low = at.floor()
    t = at - low  # (P,) in [0, 1)
    if mode == "bilinear":
        steps, weights = [0, 1], [1 - t, t]
    else:
        steps = [-1, 0, 1, 2]
        weights = [_cubic_far(1 + t), _cubic_near(t), _cubic_near(1 - t), _cubic_far(2 - t)]
    index = low.long()[:, None] + torch.tensor(steps, device=q.device)
    return index.clamp(0, count - 1), torch.stack(weights, dim=1)


def _cubic_near(d: Tensor) -> Tensor:
    """The kernel at distances up to 1."""
    return ((_CUBIC + 2) * d - (_CUBIC + 3)) * d * d + 1


def _cubic_far(d: Tensor) -> Tensor:
    """The kernel at distances from 1 to 2."""
    return ((_CUBIC * d - 5 * _CUBIC) * d + 8 * _CUBIC) * d - 4 * _CUBIC
