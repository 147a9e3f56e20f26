"""Validation by retrieval of each photo among the places of the split.

Cells are a dense grid over the inner part of every footprint of the split, so a photo is searched
among all places of the split at once. A photo in the outer part, whose nearest cell is far, counts
like any other; one that cannot be decoded is a miss.

Beside imagery alone, as the metrics are named, the location encoder is tried: alone, and added to
imagery with a few weights. Which of them finds most says what an index of such places should weigh
locations by: nothing, where no photo of the place was in the training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gair.arrays import Bytes, Floats, Vectors
from gair.errors import PhotoError
from gair.photos.photo import open_photo
from gair.preprocess import remote_sensing_pixels, street_view_pixels
from gair.progress import Progress
from indexer.build.frames import INNER_SHARE
from indexer.evaluate.metrics import KS
from training.retrieval import nearest_first_distances, recall_name, retrieval_metrics

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair
    from training.dataset.shards import ShardedDataset
    from training.pretraining.config import PretrainConfig

GRID_PER_SIDE = 16
"""Cells along a whole side of a footprint; 95 m apart for a zoom-14 footprint at 52 degrees."""
IMAGES_AT_ONCE = 32
LOCATIONS_AT_ONCE = 4096
LOCATION_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Of cos(s, e) beside cos(s, z) with weight 1."""
LOCATION_WEIGHT = "location_weight"
"""The metric that names the best of them."""
_FOUND, _WITHIN_M = 10, 200.0
"""What weights are compared by: recall among so many, within so far."""


@dataclass(frozen=True)
class ValidationOptions:
    """What is validated and how."""

    photos: int = 1000
    """Most photos that are searched for."""
    seed: int = 0
    """Chooses them, and the date of each footprint's frame."""
    mode: QueryMode = "nili"
    """How a token map is read at a cell."""
    autocast: torch.dtype | None = None
    """Arithmetic of the towers; None is float32."""
    locations: bool = True
    """Whether the location encoder is tried; where no loss trains it, its weight is 0."""
    quiet: bool = False
    """No progress."""

    @classmethod
    def of(cls, config: PretrainConfig) -> ValidationOptions:
        """The part of a run's configuration that is about validation."""
        autocast = torch.bfloat16 if config.autocast == "bf16" else None
        locations = config.losses != "incl"
        return cls(config.validation_photos, config.seed, config.rs_query, autocast, locations)


class Validator:
    """Searches for the same photos among the same cells each time it is called."""

    def __init__(self, dataset: ShardedDataset, options: ValidationOptions) -> None:
        self.dataset = dataset
        self.options = options
        rng = np.random.default_rng([options.seed, 7])
        count = len(dataset.lonlat_deg)
        chosen = rng.choice(count, size=min(options.photos, count), replace=False)
        self.photos = np.sort(chosen)  # photos that lie together are read together
        self.date_of_footprint = [int(rng.integers(len(dates))) for dates in dataset.dates]
        self.cell_lonlat_deg = np.concatenate(
            [footprint.lonlat_deg(inner_grid()) for footprint in dataset.footprints]
        )  # (C, 2)

    def __call__(self, model: Gair) -> dict[str, float]:
        """Metrics by name, see :func:`training.retrieval.retrieval_metrics`."""
        truth = self.dataset.lonlat_deg[self.photos]
        images = len(self.photos) + len(self.dataset.footprints)
        with Progress("validation", images, "image", quiet=self.options.quiet) as progress:
            cells = self._cell_vectors(model, progress)
            photos = self._photo_vectors(model, progress)
        distances_m = nearest_first_distances(
            photos, cells, truth, self.cell_lonlat_deg, max(KS), seed=self.options.seed
        )
        metrics = retrieval_metrics(distances_m, truth, self.cell_lonlat_deg)
        return metrics | self._location_metrics(model, photos, cells, metrics)

    def _location_metrics(
        self, model: Gair, photos: Vectors, cells: Vectors, metrics: Mapping[str, float]
    ) -> dict[str, float]:
        """Recall of the location encoder, alone and beside imagery, and the best weight of it."""
        recall = recall_name(_FOUND, _WITHIN_M)
        by_weight = {0.0: metrics[recall]}
        measured: dict[str, float] = {}
        if self.options.locations:
            places = self._location_vectors(model)
            measured[f"{recall}_location_only"] = self._recall(photos, places)
            for weight in LOCATION_WEIGHTS[1:]:
                # s z + w s e is one inner product, of (s, s) and (z, w e).
                both = np.concatenate([cells, np.float32(weight) * places], axis=1)
                by_weight[weight] = self._recall(np.tile(photos, 2), both)
                measured[f"{recall}_location_weight_{weight:g}"] = by_weight[weight]
        best = max(by_weight, key=lambda weight: (by_weight[weight], -weight))
        return {**measured, LOCATION_WEIGHT: best}

    def _recall(self, photos: Vectors, cells: Vectors) -> float:
        truth, places = self.dataset.lonlat_deg[self.photos], self.cell_lonlat_deg
        few = min(_FOUND, len(places))
        distances_m = nearest_first_distances(
            photos, cells, truth, places, few, seed=self.options.seed
        )
        return float((np.nan_to_num(distances_m, nan=np.inf).min(axis=1) <= _WITHIN_M).mean())

    def _location_vectors(self, model: Gair) -> Vectors:
        """The location embedding e at every cell: (C, D)."""
        vectors = []
        with torch.inference_mode():
            for start in range(0, len(self.cell_lonlat_deg), LOCATIONS_AT_ONCE):
                block = self.cell_lonlat_deg[start : start + LOCATIONS_AT_ONCE]
                e = model.encode_location(torch.from_numpy(block).to(model.device))
                vectors.append(e.float().cpu().numpy())
        return np.concatenate(vectors)

    def _cell_vectors(self, model: Gair, progress: Progress) -> Vectors:
        """The imagery embedding z at every cell: (C, D)."""
        grid = torch.from_numpy(inner_grid())
        vectors = []
        for footprints in _batches(range(len(self.dataset.footprints))):
            dn = [self.dataset.frame_dn(f, self.date_of_footprint[f]) for f in footprints]
            side = model.config.rs_frame_px
            pixels = torch.cat([remote_sensing_pixels(frame[None], side) for frame in dn])
            with torch.inference_mode():
                with self._autocast(model):
                    tokens = model.encode_remote_sensing(pixels.to(model.device))
                xy = grid.to(model.device)[None].expand(len(footprints), -1, -1)
                z = model.localize(tokens.float(), xy, mode=self.options.mode)
            vectors.append(z.flatten(0, 1).cpu().numpy())  # (footprints, cells, D) to (-1, D)
            progress.advance(len(footprints))
        return np.concatenate(vectors)

    def _photo_vectors(self, model: Gair, progress: Progress) -> Vectors:
        """The embedding s of every chosen photo: (P, D), NaN where one cannot be decoded."""
        side = model.config.sv_image_px
        vectors = np.full((len(self.photos), model.config.dim), np.nan, dtype=np.float32)
        for rows in _batches(range(len(self.photos))):
            decoded: dict[int, Bytes] = {}
            for row in rows:
                with contextlib.suppress(PhotoError):
                    photo = open_photo(self.dataset.photo_jpeg(int(self.photos[row])))
                    decoded[row] = np.asarray(photo.rgb)
            if decoded:
                pixels = street_view_pixels(list(decoded.values()), side)
                with torch.inference_mode(), self._autocast(model):
                    s = model.encode_street_view(pixels.to(model.device))
                vectors[list(decoded)] = s.float().cpu().numpy()
            progress.advance(len(rows))
        return vectors

    def _autocast(self, model: Gair) -> torch.autocast:
        dtype = self.options.autocast
        return torch.autocast(model.device.type, dtype, enabled=dtype is not None)


def inner_grid() -> Floats:
    """Frame coordinates of the cells of a footprint: an even grid over its inner part, (N, 2)."""
    spacing = 2 / GRID_PER_SIDE
    count = round(INNER_SHARE * GRID_PER_SIDE)
    along = (np.arange(count) - (count - 1) / 2) * spacing
    x, y = np.meshgrid(along, along)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def goodness(metrics: Mapping[str, float]) -> tuple[float, float]:
    """What the best weights are chosen by; larger is better.

    Recall among ten within 200 m, which is what a user sees as a list of candidates; of equals the
    one with the smaller median error, which still moves when no photo is found yet.
    """
    return metrics[recall_name(10, 200.0)], -metrics["median_error_m"]


def summary(metrics: Mapping[str, float]) -> str:
    """Metrics on one line, for people."""
    name = recall_name(10, 200.0)
    weight = metrics[LOCATION_WEIGHT]
    return (
        f"validation at step {metrics['step']:.0f}: recall@10 within 200 m "
        f"{metrics[name]:.1%} (chance {metrics['chance_' + name]:.1%}), median error "
        f"{metrics['median_error_m']:,.0f} m (chance {metrics['chance_median_error_m']:,.0f} m), "
        f"best weight of locations {weight:g}"
    )


def _batches(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[a : a + IMAGES_AT_ONCE] for a in range(0, len(numbers), IMAGES_AT_ONCE)]
