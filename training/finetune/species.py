"""Species prior: P(class | image) times P(class | location), as TorchSpatial measures it.

Mac Aodha et al. (https://arxiv.org/abs/1906.05272): a classifier of images, given here as its
probabilities, is multiplied by what the place says. The prior is a linear map on the location
encoder, taught by where classes were seen: every class that was not is a weak negative, and so is
every class at a random place of the globe. Where a test photo has no place, the image decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from gair.arrays import Floats, Floats32, Ints
from gair.errors import DatasetError
from training.finetune import metrics
from training.finetune.encoders.encoder import Encoder
from training.finetune.fitting import Budget, fit, hold_out
from training.finetune.supervised import Head
from training.finetune.tasks import Mode

_AT_ONCE = 1024
CHOOSE_SHARE = 0.1
"""Share of the sightings that choices are made on."""


@dataclass(frozen=True)
class PriorData:
    """Where classes were seen, and what an image classifier says of the test photos."""

    classes: int
    train_lonlat_deg: Floats
    """(N, 2)."""
    train_labels: Ints
    test_lonlat_deg: Floats
    """(M, 2); NaN where a photo has no place."""
    test_labels: Ints
    test_probabilities: Floats32
    """(M, C) P(class | image)."""

    def __post_init__(self) -> None:
        wanted = (len(self.test_labels), self.classes)
        if self.test_probabilities.shape != wanted:
            raise DatasetError(
                f"the image classifier's predictions have shape {self.test_probabilities.shape}; "
                f"expected {wanted}"
            )
        if len(self.train_labels) != len(self.train_lonlat_deg):
            raise DatasetError(
                f"{len(self.train_lonlat_deg)} places have {len(self.train_labels)} labels"
            )


def run(
    make: Callable[[int], Encoder[Floats]],
    data: PriorData,
    mode: Mode,
    budget: Budget,
    seeds: Sequence[int],
    *,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, float]]:
    """Top-1 and top-3 with the prior, for each seed; with ``probe`` the encoder is frozen."""
    results = []
    for seed in seeds:
        encoder = make(seed if mode == "finetune" else 0)
        head = Head(encoder, data.classes, seed)
        if mode == "probe":
            encoder.module.requires_grad_(False)
        _fit(encoder, head, data, budget, seed, advance)
        results.append(image_times_place(data, _place_probabilities(encoder, head, data)))
    return results


def image_only(data: PriorData) -> dict[str, float]:
    """What the image classifier reaches without a prior."""
    return image_times_place(data, np.ones_like(data.test_probabilities))


def image_times_place(data: PriorData, place: npt.NDArray[np.floating]) -> dict[str, float]:
    """The scores of the product; (M, C) P(class | location)."""
    product = np.nan_to_num(place, nan=1.0)
    product *= data.test_probabilities  # in place: of 100,000 photos each array has 2 GB
    return {k: metrics.top_k(data.test_labels, product, n) for k, n in (("top-1", 1), ("top-3", 3))}


def presence_loss(seen: Tensor, labels: Tensor, anywhere: Tensor) -> Tensor:
    """Mac Aodha et al., equation 3: classes seen at a place count as many times as there are.

    Args:
        seen: (B, C) scores at places where ``labels`` were seen.
        labels: (B,).
        anywhere: (B, C) scores at random places of the globe.
    """
    classes = seen.shape[1]
    here = F.one_hot(labels, classes).to(seen.dtype)
    # (B, C): the one class that was seen counts C times, each of the others once.
    weight = 1 + (classes - 1) * here
    at_place = F.binary_cross_entropy_with_logits(seen, here, weight=weight)
    background = F.binary_cross_entropy_with_logits(anywhere, torch.zeros_like(anywhere))
    return at_place + background


def random_places(count: int, rng: np.random.Generator) -> Floats:
    """(count, 2) degrees, even over the sphere."""
    # The area north of a latitude goes with its sine (Archimedes), so the sine is uniform.
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    return np.stack([rng.uniform(-180, 180, count), lat], axis=1)


def _fit(
    encoder: Encoder[Floats],
    head: Head,
    data: PriorData,
    budget: Budget,
    seed: int,
    advance: Callable[[int], None],
) -> None:
    rng = np.random.default_rng([seed, 37])
    fitted, aside = hold_out(len(data.train_labels), CHOOSE_SHARE, seed)
    labels = torch.from_numpy(np.asarray(data.train_labels, dtype=np.int64))

    def out(places: Floats) -> Tensor:
        scores: Tensor = head.linear(encoder.encode(encoder.prepare(places)))
        return scores

    def loss_of(rows: Ints) -> Tensor:
        chosen = fitted[rows]
        seen = out(data.train_lonlat_deg[chosen])
        return presence_loss(seen, labels[chosen], out(random_places(len(rows), rng)))

    def score() -> float:
        with torch.inference_mode():
            return -float(F.cross_entropy(out(data.train_lonlat_deg[aside]), labels[aside]))

    fit(head, loss_of, len(fitted), budget, seed=seed, score=score, advance=advance)


def _place_probabilities(encoder: Encoder[Floats], head: Head, data: PriorData) -> Floats32:
    """(M, C) P(class | location), up to a factor; NaN where there is no place."""
    probabilities = np.full(data.test_probabilities.shape, np.nan, dtype=np.float32)
    with_place = np.flatnonzero(np.isfinite(data.test_lonlat_deg).all(axis=1))
    with torch.inference_mode():
        for start in range(0, len(with_place), _AT_ONCE):
            rows = with_place[start : start + _AT_ONCE]
            out = head.linear(encoder.encode(encoder.prepare(data.test_lonlat_deg[rows])))
            probabilities[rows] = out.sigmoid().numpy()
    return probabilities
