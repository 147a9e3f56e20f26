"""Embeddings of a batch against the model's public methods; the temperature; the teachers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from micro_training import ALONE, filled_queue, micro_batch, micro_model
from torch.nn import functional as F

from gair.config import QueryMode
from gair.encoders.inr import interpolate_tokens
from gair.errors import UsageError
from training.pretraining.objective import Objective, ObjectiveOptions, interpolate_at_points
from training.pretraining.optim import make_optimizer
from training.pretraining.step import train_step

DISTILLED = ObjectiveOptions(distill_weight=0.2)


@pytest.mark.parametrize("hidden", [(), (8, 8)], ids=["affine", "mlp"])
@pytest.mark.parametrize("mode", get_args(QueryMode))
def test_embeddings_equal_the_models_own_photo_by_photo(
    mode: QueryMode, hidden: tuple[int, ...]
) -> None:
    model = micro_model(inr_hidden=hidden).double()
    batch = micro_batch(dtype=torch.float64)
    made = Objective(model, ObjectiveOptions(rs_query=mode)).embed(batch)
    token_maps = model.encode_remote_sensing(batch.frames)
    z = [
        model.localize(
            token_maps[frame][None],
            xy[None, None],
            mode=mode,
            form="general" if hidden else "dense",
            normalize=False,
        )[0, 0]
        for frame, xy in zip(batch.frame_of_photo, batch.xy, strict=True)
    ]
    torch.testing.assert_close(made.z, torch.stack(z))
    torch.testing.assert_close(made.s, model.encode_street_view(batch.photos, normalize=False))
    torch.testing.assert_close(made.l, model.encode_location(batch.lonlat_deg, normalize=False))
    assert made.g is None
    assert made.f is None


def test_gradients_reach_the_tokens_as_they_do_through_the_dense_form() -> None:
    model = micro_model().double()
    batch = micro_batch((3,), dtype=torch.float64)
    for form in ("points", "dense"):
        model.zero_grad()
        if form == "points":
            z = Objective(model, ObjectiveOptions()).embed(batch).z
        else:
            token_maps = model.encode_remote_sensing(batch.frames)
            z = model.localize(token_maps, batch.xy[None], form="dense", normalize=False)[0]
        z.square().sum().backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        if form == "points":
            wanted = gradients
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted[name], msg=name)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 2)])
def test_flat_interpolation_equals_grid_sample(mode: str, grid: tuple[int, int]) -> None:
    token_maps = torch.randn(2, *grid, 6, dtype=torch.float64)
    frame = torch.tensor([0] * 30 + [1] * 34)
    edges = torch.cartesian_prod(*(torch.tensor([-1.0, 1.0, 0.99, 0.0]).double(),) * 2)
    xy = torch.cat([torch.rand(48, 2, dtype=torch.float64) * 2 - 1, edges])
    interpolated = interpolate_at_points(token_maps, frame, xy, mode)  # type: ignore[arg-type]
    wanted = interpolate_tokens(token_maps, xy.expand(2, -1, -1), mode)  # type: ignore[arg-type]
    torch.testing.assert_close(interpolated, wanted[frame, torch.arange(64)])


def test_embeddings_survive_half_precision() -> None:
    objective = Objective(micro_model(location_sigmas=(256.0,)), DISTILLED)
    batch = micro_batch()
    with torch.no_grad():
        exact = objective.embed(batch)
        with torch.autocast("cpu", torch.bfloat16):
            half = objective.embed(batch)
    for rounded, wanted in zip(half.tensors(), exact.tensors(), strict=True):
        assert rounded.dtype == torch.float32
        assert float(F.cosine_similarity(rounded, wanted).min()) > 0.99


def test_a_learnable_temperature_learns_within_its_range() -> None:
    options = ObjectiveOptions(learnable_temperature=True, temperature=0.5)
    objective = Objective(micro_model(), options)
    optimizer = make_optimizer(objective, lr=0.3)
    seen = []
    for _ in range(4):
        losses = train_step(objective, micro_batch(), filled_queue(), ALONE)
        seen.append(float(losses.temperature))
        optimizer.step()
        objective.clamp_temperature()
    assert seen[0] == pytest.approx(0.5)
    assert len(set(seen)) == 4
    for raw, kept in ((math.log(5.0), 1.0), (math.log(1e-4), 0.01)):
        with torch.no_grad():
            objective.log_temperature.fill_(raw)
        objective.clamp_temperature()
        assert float(objective.temperature.detach()) == pytest.approx(kept)


def test_a_fixed_temperature_is_not_trained_or_clamped() -> None:
    objective = Objective(micro_model(), ObjectiveOptions(temperature=0.005))
    train_step(objective, micro_batch(), filled_queue(), ALONE)
    assert objective.log_temperature.grad is None
    objective.clamp_temperature()
    assert float(objective.temperature.detach()) == pytest.approx(0.005)
    with pytest.raises(UsageError, match=r"temperature is 0.005: a learnable one starts from 0.01"):
        Objective(micro_model(), ObjectiveOptions(temperature=0.005, learnable_temperature=True))


def test_teachers_are_the_initial_towers_and_never_change() -> None:
    objective = Objective(micro_model(), DISTILLED)
    before = {n: t.clone() for n, t in objective.teachers.state_dict().items()}
    optimizer = make_optimizer(objective, lr=1e-2)
    terms = []
    for seed in range(3):
        losses = train_step(objective, micro_batch(seed=seed), filled_queue(), ALONE)
        assert all(p.grad is None for p in objective.teachers.parameters())
        assert not any(p.requires_grad for p in objective.teachers.parameters())
        contrast = sum(float(losses.terms[name]) for name in ("incl", "secl_sv", "secl_rs"))
        distilled = [float(losses.terms[name]) for name in ("distill_sv", "distill_rs")]
        assert float(losses.total) == pytest.approx(contrast / 2 + 0.2 * sum(distilled), rel=1e-5)
        terms.append(distilled)
        optimizer.step()
    assert terms[0] == pytest.approx([-1.0, -1.0])  # still equal to the teachers
    assert min(terms[-1]) > -0.9999
    for name, tensor in objective.teachers.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(n.startswith("teachers") for n, _ in objective.model.named_parameters())
    assert not Objective(micro_model(), ObjectiveOptions()).teachers


@pytest.mark.parametrize("options", [ObjectiveOptions(), DISTILLED], ids=["plain", "distilled"])
def test_recomputed_activations_change_no_gradient(options: ObjectiveOptions) -> None:
    plain = Objective(micro_model(), options)
    frugal = Objective(micro_model(), options, checkpoint_activations=True)
    copied = copy.deepcopy(frugal)
    for objective in (plain, frugal, copied):
        train_step(objective, micro_batch(), filled_queue(), ALONE)
    for name, parameter in plain.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(frugal.get_parameter(name).grad, parameter.grad)
            torch.testing.assert_close(copied.get_parameter(name).grad, parameter.grad)
    assert frugal.state_dict().keys() == plain.state_dict().keys()


def test_recomputed_activations_are_not_kept() -> None:
    frugal = Objective(micro_model(), ObjectiveOptions(), checkpoint_activations=True).model
    photos, frames = torch.zeros(1, 3, 32, 32), torch.zeros(1, 10, 32, 32)
    assert kept_by(lambda: frugal.street_view(photos)) < kept_by(
        lambda: micro_model().street_view(photos)
    )
    assert kept_by(lambda: frugal.remote_sensing(frames)) < kept_by(
        lambda: micro_model().remote_sensing(frames)
    )


def kept_by(run: Callable[[], torch.Tensor]) -> int:
    """Elements of activations that wait for the backward pass."""
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += 0 if isinstance(tensor, torch.nn.Parameter) else tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        run()
    return kept
