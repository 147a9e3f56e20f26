"""Near places as negatives: distances, masks in a step, and what the location losses may train."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from batch_loss import gair_loss
from micro_training import ALONE, filled_queue, micro_batch, micro_model
from torch import Tensor

from gair.geo import haversine_m
from gair.losses import incl, secl
from training.dataset.batches.batch import Batch
from training.pretraining.negatives import farther_than
from training.pretraining.objective import Embeddings, Objective, ObjectiveOptions
from training.pretraining.step import LocationQueue, train_step


@pytest.mark.parametrize("radius_m", [0.01, 100.0, 5e6, 3e7])
def test_distances_are_those_along_the_great_circle(radius_m: float) -> None:
    generator = np.random.default_rng(0)
    a = generator.uniform([-180, -90], [180, 90], (40, 2))
    a[:4] = [[180, 10], [-180, 10], [0, 90], [77, 90]]
    b = np.concatenate([a, a + generator.normal(0, 1e-3, a.shape).clip(-1, 0)])
    b[:, 1] = b[:, 1].clip(-90, 90)
    wanted = haversine_m(a[:, None], b[None]) > radius_m
    assert np.array_equal(
        farther_than(torch.from_numpy(a), torch.from_numpy(b), radius_m).numpy(), wanted
    )
    if radius_m < 3e7:  # more than half around the world nothing is
        assert 0 < wanted.mean() < 1
    assert not wanted[0, 1]
    assert not wanted[2, 3]


@pytest.mark.parametrize("away", [99.9, 100.1])
@pytest.mark.parametrize("lonlat", [(12.0, 51.0), (180.0, -60.0)])
def test_a_radius_is_right_to_a_decimetre(lonlat: tuple[float, float], away: float) -> None:
    place = torch.tensor([lonlat], dtype=torch.float64)
    north = place + torch.tensor([0.0, np.degrees(away / 6371008.8)], dtype=torch.float64)
    assert bool(farther_than(place, north, 100.0)) == (away > 100)


def near_batch(seed: int = 0) -> Batch:
    """Eight photos in a street, 60 m apart."""
    step = np.degrees(60 / 6371008.8)
    lonlat = torch.tensor([[10.0, 50 + step * n] for n in range(8)], dtype=torch.float64)
    batch = micro_batch(seed=seed, dtype=torch.float64)
    return dataclasses.replace(batch, lonlat_deg=lonlat)


def queue_in_the_street() -> LocationQueue:
    queue = filled_queue()
    queue.push(near_batch().lonlat_deg[2:5])
    return queue


def embedded(objective: Objective, batch: Batch) -> Embeddings:
    with torch.no_grad():
        return objective.embed(batch)


@pytest.mark.parametrize("radius_m", [0.0, 100.0])
@pytest.mark.parametrize("in_batch", [False, True])
def test_a_step_leaves_near_places_out_of_both_losses(radius_m: float, in_batch: bool) -> None:
    options = ObjectiveOptions(mask_near_m=radius_m, in_batch_locations=in_batch)
    objective, batch = Objective(micro_model(), options).double(), near_batch()
    queue = queue_in_the_street()
    made = embedded(objective, batch)
    with torch.no_grad():
        negatives = objective.model.encode_location(queue.lonlat_deg, normalize=False)

    def far(places: Tensor, least_m: float) -> Tensor:
        return torch.from_numpy(
            haversine_m(batch.lonlat_deg.numpy()[:, None], places.numpy()[None]) > least_m
        )

    beside = far(batch.lonlat_deg, max(radius_m, 0.01))
    assert int((~beside).sum()) == (8 if not radius_m else 8 + 2 * 7)
    wanted = {
        "incl": incl(made.s, made.z, negatives_valid=beside if radius_m else None),
        **{
            name: secl(
                anchors,
                made.l,
                negatives,
                negatives_valid=far(queue.lonlat_deg, max(radius_m, 0.01)),
                in_batch=in_batch,
                in_batch_valid=beside,
            )
            for name, anchors in (("secl_sv", made.s), ("secl_rs", made.z))
        },
    }
    losses = train_step(objective, batch, queue, ALONE).floats()
    for name, term in wanted.items():
        assert losses[name] == pytest.approx(float(term), rel=1e-6), name


def test_a_queue_larger_than_the_data_set_teaches_nothing_false() -> None:
    """Each photo's own location is in the queue several times, as after some epochs."""
    batch = near_batch()
    once, often = LocationQueue(4096), LocationQueue(4096)
    for queue, times in ((once, 1), (often, 3)):
        for _ in range(times):
            queue.push(batch.lonlat_deg)
    assert len(often) == 24
    objective = Objective(micro_model(), ObjectiveOptions(losses="secl")).double()
    made = embedded(objective, batch)
    naive = gair_loss(made.s, made.z, made.l, made.l.repeat(3, 1))
    losses = train_step(objective, batch, often, ALONE).floats()
    assert losses["secl_sv"] < float(naive.secl_sv) - 0.05
    alone = [  # the own location once, as the positive, the seven others three times each
        secl(made.s[[i]], made.l[[i]], made.l[[j for j in range(8) if j != i] * 3])
        for i in range(8)
    ]
    assert losses["secl_sv"] == pytest.approx(float(torch.stack(alone).mean()), rel=1e-6)
    only_own = LocationQueue(4096)
    only_own.push(batch.lonlat_deg[:1].repeat(5, 1))
    first = dataclasses.replace(batch, lonlat_deg=batch.lonlat_deg[:1].expand(8, 2))
    assert train_step(objective, first, only_own, ALONE).floats()["total"] == 0


@pytest.mark.parametrize("chunks", [1, 4])
def test_a_stopped_gradient_trains_the_location_encoder_alone(chunks: int) -> None:
    def gradients(**options: object) -> tuple[dict[str, float], dict[str, Tensor]]:
        settings = ObjectiveOptions(in_batch_locations=True, **options)  # type: ignore[arg-type]
        objective = Objective(micro_model(), settings).double()
        batch = micro_batch(dtype=torch.float64)
        losses = train_step(objective, batch, filled_queue(), ALONE, chunks=chunks).floats()
        named = objective.model.named_parameters()
        return losses, {name: p.grad for name, p in named if p.grad is not None}

    losses, stopped = gradients(stop_location_gradient=True)
    plain_losses, plain = gradients()
    _, images = gradients(losses="incl")
    assert losses == pytest.approx(plain_losses)
    for name, gradient in stopped.items():
        wanted = plain if name.startswith("location.") else images
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-9, atol=1e-12, msg=name)
        if not name.startswith("location.") and float(gradient.abs().max()) > 1e-6:
            assert not torch.allclose(gradient, plain[name], rtol=1e-3), name
    assert any(name.startswith("location.") for name in stopped)


def test_locations_may_have_a_temperature_of_their_own() -> None:
    batch, queue = micro_batch(dtype=torch.float64), filled_queue()
    options = ObjectiveOptions(location_temperature=0.5, learnable_temperature=True)
    objective = Objective(micro_model(), options).double()
    made = embedded(objective, batch)
    with torch.no_grad():
        negatives = objective.model.encode_location(queue.lonlat_deg, normalize=False)
    losses = train_step(objective, batch, queue, ALONE).floats()
    assert losses["incl"] == pytest.approx(float(incl(made.s, made.z)), rel=1e-6)
    wanted = secl(made.s, made.l, negatives, temperature=0.5)
    assert losses["secl_sv"] == pytest.approx(float(wanted), rel=1e-6)
    assert losses["location_temperature"] == pytest.approx(0.5)
    own = objective.log_location_temperature
    assert own is not None
    assert own.grad is not None
    assert float(own.grad) != 0
    with torch.no_grad():
        own.fill_(3.0)
    objective.clamp_temperature()
    assert float(objective.location_temperature.detach()) == pytest.approx(1.0)
    shared = Objective(micro_model(), ObjectiveOptions())
    assert not any("location_temperature" in name for name in shared.state_dict())
    assert "location_temperature" not in train_step(shared, micro_batch(), queue, ALONE).floats()
