"""Warm start by canonical correlation: photos and imagery agree a little before the first step.

Encoders with random weights see much, but each in directions of its own, and from such a start the
contrastive losses stay flat for thousands of steps. Two linear layers meet in the shared space: the
projection of g, and the affine decoder of NILI. Canonical correlation analysis (Hotelling, 1936)
gives in closed form the two linear maps under which pooled photos and tokens at the photos' points
are most alike; they become these layers' first weights. Then training begins as always.

It is an option of this project, not of the paper; ``warm_start_photos`` 0 leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from gair.config import QueryMode
from gair.errors import UsageError
from gair.model import Gair
from training.pretraining.objective import read_at_points

if TYPE_CHECKING:
    from training.dataset.batches.batch import Batch
    from training.pretraining.objective import Objective

RIDGE = 0.02
"""Added to the variances, as a share of their mean: little data must not look like agreement."""
CENTRE_TAP = 4
"""Position of the token itself in its 3 x 3 neighbourhood."""


@torch.no_grad()
def warm_start(objective: Objective, batches: Iterable[Batch], photos: int) -> Tensor:
    """Set the projection of g and the decoder of NILI so that both views agree as far as they can.

    Where frames are read without a decoder (the baselines), only the projection is set: to the
    best linear prediction of the tokens.

    Args:
        objective: whose model is changed.
        batches: of training photos, without augmentation.
        photos: how many to look at, at least; of the order of ten times the width.

    Returns:
        (min(sv_width, D),) canonical correlations, largest first.

    Raises:
        UsageError: the decoder is not affine, so there is nothing to solve.
    """
    model = objective.model
    if model.config.inr_hidden:
        raise UsageError("warm_start_photos needs an affine decoder: leave inr_hidden empty")
    mode = objective.options.rs_query
    seen = list(_views(model, batches, photos, "bilinear" if mode == "nili" else mode))
    x, y = (torch.cat(views).double().cpu() for views in zip(*seen, strict=True))  # (N, W), (N, D)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    to_x, to_y, correlations = canonical_maps(x, y)
    projection = model.street_view.projection
    if mode != "nili":
        weight = torch.linalg.solve(_variance(x), x.T @ y / len(x)).T  # (D, W)
        _assign(projection, weight, y_mean - weight @ x_mean)
        return correlations
    to_x, to_y = _rows(to_x, model.config.dim), _rows(to_y, model.config.dim)
    _assign(projection, to_x, -to_x @ x_mean)
    # The decoder's input is the 3 x 3 neighbourhood unfolded, 9 taps of one channel after another,
    # so tap t of channel c is column 9 c + t. Only the middle taps read anything at the start.
    decoder = cast(torch.nn.Linear, model.inr.decoder)
    weight = torch.zeros(decoder.weight.shape, dtype=torch.float64)
    weight[:, torch.arange(model.config.dim) * 9 + CENTRE_TAP] = to_y
    _assign(decoder, weight, -to_y @ y_mean)
    return correlations


def canonical_maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Linear maps under which two centred views are most alike.

    Args:
        x: (N, P).
        y: (N, Q), row i of the same thing as row i of ``x``.

    Returns:
        (K, P) and (K, Q) with K = min(P, Q), each direction scaled by its correlation, and the (K,)
        correlations, largest first.
    """
    # With Sx = Lx Lx^T, whitened views Lx^-1 x have unit variance, and the singular values of
    # Lx^-1 Sxy Ly^-T are the correlations; Lx^-T u leads back to directions of x.
    x_root = torch.linalg.cholesky(_variance(x))
    y_root = torch.linalg.cholesky(_variance(y))
    between = torch.linalg.solve_triangular(x_root, x.T @ y / len(x), upper=False)
    between = torch.linalg.solve_triangular(y_root, between.T, upper=False).T
    u, correlations, vh = torch.linalg.svd(between, full_matrices=False)
    to_x = torch.linalg.solve_triangular(x_root.T, u, upper=True) * correlations
    to_y = torch.linalg.solve_triangular(y_root.T, vh.T, upper=True) * correlations
    return to_x.T, to_y.T, correlations


def _views(
    model: Gair, batches: Iterable[Batch], photos: int, mode: QueryMode
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pooled photos (B, W) and tokens at their points (B, D), until there are enough."""
    photos_seen = 0
    for batch in batches:
        on_device = batch.to(model.device)
        pooled = model.street_view.pooled(on_device.photos)
        token_maps = model.encode_remote_sensing(on_device.frames)
        xy = on_device.xy.to(token_maps.dtype)
        yield pooled, read_at_points(model.inr, token_maps, on_device.frame_of_photo, xy, mode)
        photos_seen += len(pooled)
        if photos_seen >= photos:
            return


def _variance(x: Tensor) -> Tensor:
    """(N, P) to (P, P), with a ridge."""
    variance = x.T @ x / len(x)
    return variance + RIDGE * variance.diagonal().mean() * torch.eye(len(variance), dtype=x.dtype)


def _rows(maps: Tensor, wanted: int) -> Tensor:
    """(K, P) to (wanted, P): directions beyond the canonical ones stay silent."""
    padded = maps.new_zeros(wanted, maps.shape[1])
    padded[: len(maps)] = maps[:wanted]
    return padded


def _assign(layer: torch.nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
