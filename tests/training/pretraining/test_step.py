"""One step: its losses, its gradients in one piece and in chunks, and every switch."""

from __future__ import annotations

import math
from typing import Any, Literal, cast

import pytest
import torch
from batch_loss import gair_loss
from micro_training import (
    ALONE,
    Case,
    filled_queue,
    micro_batch,
    micro_model,
    objective_of,
    run_case,
)

from gair.errors import UsageError
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.optim import make_optimizer
from training.pretraining.step import LocationQueue, train_step


@pytest.mark.parametrize("in_batch", [False, True])
def test_the_loss_is_the_papers_of_what_the_model_says(in_batch: bool) -> None:
    """Through the model's public methods, photo by photo, and the losses as functions."""
    model, batch, queue = micro_model(), micro_batch(), filled_queue()
    with torch.no_grad():
        token_maps = model.encode_remote_sensing(batch.frames)
        z = [
            model.localize(token_maps[frame][None], xy[None, None])[0, 0]
            for frame, xy in zip(batch.frame_of_photo, batch.xy, strict=True)
        ]
        wanted = gair_loss(
            model.encode_street_view(batch.photos),
            torch.stack(z),
            model.encode_location(batch.lonlat_deg.float()),
            model.encode_location(queue.lonlat_deg.float()),
            in_batch_locations=in_batch,
        )
    options = ObjectiveOptions(in_batch_locations=in_batch)
    losses = train_step(Objective(model, options), batch, queue, ALONE).floats()
    for name in ("total", "incl", "secl_sv", "secl_rs"):
        assert losses[name] == pytest.approx(float(getattr(wanted, name)), rel=1e-4), name
    assert losses["temperature"] == pytest.approx(0.07)


def test_untrained_at_equal_embeddings_costs_what_the_formula_says() -> None:
    model = micro_model()
    with torch.no_grad():
        for layer in (
            model.street_view.projection,
            model.inr.first,
            *(cast(Any, capsule).head for capsule in model.location.capsules),
        ):
            layer.weight.zero_()
            layer.bias.fill_(1.0)
    queue = LocationQueue(4096)
    queue.push(torch.rand(4096, 2) * 80)
    options = ObjectiveOptions()
    batch = micro_batch((2,) * 128)
    losses = train_step(Objective(model, options), batch, queue, ALONE).floats()
    assert losses["total"] == pytest.approx((2 * math.log(256) + 2 * math.log(4097)) / 2, rel=1e-5)
    assert losses["total"] == pytest.approx(13.86, abs=0.005)


SWITCHES = {
    "paper": ObjectiveOptions(),
    "all on": ObjectiveOptions(
        in_batch_locations=True, learnable_temperature=True, distill_weight=0.3
    ),
    "incl": ObjectiveOptions(losses="incl"),
    "secl, mean": ObjectiveOptions(losses="secl", rs_query="mean"),
    "bicubic": ObjectiveOptions(rs_query="bicubic"),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", SWITCHES.values(), ids=SWITCHES)
def test_chunks_change_neither_loss_nor_gradients(
    options: ObjectiveOptions, dtype: torch.dtype
) -> None:
    """Four chunks of two photos; two frames lie in two chunks."""
    tolerance = 1e-5 if dtype == torch.float32 else 1e-11
    whole = run_case(Case(options, dtype))
    for chunks in (3, 4):
        parts = run_case(Case(options, dtype, chunks))
        assert parts.losses == pytest.approx(whole.losses, rel=tolerance)
        assert parts.gradients.keys() == whole.gradients.keys()
        for name, gradient in whole.gradients.items():
            scale = max(1.0, float(gradient.abs().max()))
            assert (parts.gradients[name] - gradient).abs().max() <= tolerance * scale, name


def test_plain_accumulation_is_another_loss() -> None:
    """What chunks are for: the mean over small batches has fewer negatives."""
    options = ObjectiveOptions(losses="incl")
    case = Case(options, torch.float64)
    whole = run_case(case, steps=1)
    objective = objective_of(case)
    totals, gradient = [], torch.zeros(())
    batch = micro_batch(dtype=torch.float64)
    for half in ((slice(0, 4), slice(0, 2)), (slice(4, 8), slice(2, 4))):
        rows, frames = half
        piece = type(batch)(
            batch.photos[rows],
            batch.frames[frames],
            batch.frame_of_photo[rows] - frames.start,
            batch.xy[rows],
            batch.lonlat_deg[rows],
            batch.photo_index[rows],
            0,
            0,
        )
        totals.append(train_step(objective, piece, filled_queue(), ALONE).floats()["total"])
        projection = objective.model.street_view.projection.weight.grad
        assert projection is not None
        gradient = gradient + projection / 2
    assert sum(totals) / 2 < whole.losses["total"] - 0.1
    wanted = whole.gradients["model.street_view.projection.weight"]
    assert not torch.allclose(gradient, wanted, rtol=0.1)


@pytest.mark.parametrize(
    ("losses", "rs_query", "without"),
    [
        ("both", "nili", ()),
        ("incl", "nili", ("location.",)),
        ("secl", "bilinear", ("inr.",)),
        ("both", "mean", ("inr.",)),
        ("incl", "bicubic", ("inr.", "location.")),
    ],
)
def test_what_a_switch_turns_off_gets_no_gradient_and_stays(
    losses: Literal["both", "incl", "secl"],
    rs_query: Literal["nili", "bilinear", "bicubic", "mean"],
    without: tuple[str, ...],
) -> None:
    options = ObjectiveOptions(losses=losses, rs_query=rs_query)
    objective, queue = Objective(micro_model(), options), filled_queue()
    optimizer = make_optimizer(objective, lr=1e-3, weight_decay=0.1)
    before = {name: p.detach().clone() for name, p in objective.model.named_parameters()}
    measured = train_step(objective, micro_batch(), queue, ALONE)
    optimizer.step()
    assert ("incl" in measured.terms) == (losses != "secl")
    assert ("secl_rs" in measured.terms) == (losses != "incl")
    half_of_terms = sum(float(term) for term in measured.terms.values()) / 2
    assert float(measured.total) == pytest.approx(half_of_terms)
    for name, parameter in objective.model.named_parameters():
        off = name.startswith(without) if without else False
        assert (parameter.grad is None) == off, name
        assert torch.equal(parameter, before[name]) == off, name


def test_earlier_gradients_are_dropped() -> None:
    options = ObjectiveOptions(losses="incl")
    objective, batch = objective_of(Case(options)), micro_batch(dtype=torch.float64)
    seen = []
    for _ in range(2):
        train_step(objective, batch, filled_queue(), ALONE)
        gradient = objective.model.street_view.projection.weight.grad
        assert gradient is not None
        seen.append(gradient.clone())
    assert torch.equal(*seen)


def test_the_queue_is_filled_after_the_loss() -> None:
    options = ObjectiveOptions(losses="secl")
    objective, queue, batch = Objective(micro_model(), options), LocationQueue(10), micro_batch()
    first = train_step(objective, batch, queue, ALONE)
    assert float(first.total) == 0.0  # no negatives yet, and the own location is none
    assert torch.equal(queue.lonlat_deg, batch.lonlat_deg)
    second = train_step(objective, micro_batch(seed=1), queue, ALONE)
    assert float(second.total) > 0.0
    assert len(queue) == 10


def test_the_queues_encoding_is_differentiated() -> None:
    """Each negative pulls at the location encoder, not only the positives."""
    options = ObjectiveOptions(losses="secl")
    objective = objective_of(Case(options))
    batch, queue = micro_batch(dtype=torch.float64), filled_queue()
    train_step(objective, batch, queue, ALONE)
    head = cast(Any, objective.model.location.capsules[0]).head.weight
    at, step = (3, 5), 1e-6
    slope = float(head.grad[at])
    totals = []
    for sign in (1, -1):
        with torch.no_grad():
            head[at] += sign * step
        totals.append(float(train_step(objective, batch, filled_queue(), ALONE).total))
        with torch.no_grad():
            head[at] -= sign * step
    assert slope == pytest.approx((totals[0] - totals[1]) / (2 * step), rel=1e-5)


def test_half_precision_stays_near_and_losses_are_single() -> None:
    options = ObjectiveOptions(in_batch_locations=True)
    batch = micro_batch()
    exact, half = Objective(micro_model(), options), Objective(micro_model(), options)
    wanted = train_step(exact, batch, filled_queue(), ALONE)
    for chunks in (1, 2):
        losses = train_step(
            half, batch, filled_queue(), ALONE, chunks=chunks, autocast=torch.bfloat16
        )
        assert losses.total.dtype == torch.float32
        assert float(losses.total) != float(wanted.total)
        assert float(losses.total) == pytest.approx(float(wanted.total), rel=0.02)
        for name, parameter in half.named_parameters():
            if parameter.requires_grad:
                gradient, near = parameter.grad, exact.get_parameter(name).grad
                assert gradient is not None
                assert near is not None
                assert gradient.dtype == torch.float32
                cosine = torch.cosine_similarity(gradient.flatten(), near.flatten(), dim=0)
                assert float(cosine) > 0.97, name


def test_impossible_steps_are_refused() -> None:
    options = ObjectiveOptions()
    objective, batch, queue = Objective(micro_model(), options), micro_batch(), filled_queue()
    for chunks in (0, 9):
        with pytest.raises(UsageError, match=f"chunks is {chunks}: a rank has 8 photos"):
            train_step(objective, batch, queue, ALONE, chunks=chunks)
    with pytest.raises(UsageError, match="float16 would need loss scaling: use bfloat16"):
        train_step(objective, batch, queue, ALONE, autocast=torch.float16)
    assert len(queue) == 7
