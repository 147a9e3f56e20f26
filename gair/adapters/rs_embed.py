"""Remote-sensing encoder f as one of rs-embed's, which fetches imagery of any place for models.

https://github.com/cybergis/rs-embed (Apache-2.0): importing this registers ``gair``; then
``rs_embed.get_embedding("gair", ...)`` gives z, the vectors that photos are compared with, as a
grid of one vector a token or pooled into one. rs-embed fetches Sentinel-2's surface reflectance in
digital numbers, harmonised over processing baselines, which is what f takes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gair.arrays import Floats32
from gair.bands import GAIR_BANDS
from gair.errors import ModelError
from gair.info import import_problem
from gair.model import Gair
from gair.preprocess import remote_sensing_pixels

try:
    from rs_embed.core.embedding import Embedding
    from rs_embed.core.registry import register
    from rs_embed.core.specs import (
        ModelInputSpec,
        OutputSpec,
        SensorSpec,
        SpatialSpec,
        TemporalSpec,
    )
    from rs_embed.core.types import EmbedderCapabilities
    from rs_embed.embedders.base import EmbedderBase
    from rs_embed.embedders.meta import base_meta, temporal_to_range
    from rs_embed.embedders.shared import grid_to_dataarray
    from rs_embed.tools.shape import crop_grid_to_roi, geo_roi_from_meta
except ImportError as error:
    _ABSENT = "rs-embed is not installed: it needs Python 3.12: pip install rs-embed"
    raise ModelError(import_problem(error, "rs_embed", _ABSENT)) from error

DEFAULT_MODEL = "PingL/GAIR"
FRAME_PX = 96
"""Side of a frame at 10 m, in the release; a model of another size gets the frame resized."""


@functools.lru_cache(2)
def _opened(source: str, device: str) -> Gair:
    return Gair.from_pretrained(source).to(device)


@register("gair")
class GairEmbedder(EmbedderBase):  # type: ignore[misc]
    """GAIR's remote-sensing encoder with NILI, at the middles of its tokens."""

    input_spec = ModelInputSpec(
        collection="COPERNICUS/S2_SR_HARMONIZED",
        bands=GAIR_BANDS,
        scale_m=10,
        image_size=FRAME_PX,
        expected_channels=len(GAIR_BANDS),
    )
    capabilities = EmbedderCapabilities(input_chw=True, fetch_meta=True, model_config_single=True)
    _requires_square_input = True

    def describe(self) -> dict[str, Any]:
        """What the embedder takes and gives, as rs-embed asks for it."""
        spec = self.input_spec
        return {
            "type": "onthefly",
            "backend": ["provider"],
            "model_id_default": DEFAULT_MODEL,
            "image_size": FRAME_PX,
            "inputs": {"collection": spec.collection, "bands": list(spec.bands)},
            "temporal": {"mode": "range"},
            "output": ["pooled", "grid"],
            "defaults": {"image_size": FRAME_PX, "scale_m": spec.scale_m},
            "model_config": {"model": {"type": "string", "default": DEFAULT_MODEL}},
        }

    def get_embedding(
        self,
        *,
        spatial: SpatialSpec,
        temporal: TemporalSpec | None,
        sensor: SensorSpec | None,
        output: OutputSpec,
        backend: str,
        device: str = "auto",
        input_chw: npt.NDArray[Any] | None = None,
        model_config: dict[str, Any] | None = None,
        fetch_meta: dict[str, Any] | None = None,
    ) -> Embedding:
        """Vectors of one place.

        Args:
            spatial: what to look at.
            temporal: when; rs-embed's summer of 2022 if not given.
            sensor: that of ``input_spec`` if not given; its bands must be GAIR's.
            output: a grid of vectors, or one pooled from them.
            backend: that fetches the imagery.
            device: of torch; ``auto`` is CUDA where there is one.
            input_chw: (10, H, W) digital numbers that were fetched before.
            model_config: ``model``, whatever :meth:`gair.model.Gair.from_pretrained` takes.
            fetch_meta: what came with them.

        Raises:
            ModelError: the bands are others.
        """
        sensor = sensor or self.input_spec.to_sensor_spec()
        if tuple(sensor.bands) != GAIR_BANDS:
            raise ModelError(
                f"GAIR takes the bands {', '.join(GAIR_BANDS)}; the sensor has "
                f"{', '.join(sensor.bands)}"
            )
        when = temporal_to_range(temporal)
        if input_chw is None:
            fetched = self.fetch_input(
                self._get_provider(backend), spatial=spatial, temporal=when, sensor=sensor
            )
            input_chw, fetch_meta = fetched.data, fetched.meta
        source = (model_config or {}).get("model", DEFAULT_MODEL)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        model = _opened(source, device)
        grid = crop_grid_to_roi(_grid(model, np.asarray(input_chw)), geo_roi_from_meta(fetch_meta))
        meta = base_meta(
            model_name=self.model_name,
            hf_id=source,
            backend=backend,
            image_size=model.config.rs_frame_px,
            sensor=sensor,
            temporal=when,
            extra={"licence": model.info.licence, "grid_hw": grid.shape[1:]},
        )
        if output.mode == "grid":
            return Embedding(data=grid_to_dataarray(grid, meta=meta), meta=meta)
        pool = np.max if output.pooling == "max" else np.mean
        return Embedding(data=pool(grid, axis=(1, 2)).astype(np.float32), meta=meta)


def _grid(model: Gair, chw: npt.NDArray[Any]) -> Floats32:
    """(10, H, W) digital numbers to (D, h, w) unit vectors z at the middles of the tokens."""
    if chw.ndim != 3 or len(chw) != len(GAIR_BANDS):
        raise ModelError(f"imagery has shape {chw.shape}; expected ({len(GAIR_BANDS)}, H, W)")
    dn = np.clip(np.rint(np.nan_to_num(chw)), 0, 65535).astype(np.uint16)
    with torch.inference_mode():
        pixels = remote_sensing_pixels(dn[None], model.config.rs_frame_px).to(model.device)
        tokens = model.encode_remote_sensing(pixels)  # (1, h, w, D)
        height, width = tokens.shape[1:3]
        y = (torch.arange(height) + 0.5) / height * 2 - 1
        x = (torch.arange(width) + 0.5) / width * 2 - 1
        xy = torch.stack(
            [x.expand(height, width), y[:, None].expand(height, width)], dim=-1
        ).reshape(1, -1, 2)
        z = model.localize(tokens, xy.to(tokens))  # (1, h * w, D)
    grid: Floats32 = z[0].T.reshape(-1, height, width).float().cpu().numpy()
    return grid
