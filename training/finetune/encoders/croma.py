"""CROMA's optical encoder as a frame encoder (MIT, https://arxiv.org/abs/2311.00566).

GAIR's remote-sensing tower is CROMA's without B1 and B9, so ours runs it with all twelve bands at
CROMA's own 120 pixels. Inputs are scaled as CROMA asks: each band of an image from two standard
deviations below its mean to two above, in eight bits.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from gair.bands import LAYOUTS
from gair.config import GairConfig
from training.finetune.encoders.encoder import Adapted, Frames
from training.finetune.encoders.fetching import fetched
from training.finetune.encoders.gair_encoders import frame_encoder

HUB_ID, FILE = "antofuller/CROMA", "CROMA_base.pt"
BANDS = LAYOUTS["l2a-12"]
SIDE_PX = 120


BASE = dataclasses.replace(
    GairConfig(),
    rs_bands=BANDS,
    rs_frame_px=SIDE_PX,
    rs_final_norm=True,
    sv_width=64,
    sv_depth=1,
    sv_heads=1,
    location_hidden=8,
)
"""CROMA-base as GAIR's remote-sensing tower; the other two towers are dwarfs."""


def croma_encoder(source: str = "", config: GairConfig = BASE) -> Adapted[Frames]:
    """CROMA-base, four maps of width 768.

    Args:
        source: ``CROMA_base.pt``; empty for that of the hub.
        config: the shape of its tower.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    from gair.encoders.initial import initial_state
    from gair.model import Gair, ModelInfo
    from training.pretraining.initialise import initialise_towers

    path = fetched(source, HUB_ID, FILE)
    info = ModelInfo("CROMA", "MIT", trained=True, source=str(path))
    model = Gair.without_weights(config, info)
    model.load_state_dict(initial_state(model.state_dict(), config, 0), assign=True)
    initialise_towers(model, remote_sensing=str(path))
    return dataclasses.replace(frame_encoder(model), prepare=croma_pixels)


def croma_pixels(frames: Frames) -> Tensor:
    """Frames of any bands to CROMA's input, (B, 12, H, W) in [0, 1]; a missing band is all 0.5."""
    batch, _, height, width = frames.dn.shape
    out = np.full((batch, len(BANDS), height, width), 0.5, dtype=np.float32)
    for place, name in enumerate(BANDS):
        if name in frames.bands:
            band = np.nan_to_num(frames.dn[:, frames.bands.index(name)].astype(np.float64))
            mean = band.mean(axis=(1, 2), keepdims=True)
            sd = np.maximum(band.std(axis=(1, 2), keepdims=True), 1e-6)
            scaled = np.clip((band - mean + 2 * sd) / (4 * sd) * 255, 0, 255)
            out[:, place] = np.floor(scaled) / 255
    return torch.from_numpy(out)
