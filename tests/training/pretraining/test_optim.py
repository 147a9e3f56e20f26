"""The optimiser against AdamW's formula, the groups by name, the schedule, the averaged weights."""

from __future__ import annotations

import math

import pytest
import torch
from micro_training import micro_model
from torch import Tensor, nn

from gair.errors import TrainingError, UsageError
from training.pretraining.config import PretrainConfig
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.optim import Ema, lr_at, make_optimizer, set_lr


class Toy(nn.Module):
    """One matrix that decays, one bias that does not."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 3, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64))


def adamw_loop(
    start: Tensor, gradients: list[Tensor], lrs: list[float], decay: float
) -> list[float]:
    """Algorithm 2 of arXiv 1711.05101, number by number."""
    result = []
    for i, value in enumerate(start.flatten().tolist()):
        m = v = 0.0
        for t, (gradient, lr) in enumerate(zip(gradients, lrs, strict=True), 1):
            g = gradient.flatten().tolist()[i]
            m = 0.9 * m + 0.1 * g
            v = 0.95 * v + 0.05 * g * g
            step = (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.95**t)) + 1e-8)
            value = value - lr * decay * value - lr * step
        result.append(value)
    return result


def test_steps_equal_the_loop_of_the_formula() -> None:
    toy = Toy()
    start = {name: p.detach().clone() for name, p in toy.named_parameters()}
    optimizer = make_optimizer(toy, lr=1.0)
    generator = torch.Generator().manual_seed(1)
    gradients: dict[str, list[Tensor]] = {"weight": [], "bias": []}
    lrs = [0.1, 0.05, 0.2, 0.01]
    for lr in lrs:
        for name, parameter in toy.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            gradients[name].append(parameter.grad)
        set_lr(optimizer, lr)
        optimizer.step()
    for name, decay in (("weight", 0.05), ("bias", 0.0)):
        wanted = adamw_loop(start[name], gradients[name], lrs, decay)
        values = toy.get_parameter(name).detach().flatten().tolist()
        assert values == pytest.approx(wanted, rel=1e-12), name


def groups_by_name(options: ObjectiveOptions) -> dict[str, float]:
    """Name of each weight the optimiser has to its decay."""
    objective = Objective(micro_model(rs_final_norm=True), options)
    names = {id(p): name for name, p in objective.named_parameters()}
    optimizer = make_optimizer(objective, lr=1e-3, weight_decay=0.05)
    return {
        names[id(p)]: group["weight_decay"]
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_matrices_decay_and_nothing_else() -> None:
    decays = groups_by_name(ObjectiveOptions(learnable_temperature=True))
    for name in (
        "model.street_view.vit.patch_embed.proj.weight",
        "model.street_view.vit.blocks.1.attn.qkv.weight",
        "model.street_view.pooler.weight",
        "model.remote_sensing.blocks.0.fc1.weight",
        "model.inr.decoder.weight",
        "model.location.capsules.1.head.weight",
    ):
        assert decays[name] == 0.05, name
    for name in (
        "model.street_view.vit.cls_token",
        "model.street_view.vit.pos_embed",
        "model.street_view.vit.blocks.0.norm1.weight",
        "model.remote_sensing.norm.weight",
        "model.remote_sensing.patch_embed.bias",
        "model.inr.decoder.bias",
        "log_temperature",
    ):
        assert decays[name] == 0.0, name


def test_every_weight_that_learns_is_there_once_and_no_other() -> None:
    options = ObjectiveOptions(distill_weight=0.1)
    decays = groups_by_name(options)
    objective = Objective(micro_model(rs_final_norm=True), options)
    assert set(decays) == {n for n, p in objective.named_parameters() if p.requires_grad}
    assert not any("frequencies" in n or "teachers" in n or "temperature" in n for n in decays)


def test_the_papers_learning_rate_grows_with_the_batch() -> None:
    assert PretrainConfig().peak_lr(256) == pytest.approx(1.5e-6)
    assert PretrainConfig().peak_lr(4 * 256) == pytest.approx(6e-6)


def test_the_schedule_rises_linearly_and_falls_along_half_a_cosine() -> None:
    def lr(step: int) -> float:
        return lr_at(step, base_lr=1.0, warmup_steps=10, total_steps=110, min_lr=0.1)

    assert [lr(step) for step in range(10)] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert lr(10) == pytest.approx(1.0)
    assert lr(35) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert lr(60) == pytest.approx(0.55)
    assert lr(110) == lr(500) == pytest.approx(0.1)
    assert all(lr(step + 1) < lr(step) for step in range(10, 110))
    assert lr_at(0, base_lr=2.0, warmup_steps=0, total_steps=0) == 2.0
    with pytest.raises(UsageError, match="20 warm-up steps do not fit into 10 steps"):
        lr_at(0, base_lr=1.0, warmup_steps=20, total_steps=10)


def test_averaged_weights_equal_the_recursion() -> None:
    toy = Toy()
    ema = Ema(toy, decay=0.5)
    average = float(toy.bias.detach()[0])
    for t in range(8):
        with torch.no_grad():
            toy.bias += 1.0
        ema.update(toy)
        decay = min(0.5, (1 + t) / (10 + t))
        average = decay * average + (1 - decay) * float(toy.bias.detach()[0])
    copied = Toy()
    copied.load_state_dict(ema.state_dict()["average"])
    assert float(copied.bias.detach()[0]) == pytest.approx(average, rel=1e-12)
    assert float(copied.bias.detach()[0]) < float(toy.bias.detach()[0])


def test_averages_are_stored_and_go_on() -> None:
    toy = Toy()
    ema = Ema(toy)
    resumed = Ema(Toy())
    for number in range(3):
        with torch.no_grad():
            toy.weight.mul_(1.5)
        ema.update(toy)
        if number == 1:
            state = {
                **ema.state_dict(),
                "average": {n: t.clone() for n, t in ema.state_dict()["average"].items()},
            }
    resumed.load_state_dict(state)
    resumed.update(toy)
    assert resumed.updates == ema.updates == 3
    for name, tensor in ema.state_dict()["average"].items():
        assert torch.equal(resumed.state_dict()["average"][name], tensor)
    with pytest.raises(TrainingError, match="of another model: bias"):
        resumed.load_state_dict({"updates": 1, "average": {"weight": toy.weight}})
    with pytest.raises(UsageError, match="ema_decay is 1"):
        Ema(toy, decay=1)


def test_frozen_frequencies_stay_exact_in_the_average() -> None:
    model = micro_model()
    ema = Ema(model, decay=0.9)
    for _ in range(3):
        ema.update(model)
    fresh = micro_model(seed=5)
    fresh.load_state_dict(ema.state_dict()["average"])
    assert fresh.fingerprint() == model.fingerprint()
