"""Comparison of a model with the scores that its authors published.

The GAIR repository (https://github.com/zpl99/GAIR) shows cosines between three Sentinel-2 chips and
three street photos, computed with the released weights. A model that reproduces all nine was
converted right and reads imagery and photos as the authors do. Whether their numbers came with or
without the remote-sensing encoder's final norm is not documented, so both are tried.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gair.arrays import DigitalNumbers, Floats
from gair.bands import band_indices
from gair.errors import ImageryError, UsageError
from gair.geo import Footprint
from gair.model import Gair
from gair.photos.photo import open_photo
from gair.preprocess import remote_sensing_pixels, street_view_pixels

PAIRS = ("detroit", "sacramento", "tokyo")
"""The three pairs, in the order of the rows and columns of :data:`PUBLISHED`."""
PUBLISHED = np.array(
    [[0.8335, -0.2068, 0.0362], [-0.0413, 0.4648, -0.0913], [-0.1239, 0.0719, 0.3956]]
)
"""Cosines of z at each chip's point (rows) with each photo's s (columns), from the previews in the
authors' repository."""
TOLERANCE = 0.01
"""Largest difference that decoders and resampling may cause."""


@dataclass(frozen=True)
class Pair:
    """A chip, the point in it and the photo taken there."""

    name: str
    dn: DigitalNumbers
    """(10, H, W)."""
    footprint: Footprint
    lonlat_deg: tuple[float, float]
    photo: npt.NDArray[np.uint8]
    """(H, W, 3)."""


@dataclass(frozen=True)
class Comparison:
    """A model variant beside the published scores."""

    variant: str
    scores: Floats
    """(3, 3), rows chips, columns photos."""
    difference: float
    """Largest absolute difference."""

    @property
    def reproduces(self) -> bool:
        """Whether every score is within :data:`TOLERANCE`."""
        return self.difference <= TOLERANCE


def load_pairs(folder: Path) -> list[Pair]:
    """The three public pairs from a folder with ``pairs.csv``.

    Its columns are id, rs_image, sv_image, lon, lat; the files lie beside it.
    """
    table = folder / "pairs.csv"
    if not table.is_file():
        raise UsageError(
            f"{folder} has no pairs.csv (columns id, rs_image, sv_image, lon, lat): put the three "
            "example pairs of github.com/zpl99/GAIR there and name the folder with `pairs`"
        )
    with table.open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    absent = [name for name in PAIRS if name not in rows]
    if absent:
        raise UsageError(f"{table} lacks the pairs {', '.join(absent)}")
    return [_load_pair(folder, rows[name]) for name in PAIRS]


def compare(model: Gair, pairs: Sequence[Pair], published: Floats = PUBLISHED) -> list[Comparison]:
    """The model's scores as it is, and also without the final norm where it has one."""
    comparisons = []
    norm = model.remote_sensing.norm
    variants: dict[str, nn.Module] = {"without the final norm": nn.Identity()}
    if not isinstance(norm, nn.Identity):
        variants["with the final norm"] = norm
    for variant, module in variants.items():
        scores = pair_scores(model, module, pairs)
        comparisons.append(Comparison(variant, scores, float(np.abs(scores - published).max())))
    return comparisons


def pair_scores(model: Gair, final_norm: nn.Module, pairs: Sequence[Pair]) -> Floats:
    """Cosines of each chip's z at its point with each photo's s, (chips, photos)."""
    z, s = [], []
    with torch.inference_mode():
        for pair in pairs:
            pixels = remote_sensing_pixels(pair.dn[None], model.config.rs_frame_px)
            tokens = model.remote_sensing.before_norm(pixels.to(model.device))
            xy = torch.from_numpy(pair.footprint.frame_xy([pair.lonlat_deg]))[None]
            z.append(model.localize(final_norm(tokens), xy.to(model.device))[0, 0])
            photo = street_view_pixels([pair.photo], model.config.sv_image_px)
            s.append(model.encode_street_view(photo.to(model.device))[0])
    product = torch.stack(z) @ torch.stack(s).T
    return np.asarray(product.double().cpu().numpy())


def comparison_lines(comparisons: Sequence[Comparison], published: Floats = PUBLISHED) -> list[str]:
    """A table for a terminal, and a verdict."""
    lines = []
    for c in comparisons:
        lines.append(f"{c.variant}: largest difference {c.difference:.4f}")
        lines.append("  chip \\ photo " + "".join(f"{name:>20}" for name in PAIRS))
        for name, ours, theirs in zip(PAIRS, c.scores, published, strict=True):
            cells = (f"{a:9.4f} ({b:7.4f})" for a, b in zip(ours, theirs, strict=True))
            lines.append(f"  {name:<12} " + "".join(f"{cell:>20}" for cell in cells))
    good = [c.variant for c in comparisons if c.reproduces]
    if good:
        lines.append(f"reproduces the published scores {' and '.join(good)}")
    else:
        lines.append(f"does not reproduce the published scores (tolerance {TOLERANCE})")
    return lines


def _load_pair(folder: Path, row: Mapping[str, str]) -> Pair:
    import rasterio

    chip = folder / row["rs_image"]
    try:
        with rasterio.open(chip) as raster:
            bands = band_indices(raster.descriptions, what=str(chip))
            dn = raster.read([band + 1 for band in bands])
            bounds, crs = raster.bounds, raster.crs
    except rasterio.errors.RasterioError as error:
        raise ImageryError(f"cannot read {chip}: {error}") from error
    return Pair(
        name=row["id"],
        dn=dn,
        footprint=Footprint(
            crs.to_string(), (bounds.left, bounds.bottom, bounds.right, bounds.top)
        ),
        lonlat_deg=(float(row["lon"]), float(row["lat"])),
        photo=np.asarray(open_photo(folder / row["sv_image"]).rgb),
    )
