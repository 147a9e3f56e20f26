"""Import timm where torchvision's compiled operators may not load.

timm imports torchvision, and torchvision registers fake kernels for its binary operators when it
is imported. Beside a torch build that its binary was not made for (for example a CPU-only torch),
the binary is skipped, the operators were never defined, and ``import timm`` dies with "operator
torchvision::nms does not exist". No vision transformer uses those operators, so declaring their
signatures is enough. A machine whose torch and torchvision match is left alone.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

MISSING_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_timm() -> ModuleType:
    """The timm package, mending torchvision's missing operators only if the import needs it."""
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _forget_half_imports()
    _declare_missing_operators()
    return importlib.import_module("timm")


def _declare_missing_operators() -> None:
    import torch

    namespace: Any = torch.ops.torchvision
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in MISSING_OPERATORS:
        if not hasattr(namespace, name):
            library.define(name + _SIGNATURE)
    # The definitions live as long as the library object: tie it to the namespace they are in.
    namespace.gair_keeps_alive = library


def _forget_half_imports() -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in {"timm", "torchvision"}:
            del sys.modules[name]
