"""GAIR's three towers as encoders, with its own weights, random ones, CROMA's or GeoCLIP's.

CROMA (MIT, https://arxiv.org/abs/2311.00566): GAIR's remote-sensing tower is CROMA's without B1 and
B9, so ours runs it with all twelve bands at CROMA's own 120 pixels. Inputs are scaled as CROMA
asks: each band of an image from two standard deviations below its mean to two above, in eight bits.

GeoCLIP (MIT, https://arxiv.org/abs/2309.16020): the design of its location encoder is that of
GAIR's e with heads of width 512, so ours runs it; the paper's e starts from it. Its package ships
the weights and need not be imported, so none of what it needs is.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from torch import Tensor

from gair.arrays import Floats
from gair.bands import GAIR_BANDS, LAYOUTS, MEAN_DN
from gair.config import GairConfig
from gair.info import UNTRAINED_LICENCE, ModelInfo
from gair.model import Gair
from gair.preprocess import remote_sensing_pixels, street_view_pixels
from training.finetune.encoders.encoder import (
    Encoder,
    Frames,
    Photos,
    depths_of,
    fetched,
    installed,
)
from training.pretraining.initialise import initialise_towers

CROMA_HUB_ID, CROMA_FILE = "antofuller/CROMA", "CROMA_base.pt"
CROMA_BANDS = LAYOUTS["l2a-12"]
CROMA_SIDE_PX = 120
CROMA_BASE = dataclasses.replace(
    GairConfig(),
    rs_bands=CROMA_BANDS,
    rs_frame_px=CROMA_SIDE_PX,
    rs_final_norm=True,
    sv_width=64,
    sv_depth=1,
    sv_heads=1,
    location_hidden=8,
)
"""CROMA-base as GAIR's remote-sensing tower; the other two towers are dwarfs."""
GEOCLIP_WEIGHTS = "model/weights/location_encoder_weights.pth"
GEOCLIP_WIDTH = 512
_GEOCLIP_REMEDY = "pip install --no-deps geoclip==1.3.0"


def untrained_like(model: Gair, seed: int) -> Gair:
    """A model of the same shape whose weights are random."""
    info = ModelInfo(
        f"{model.info.name}, random weights", UNTRAINED_LICENCE, trained=False, source="random"
    )
    return Gair.with_random_weights(model.config, info, seed)


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
    return Gair.with_random_weights(config, info, seed)


def random_location_encoder(seed: int) -> Encoder[Floats]:
    """The location encoder e in the paper's size with random weights."""
    info = ModelInfo("e in the paper's size", UNTRAINED_LICENCE, trained=False, source="random")
    return location_encoder(location_model(GairConfig().dim, info, seed))


def photo_encoder(model: Gair) -> Encoder[Photos]:
    """The street-view encoder g: what its pooler gives, before the projection into the space."""
    tower, side = model.street_view, model.config.sv_image_px
    prepare = functools.partial(street_view_pixels, image_px=side)
    return Encoder(model.info, model.config.sv_width, tower, prepare, tower.pooled, side)


def frame_encoder(model: Gair) -> Encoder[Frames]:
    """The remote-sensing encoder f at four depths; the last map has the closing norm, if any."""
    tower = model.remote_sensing
    depths = depths_of(tower.depth)

    def encode(pixels: Tensor) -> Tensor:
        maps = tower.after_blocks(pixels, depths)
        maps[-1] = tower.norm(maps[-1])
        return torch.stack(maps, dim=1).permute(0, 1, 4, 2, 3)  # (B, 4, D, h, w)

    config = model.config
    return Encoder(model.info, config.dim, tower, gair_pixels, encode, config.rs_frame_px)


def location_encoder(model: Gair) -> Encoder[Floats]:
    """The location encoder e, not normalised."""
    prepare = functools.partial(torch.as_tensor, dtype=torch.float32)
    return Encoder(
        model.info,
        model.config.dim,
        model.location,
        prepare,
        model.location,
        fingerprint=model.fingerprint,
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
    side = max(height, width)  # resized and back would blur: pad to a square, then cut
    padded = np.zeros((batch, len(GAIR_BANDS), side, side), dtype=np.uint16)
    padded[:, :, :height, :width] = dn
    return remote_sensing_pixels(padded, side)[:, :, :height, :width]


def croma_encoder(source: str = "", config: GairConfig = CROMA_BASE) -> Encoder[Frames]:
    """CROMA-base, four maps of width 768.

    Args:
        source: ``CROMA_base.pt``; empty for that of the hub.
        config: the shape of its tower.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    path = fetched(source, CROMA_HUB_ID, CROMA_FILE)
    info = ModelInfo("CROMA", "MIT", trained=True, source=str(path))
    model = Gair.with_random_weights(config, info, 0)
    initialise_towers(model, remote_sensing=str(path))
    return dataclasses.replace(frame_encoder(model), prepare=croma_pixels)


def croma_pixels(frames: Frames) -> Tensor:
    """Frames of any bands to CROMA's input, (B, 12, H, W) in [0, 1]; a missing band is all 0.5."""
    batch, _, height, width = frames.dn.shape
    out = np.full((batch, len(CROMA_BANDS), height, width), 0.5, dtype=np.float32)
    for place, name in enumerate(CROMA_BANDS):
        if name in frames.bands:
            band = np.nan_to_num(frames.dn[:, frames.bands.index(name)].astype(np.float64))
            mean = band.mean(axis=(1, 2), keepdims=True)
            sd = np.maximum(band.std(axis=(1, 2), keepdims=True), 1e-6)
            scaled = np.clip((band - mean + 2 * sd) / (4 * sd) * 255, 0, 255)
            out[:, place] = np.floor(scaled) / 255
    return torch.from_numpy(out)


def geoclip_encoder(source: str = "") -> Encoder[Floats]:
    """GeoCLIP's location encoder, (N, 2) degrees to (N, 512).

    Args:
        source: the weight file; empty for that of the installed package.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    path = installed(source, "geoclip", GEOCLIP_WEIGHTS, remedy=_GEOCLIP_REMEDY)
    model = location_model(
        GEOCLIP_WIDTH, ModelInfo("GeoCLIP", "MIT", trained=True, source=str(path)), 0
    )
    initialise_towers(model, location=str(path))
    return location_encoder(model)
