"""The model's parts as a build runs them, in the precision of its recipe."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair
    from indexer.build.recipe import Recipe


class Towers:
    """Frames, points and places to float32; matrix products in the precision of a recipe.

    In bfloat16 the imagery encoder and NILI's convolution are copies whose weights are rounded
    once. The location encoder keeps its weights and rounds them on the way, as its phases need
    float32 (:mod:`gair.encoders.location`); so do NILI's weights of the four corners.
    """

    def __init__(self, model: Gair, recipe: Recipe) -> None:
        self.model = model
        self._mode: QueryMode = recipe.query_mode
        self._low: nn.Module | None = None
        self._low_inr = model.inr
        if recipe.precision == "bfloat16":
            self._low = copy.deepcopy(model.remote_sensing).to(torch.bfloat16)
            self._low_inr = copy.deepcopy(model.inr).to(torch.bfloat16)

    def token_maps(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) pixels to (B, h, w, D)."""
        pixels = pixels.to(self.model.device)
        if self._low is None:
            return self.model.encode_remote_sensing(pixels)
        found: Tensor = self._low(pixels.to(torch.bfloat16)).float()
        return found

    def at_points(self, token_maps: Tensor, xy: Tensor) -> Tensor:
        """(B, h, w, D) token maps read at (B, N, 2) points: (B, N, D) of unit length."""
        model, xy = self.model, xy.to(self.model.device)
        many = 4 * xy.shape[1] >= token_maps.shape[1] * token_maps.shape[2]
        if self._low is None or self._mode != "nili" or model.config.inr_hidden or not many:
            return model.localize(token_maps, xy, mode=self._mode)
        convolved = self._low_inr.convolved(token_maps.to(torch.bfloat16))
        return nn.functional.normalize(model.inr.blend(convolved.float(), xy), dim=-1)

    def at_places(self, lonlat_deg: Tensor) -> Tensor:
        """(N, 2) degrees to (N, D) of unit length."""
        with self._lower():
            return self.model.encode_location(lonlat_deg.to(self.model.device)).float()

    def _lower(self) -> contextlib.AbstractContextManager[object]:
        if self._low is None:
            return contextlib.nullcontext()
        return torch.autocast(self.model.device.type, torch.bfloat16)
