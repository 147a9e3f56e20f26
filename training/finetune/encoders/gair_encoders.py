"""GAIR's three towers as encoders: trained, or with the same shapes and random weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from gair.arrays import Floats
from gair.bands import GAIR_BANDS, MEAN_DN
from gair.config import GairConfig
from gair.encoders.initial import initial_state
from gair.model import UNTRAINED_LICENCE, Gair, ModelInfo
from gair.preprocess import remote_sensing_pixels, street_view_pixels
from training.finetune.encoders.encoder import Adapted, EncoderInfo, Frames, Photos, depths_of


def untrained_like(model: Gair, seed: int) -> Gair:
    """A model of the same shape whose weights are random."""
    info = ModelInfo(
        f"{model.info.name}, random weights", UNTRAINED_LICENCE, trained=False, source="random"
    )
    fresh = Gair.without_weights(model.config, info)
    fresh.load_state_dict(initial_state(model.state_dict(), model.config, seed), assign=True)
    return fresh


def location_model(dim: int, info: ModelInfo, seed: int) -> Gair:
    """A model around a location encoder of the published size; its other towers are dwarfs.

    Args:
        dim: width of the location encoder's heads: 768 in GAIR, 512 in GeoCLIP.
        info: of the model.
        seed: of its random weights.
    """
    config = dataclasses.replace(
        GairConfig(), dim=dim, sv_width=64, sv_depth=1, sv_heads=1, rs_depth=1
    )
    model = Gair.without_weights(config, info)
    model.load_state_dict(initial_state(model.state_dict(), config, seed), assign=True)
    return model


def random_location_encoder(seed: int) -> Adapted[Floats]:
    """The location encoder e in the paper's size with random weights."""
    info = ModelInfo("e in the paper's size", UNTRAINED_LICENCE, trained=False, source="random")
    return location_encoder(location_model(GairConfig().dim, info, seed))


def photo_encoder(model: Gair) -> Adapted[Photos]:
    """The street-view encoder g: what its pooler gives, before the projection into the space."""
    tower = model.street_view

    def prepare(photos: Photos) -> Tensor:
        return street_view_pixels(photos, model.config.sv_image_px)

    return Adapted(
        info=_info(model),
        width=model.config.sv_width,
        module=tower,
        prepare=prepare,
        encode=tower.pooled,
        side_px=model.config.sv_image_px,
    )


def frame_encoder(model: Gair) -> Adapted[Frames]:
    """The remote-sensing encoder f at four depths; the last map has the closing norm, if any."""
    tower = model.remote_sensing
    depths = depths_of(model.config.rs_depth)

    def encode(pixels: Tensor) -> Tensor:
        maps = tower.after_blocks(pixels, depths)
        maps[-1] = tower.norm(maps[-1])
        return torch.stack(maps, dim=1).permute(0, 1, 4, 2, 3)  # (B, 4, D, h, w)

    return Adapted(
        info=_info(model),
        width=model.config.dim,
        module=tower,
        prepare=gair_pixels,
        encode=encode,
        side_px=model.config.rs_frame_px,
    )


def location_encoder(model: Gair) -> Adapted[Floats]:
    """The location encoder e, not normalised."""

    def prepare(places: Floats) -> Tensor:
        return torch.from_numpy(np.asarray(places, dtype=np.float32))

    return Adapted(
        info=_info(model),
        width=model.config.dim,
        module=model.location,
        prepare=prepare,
        encode=model.location,
    )


def gair_pixels(frames: Frames) -> Tensor:
    """Frames of any bands to GAIR's input, at their own size.

    A band that the imagery lacks is filled with its mean over GAIR's training data. PANGAEA fills
    with 0 after normalising, which is the same thing.
    """
    batch, _, height, width = frames.dn.shape
    dn = np.empty((batch, len(GAIR_BANDS), height, width), dtype=np.uint16)
    for band, name in enumerate(GAIR_BANDS):
        if name in frames.bands:
            values = frames.dn[:, frames.bands.index(name)]
            dn[:, band] = np.clip(np.rint(np.nan_to_num(values)), 0, 65535)
        else:
            dn[:, band] = round(MEAN_DN[band])
    squares = remote_sensing_pixels(dn, max(height, width)) if height == width else None
    if squares is not None:
        return squares
    side = max(height, width)  # resized and back would blur: pad to a square, then cut
    padded = np.zeros((batch, len(GAIR_BANDS), side, side), dtype=np.uint16)
    padded[:, :, :height, :width] = dn
    return remote_sensing_pixels(padded, side)[:, :, :height, :width]


def _info(model: Gair) -> EncoderInfo:
    info = model.info
    return EncoderInfo(info.name, info.licence, info.source, info.trained)
