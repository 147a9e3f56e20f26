"""Precision of the towers: float32, or bfloat16 where a CPU multiplies in it by itself.

One rule chooses for builds and for answers. In bfloat16 matrix products and convolutions round what
they multiply to 8 bits and sum in float32; norms, softmax and everything after a tower stay
float32.
"""

from __future__ import annotations

import copy
import threading
import weakref
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from gair.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    from gair.config import GairConfig

Precision = Literal["float32", "bfloat16"]
WantedPrecision = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[WantedPrecision, ...] = get_args(WantedPrecision)

_WIDE = 512
"""From this width on a CPU gains by half precision; narrower models spend their time elsewhere."""


def choose_precision(wanted: WantedPrecision, model: Model) -> Precision:
    """The type that matrix products are computed in.

    ``auto`` is bfloat16 where the CPU has instructions for it and the model is wide enough to gain;
    anywhere else, GPUs included, it is float32.

    Raises:
        UsageError: ``wanted`` is none of :data:`PRECISIONS`.
    """
    if wanted not in PRECISIONS:
        raise UsageError(f"`precision` {wanted!r} is none of {', '.join(PRECISIONS)}: choose one")
    if wanted != "auto":
        return wanted
    wide = model.config.dim >= _WIDE
    return "bfloat16" if model.device.type == "cpu" and wide and has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 by itself (AVX512-BF16, AMX)."""
    import torch

    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # from torch 2.6 on
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


class Model(Protocol):
    """What is asked of a :class:`gair.model.Gair`."""

    @property
    def config(self) -> GairConfig:
        """Its shape."""

    @property
    def street_view(self) -> nn.Module:
        """The encoder of photos."""

    @property
    def device(self) -> device:
        """Where the weights are."""


class PhotoTower:
    """The street-view encoder of a model in bfloat16, with weights that are rounded once.

    Autocast alone would round all weights again for every photo, which for the released
    architecture takes a tenth of the time. The model keeps its own weights as they are.
    """

    def __init__(self, model: Model) -> None:
        import torch
        from torch import nn

        self._tower: nn.Module = copy.deepcopy(model.street_view).eval()
        for layer in self._tower.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.to(torch.bfloat16)
        self._made_of = _state_of(model)

    def is_of(self, model: Model) -> bool:
        """Whether the model still has the weights that this was made of."""
        return self._made_of == _state_of(model)

    def __call__(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) normalised pixels to (B, D) float32 of length 1."""
        import torch
        from torch.nn import functional as F

        with torch.autocast(pixels.device.type, torch.bfloat16):
            s = self._tower(pixels)
        return F.normalize(s.float(), dim=-1)


def _state_of(model: Model) -> list[tuple[int, int]]:
    """Where the weights are in memory, and how often they were written to."""
    return [(weight.data_ptr(), weight._version) for weight in model.street_view.parameters()]


def photo_tower(model: Model) -> PhotoTower:
    """The tower in bfloat16 of a model, made once and forgotten with it."""
    with _MAKING:
        tower = _TOWERS.get(model)
        if tower is None or not tower.is_of(model):
            tower = _TOWERS[model] = PhotoTower(model)
        return tower


_MAKING = threading.Lock()
_TOWERS: weakref.WeakKeyDictionary[Model, PhotoTower] = weakref.WeakKeyDictionary()
