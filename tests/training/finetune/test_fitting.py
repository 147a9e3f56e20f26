"""The loop and the linear maps, the latter against scikit-learn's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from gair.errors import TrainingError, UsageError
from training.finetune import supervised
from training.finetune.fitting import Budget, batches, fit, hold_out


def test_batches_are_full_shuffled_and_the_same_for_a_seed() -> None:
    first = list(itertools.islice(batches(10, 4, seed=3), 5))
    assert all(len(batch) == 4 for batch in first)
    assert sorted(np.concatenate(first)) == sorted([*range(10)] * 2)
    again = list(itertools.islice(batches(10, 4, seed=3), 5))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    other = next(batches(10, 4, seed=4))
    assert (other != first[0]).any()
    assert len(next(batches(3, 8, seed=0))) == 3


def test_rows_held_back_part_the_rows() -> None:
    fitted, aside = hold_out(20, 0.2, seed=1)
    assert len(aside) == 4
    assert sorted([*fitted, *aside]) == [*range(20)]
    assert (hold_out(20, 0.2, seed=2)[1] != aside).any()
    assert [len(part) for part in hold_out(2, 0.01, seed=0)] == [1, 1]
    with pytest.raises(TrainingError, match="1 labelled examples: at least two"):
        hold_out(1, 0.2, seed=0)


def test_the_best_weights_on_the_way_are_kept() -> None:
    module = nn.Linear(1, 1)
    weights: list[float] = []

    def score() -> float:
        weights.append(float(module.weight.detach()))
        return [1.0, 3.0, 2.0][len(weights) - 1]

    budget = Budget(steps=9, batch=2, lr=0.1, checks=3)
    best = fit(module, lambda _rows: module.weight.sum(), 4, budget, seed=0, score=score)
    assert best == 3.0
    assert float(module.weight.detach()) == weights[1] != weights[2]
    assert not module.training


def test_a_score_that_is_none_is_the_worst() -> None:
    module = nn.Linear(1, 1)
    given, weights = iter([float("nan"), 1.0, float("nan")]), []

    def score() -> float:
        weights.append(float(module.weight.detach()))
        return next(given)

    budget = Budget(steps=9, batch=2, lr=0.1, checks=3)
    best = fit(module, lambda _rows: module.weight.sum(), 4, budget, seed=0, score=score)
    assert best == 1.0
    assert float(module.weight.detach()) == weights[1]


def test_targets_count_alike_whatever_their_units() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(400, 8)))
    fine = (x[:, :1] + 0.1 * torch.from_numpy(rng.normal(size=(400, 1)))).numpy()
    noise = rng.normal(size=(400, 1))
    parts = slice(0, 12), slice(12, 400)

    def weight_of(unit: float) -> float:
        y = np.concatenate([fine, unit * noise], axis=1)
        fitted, aside = ((x[part], y[part]) for part in parts)
        return float(
            supervised.solve_linear(fitted, aside, goal="regression", outputs=2).weight[0, 0]
        )

    assert weight_of(1000.0) == pytest.approx(weight_of(1.0))


def test_frozen_weights_stay_and_steps_are_told() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    module[0].requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    steps: list[int] = []

    def loss_of(rows: np.ndarray) -> torch.Tensor:
        return module(torch.ones(len(rows), 1)).square().sum()

    fit(module, loss_of, 3, Budget(steps=5, batch=2), seed=0, advance=steps.append)
    after = module.state_dict()
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert not torch.equal(before["1.weight"], after["1.weight"])
    assert sum(steps) == 5


def test_a_loss_that_is_not_finite_stops_with_a_remedy() -> None:
    module = nn.Linear(1, 1)
    with pytest.raises(TrainingError, match="the loss is nan at step 0: lower the rate"):
        fit(module, lambda _rows: module.weight.sum() * torch.nan, 4, Budget(steps=2), seed=0)
    with pytest.raises(TrainingError, match="nothing to fit"):
        fit(module, lambda _rows: module.weight.sum(), 0, Budget(steps=2), seed=0)
    with pytest.raises(UsageError, match="`steps` is 0"):
        Budget(steps=0)
    with pytest.raises(UsageError, match="the learning rate is -1"):
        Budget(lr=-1)


def examples(seed: int, count: int = 60) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(2, [1, 5, 0.1, 1, 1], size=(count, 5))
    y = x @ rng.normal(size=(5, 2)) + rng.normal(size=(count, 2))
    return torch.from_numpy(x), y, rng.integers(0, 3, count)


def standardised(x: torch.Tensor) -> np.ndarray:
    return ((x - x.mean(0)) / x.std(0)).numpy()


@pytest.mark.parametrize("strength", [0.01, 100.0])
def test_ridge_equals_scikit_learn(strength: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "RIDGES", (strength,))
    x, y, _ = examples(0)
    solved = supervised.solve_linear((x, y), (x, y), goal="regression", outputs=2)
    wanted = Ridge(alpha=strength).fit(standardised(x), y)
    np.testing.assert_allclose(solved(x).numpy(), wanted.predict(standardised(x)), atol=1e-8)


@pytest.mark.parametrize("decay", [0.1, 0.001])
def test_logistic_regression_equals_scikit_learn(
    decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "DECAYS", (decay,))
    x, _, labels = examples(1)
    solved = supervised.solve_linear((x, labels), (x, labels), goal="classification", outputs=3)
    wanted = LogisticRegression(C=1 / (decay * len(x)), tol=1e-8, max_iter=1000)
    wanted.fit(standardised(x), labels)
    np.testing.assert_allclose(
        solved(x).softmax(1).numpy(), wanted.predict_proba(standardised(x)), atol=2e-3
    )


def test_two_classes_have_the_penalty_that_more_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "DECAYS", (0.1,))
    x, _, labels = examples(1)
    labels = labels % 2
    solved = supervised.solve_linear((x, labels), (x, labels), goal="classification", outputs=2)
    weight = solved.weight.clone().requires_grad_()
    out = torch.from_numpy(standardised(x)) @ weight + solved.bias
    loss = torch.nn.functional.cross_entropy(out, torch.from_numpy(labels))
    (loss + 0.05 * weight.square().sum()).backward()  # 0 where the penalised loss is least
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-3


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_classes_that_are_not_fitted_are_known(outputs: int) -> None:
    x, _, _ = examples(1)
    aside = np.arange(len(x)) % outputs
    solved = supervised.solve_linear(
        (x, np.zeros_like(aside)), (x, aside), goal="classification", outputs=outputs
    )
    assert solved(x).shape == (len(x), outputs)
    assert bool(torch.isfinite(solved(x)).all())


def test_the_strength_that_does_best_aside_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, noise = torch.from_numpy(rng.normal(size=(12, 10))), rng.normal(size=(12, 1))
    monkeypatch.setattr(supervised, "RIDGES", (1e-6, 1e6))
    aside = torch.from_numpy(rng.normal(size=(50, 10))), np.zeros((50, 1))
    solved = supervised.solve_linear((x, noise), aside, goal="regression", outputs=1)
    assert float(solved.weight.abs().max()) < 1e-3  # noise is best not learned


def test_a_feature_that_stands_still_is_harmless() -> None:
    x, y, _ = examples(2)
    x[:, 1] = 7
    solved = supervised.solve_linear((x, y), (x, y), goal="regression", outputs=2)
    assert bool(torch.isfinite(solved(x)).all())
