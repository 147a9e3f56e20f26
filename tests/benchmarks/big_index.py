"""A large index made in seconds: the real builder, real files, made-up vectors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shapely.geometry.base import BaseGeometry
from torch.nn import functional as F

from gair.geo import Footprint
from gair.model import Gair
from indexer.build.build import BuildOptions, build_index
from indexer.imagery.source import FramePixels
from indexer.regions.region import named_region


class NoiseEverywhere:
    """An imagery source of smooth noise: here only the number of cells and vectors matters."""

    resolution_m = 10.0
    warnings = ("made-up imagery",)

    def __init__(self, coverage: BaseGeometry) -> None:
        self.coverage = coverage

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        """Pixels that depend on the place alone."""
        rng = np.random.default_rng(abs(hash(footprint.bounds_wsen)) % 2**32)
        dn = rng.integers(500, 3500, (10, *shape)).astype(np.uint16)
        return FramePixels(dn, np.ones(shape, dtype=bool))

    def download(self, footprints: Iterable[Footprint]) -> None:
        """Nothing is fetched."""

    def by_day(self) -> dict[str, Any]:
        return {}

    def describe(self) -> dict[str, Any]:
        """What a manifest needs."""
        return {"scenes": [], "attribution": ""}


class RandomVectors(Gair):
    """A model whose photos are encoded as ever and whose cells are not: their vectors are noise."""

    def encode_remote_sensing(self, pixels: torch.Tensor) -> torch.Tensor:
        side = self.config.rs_grid
        return torch.randn(len(pixels), side, side, self.config.dim)

    def localize(self, token_maps: torch.Tensor, xy: torch.Tensor, **_: Any) -> torch.Tensor:
        return F.normalize(torch.randn(*xy.shape[:2], self.config.dim), dim=-1)

    def encode_location(self, lonlat_deg: torch.Tensor, **_: Any) -> torch.Tensor:
        return F.normalize(torch.randn(len(lonlat_deg), self.config.dim), dim=-1)


def build_big_index(folder: Path, model: Gair, resolution: int = 10) -> int:
    """Index Greater London as ``london``; returns how many cells that is (116,589 at 10).

    Args:
        folder: of the indexes; the model goes there, too.
        model: what photos are encoded with.
        resolution: of the cells.
    """
    torch.manual_seed(0)
    source = model.save_pretrained(folder.parent / f"model-{folder.name}")
    model.__class__ = RandomVectors
    london = named_region("london")
    built = build_index(
        "london",
        london,
        NoiseEverywhere(london.geometry),
        model,
        folder,
        options=BuildOptions(resolution=resolution, quiet=True),
        model_source=str(source),
    )
    return built.manifest.cells_indexed


def street_jpegs(count: int, width: int = 1280, height: int = 720) -> list[bytes]:
    """Photos of a phone's aspect: smooth noise, all different."""
    import io

    import PIL.Image

    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        small = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        image = PIL.Image.fromarray(small).resize((width, height), PIL.Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found
