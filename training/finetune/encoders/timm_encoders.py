"""Any timm model as a photo encoder, and its transformers as frame encoders on red, green, blue.

``dinov2`` is timm's name for DINOv2's ViT-B/14. Weights are timm's to fetch and to license.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.encoders.timm_import import import_timm
from gair.errors import ModelError
from training.finetune.encoders.encoder import (
    DEPTHS,
    Adapted,
    EncoderInfo,
    Frames,
    Photos,
    depths_of,
)

ALIASES = {"dinov2": "vit_base_patch14_dinov2.lvd142m"}
RGB = ("B4", "B3", "B2")
_WHITE_DN = 3000.0
"""Reflectance x 10000 that becomes white, as in Sentinel-2's true-colour images."""
_FRAME_SIDE_PX = 224


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


def timm_photo_encoder(name: str, *, pretrained: bool = True) -> Adapted[Photos]:
    """The pooled features of a timm model; photos are squeezed into its square, as GAIR does."""
    return adapt_timm(timm_model(name, pretrained=pretrained), _info(name, pretrained))


def adapt_timm(model: nn.Module, info: EncoderInfo) -> Adapted[Photos]:
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
    return Adapted(info, width, model, prepare, model, side)


def timm_frame_encoder(name: str, *, pretrained: bool = True) -> Adapted[Frames]:
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
    return Adapted(
        _info(name, pretrained), int(model.embed_dim), model, prepare, encode, _FRAME_SIDE_PX
    )


def _info(name: str, pretrained: bool) -> EncoderInfo:
    licence = "see timm's card of the model" if pretrained else "none (random weights)"
    return EncoderInfo(name, licence, f"timm:{name}", pretrained)


def _no_transformer(name: str) -> str:
    return f"timm's {name!r} is no plain transformer: frames need one, such as dinov2"
