"""The start by canonical correlation: the best there is among linear maps, and where it goes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from micro_training import CONV_STEM, micro_batch, micro_model
from torch import Tensor

from gair.errors import UsageError
from training.dataset.batches.batch import Batch
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.warm_start import canonical_maps, warm_start


def two_views(count: int = 4000) -> tuple[Tensor, Tensor]:
    """Views of 5 and 4 numbers that share two hidden ones, one of them noisily."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    hidden = normal(count, 2)
    x = hidden @ normal(2, 5) + 0.3 * normal(count, 5)
    y = (hidden + torch.tensor([0.0, 1.0]) * normal(count, 2)) @ normal(2, 4) + 0.1 * normal(
        count, 4
    )
    return x - x.mean(0), y - y.mean(0)


def test_canonical_maps_find_what_is_shared() -> None:
    x, y = two_views()
    to_x, to_y, correlations = canonical_maps(x, y)
    assert to_x.shape == (4, 5)
    assert to_y.shape == (4, 4)
    assert (correlations[:-1] >= correlations[1:]).all()
    assert correlations[0] > 0.9
    assert correlations[2] < 0.15
    along_x, along_y = x @ to_x.T, y @ to_y.T
    measured = torch.corrcoef(torch.stack([along_x[:, 0], along_y[:, 0]]))[0, 1]
    assert measured > 0.9
    # No other pair of directions agrees better.
    generator = torch.Generator().manual_seed(1)
    for _ in range(200):
        a = torch.randn(5, generator=generator, dtype=torch.float64)
        b = torch.randn(4, generator=generator, dtype=torch.float64)
        assert torch.corrcoef(torch.stack([x @ a, y @ b]))[0, 1] <= measured + 1e-3


def shared_batches(count: int = 12) -> list[Batch]:
    """Batches whose photos have the brightness of their frame: something to agree on."""
    batches = []
    for seed in range(count):
        batch = micro_batch((4, 4, 4, 4), seed=seed)
        level = torch.linspace(-2, 2, 4)[
            torch.randperm(4, generator=torch.Generator().manual_seed(seed))
        ]
        photos = 0.3 * batch.photos + level[batch.frame_of_photo, None, None, None]
        frames = 0.3 * batch.frames + level[:, None, None, None]
        batches.append(dataclasses.replace(batch, photos=photos, frames=frames))
    return batches


def textured_batches(count: int) -> list[Batch]:
    """Batches whose photos have the texture of their frame, which convolutions see."""
    wave = torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(8)
    across, down = wave.expand(32, 32), wave[:, None].expand(32, 32)
    textures = torch.stack([across, down, across * down, torch.zeros(32, 32)])
    batches = []
    for seed in range(count):
        batch = micro_batch((4, 4, 4, 4), seed=seed)
        kind = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
        photos = 0.3 * batch.photos + textures[kind[batch.frame_of_photo], None]
        frames = 0.3 * batch.frames + textures[kind, None]
        batches.append(dataclasses.replace(batch, photos=photos, frames=frames))
    return batches


def agreement(objective: Objective, batch: Batch) -> float:
    """How often a photo's nearest imagery is that of its own frame."""
    with torch.no_grad():
        embeddings = objective.embed(batch)
    s, z = (torch.nn.functional.normalize(v, dim=-1) for v in (embeddings.s, embeddings.z))
    best = (s @ z.T).argmax(1)
    return float((batch.frame_of_photo[best] == batch.frame_of_photo).float().mean())


@pytest.mark.parametrize("rs_query", ["nili", "bilinear", "mean"])
def test_photos_find_their_frames_before_the_first_step(rs_query: str) -> None:
    objective = Objective(micro_model(), ObjectiveOptions(rs_query=rs_query))  # type: ignore[arg-type]
    batches = shared_batches()
    held_out = shared_batches(13)[-1]
    before = agreement(objective, held_out)
    correlations = warm_start(objective, batches, 16 * 12)
    assert correlations[0] > 0.9
    assert agreement(objective, held_out) > max(0.5, before)


def test_it_works_for_convolutional_towers() -> None:
    objective = Objective(micro_model(**CONV_STEM), ObjectiveOptions())
    *batches, held_out = textured_batches(13)
    before = agreement(objective, held_out)
    correlations = warm_start(objective, batches, 16 * 12)
    assert correlations[0] > 0.75
    assert agreement(objective, held_out) > max(0.6, before)


def test_embeddings_are_centred_and_the_neighbours_are_silent() -> None:
    objective = Objective(micro_model(), ObjectiveOptions())
    warm_start(objective, shared_batches(), 16 * 12)
    with torch.no_grad():
        embeddings = objective.embed(shared_batches()[0])
    assert embeddings.s.mean(0).norm() < 0.5 * embeddings.s.norm(dim=1).mean()
    taps = objective.model.inr.decoder.weight[:, :-2].unflatten(1, (16, 9))
    assert taps[..., 4].abs().sum() > 0
    assert not taps[..., [0, 1, 2, 3, 5, 6, 7, 8]].any()
    assert not objective.model.inr.decoder.weight[:, -2:].any()


def test_only_as_many_photos_are_read_as_wanted() -> None:
    objective = Objective(micro_model(), ObjectiveOptions())
    batches = iter(shared_batches())
    warm_start(objective, batches, 40)  # three batches of 16
    assert len(list(batches)) == 9


def test_a_decoder_that_is_not_affine_is_refused() -> None:
    objective = Objective(micro_model(inr_hidden=(8,)), ObjectiveOptions())
    with pytest.raises(UsageError, match="affine"):
        warm_start(objective, shared_batches(), 32)
