"""The losses against loops of their formulas, closed forms and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from batch_loss import gair_loss
from torch import Tensor

from gair.errors import ModelError
from gair.losses import distillation, incl, secl

B, Q, D = 5, 7, 4


def vectors(count: int, seed: int, dim: int = D) -> Tensor:
    return torch.randn(count, dim, dtype=torch.float64, generator=torch.manual_seed(seed))


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / a.norm() / b.norm())


def info_nce_loop(anchors: Tensor, candidates: list[list[Tensor]], temperature: float) -> float:
    """-log softmax of the first candidate of each anchor, written out; the mean."""
    total = 0.0
    for anchor, rows in zip(anchors, candidates, strict=True):
        exponentials = [math.exp(cosine(anchor, row) / temperature) for row in rows]
        total -= math.log(exponentials[0] / sum(exponentials))
    return total / len(anchors)


def incl_loop(s: Tensor, z: Tensor, temperature: float) -> float:
    def others(rows: Tensor) -> list[list[Tensor]]:
        return [[rows[i], *(rows[j] for j in range(B) if j != i)] for i in range(B)]

    return info_nce_loop(s, others(z), temperature) + info_nce_loop(z, others(s), temperature)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_incl_equals_the_loop_in_both_directions(temperature: float) -> None:
    s, z = vectors(B, 1), vectors(B, 2)
    wanted = incl_loop(s, z, temperature)
    assert float(incl(s, z, temperature=temperature)) == pytest.approx(wanted, rel=1e-12)
    assert float(incl(z, s, temperature=temperature)) == pytest.approx(wanted, rel=1e-12)


def test_secl_equals_the_loop_over_own_location_and_queue() -> None:
    s, own, queue = vectors(B, 1), vectors(B, 2), vectors(Q, 3)
    rows = [[own[i], *queue] for i in range(B)]
    assert float(secl(s, own, queue)) == pytest.approx(info_nce_loop(s, rows, 0.07), rel=1e-12)


def test_secl_with_in_batch_locations_equals_the_loop() -> None:
    s, own, queue = vectors(B, 1), vectors(B, 2), vectors(Q, 3)
    rows = [[own[i], *(own[j] for j in range(B) if j != i), *queue] for i in range(B)]
    wanted = info_nce_loop(s, rows, 0.07)
    assert float(secl(s, own, queue, in_batch=True)) == pytest.approx(wanted, rel=1e-12)


def test_empty_places_of_the_queue_take_no_part() -> None:
    s, own, queue = vectors(B, 1), vectors(B, 2), vectors(Q, 3)
    valid = torch.tensor([True, False, True, True, False, False, True])
    masked = secl(s, own, queue, negatives_valid=valid)
    assert float(masked) == pytest.approx(float(secl(s, own, queue[valid])), rel=1e-12)
    alone = secl(s, own, queue[:0])
    assert float(alone) == 0.0  # nothing to tell the positive from


def some_valid(columns: int, seed: int = 4) -> Tensor:
    """(B, columns), about half of them, and the positives on the diagonal off."""
    valid = torch.rand(B, columns, generator=torch.manual_seed(seed)) < 0.5
    valid[range(B), range(B)] = False
    return valid


def test_masked_negatives_equal_the_loop_without_them() -> None:
    s, z, own, queue = (vectors(n, i) for i, n in enumerate((B, B, B, Q)))
    near, near_queue = some_valid(B), some_valid(Q, 5)
    assert 3 < int(near.sum()) < B * B - B - 3

    def pairs(others: Tensor) -> list[list[Tensor]]:
        return [[others[i], *(others[j] for j in range(B) if near[i, j])] for i in range(B)]

    wanted = info_nce_loop(s, pairs(z), 0.07) + info_nce_loop(z, pairs(s), 0.07)
    assert float(incl(s, z, negatives_valid=near)) == pytest.approx(wanted, rel=1e-12)
    rows = [
        [*row, *(queue[q] for q in range(Q) if near_queue[i, q])]
        for i, row in enumerate(pairs(own))
    ]
    masked = secl(s, own, queue, in_batch=True, in_batch_valid=near, negatives_valid=near_queue)
    assert float(masked) == pytest.approx(info_nce_loop(s, rows, 0.07), rel=1e-12)
    only_queue = [[own[i], *row[len(pairs(own)[i]) :]] for i, row in enumerate(rows)]
    masked = secl(s, own, queue, negatives_valid=near_queue)
    assert float(masked) == pytest.approx(info_nce_loop(s, only_queue, 0.07), rel=1e-12)


def test_without_any_negative_nothing_is_learnt_and_nothing_breaks() -> None:
    s, z = vectors(B, 1).requires_grad_(), vectors(B, 2)
    none = torch.zeros(B, B, dtype=torch.bool)
    loss = incl(s, z, negatives_valid=none) + secl(
        s, z, z, negatives_valid=none, in_batch=True, in_batch_valid=none
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert s.grad is not None
    assert not s.grad.any()


def test_masks_of_another_shape_or_type_are_refused() -> None:
    s, z = vectors(B, 1), vectors(B, 2)
    for bad in (torch.ones(B, B), torch.ones(B, B + 1, dtype=torch.bool)):
        with pytest.raises(ModelError, match="negatives_valid is torch"):
            incl(s, z, negatives_valid=bad)
        with pytest.raises(ModelError, match="negatives_valid is torch"):
            secl(s, z, z, negatives_valid=bad)


def test_the_total_is_half_of_incl_and_both_secl() -> None:
    s, z, own, queue = (vectors(n, i) for i, n in enumerate((B, B, B, Q)))
    loss = gair_loss(s, z, own, queue)
    wanted = (incl_loop(s, z, 0.07) + float(secl(s, own, queue)) + float(secl(z, own, queue))) / 2
    assert float(loss.total) == pytest.approx(wanted, rel=1e-12)
    assert float(loss.incl + loss.secl_sv + loss.secl_rs) == pytest.approx(2 * wanted, rel=1e-12)


def test_equal_embeddings_give_the_logarithm_of_the_choices() -> None:
    same = torch.ones(256, 8)
    queue = torch.ones(4096, 8)
    loss = gair_loss(same, same, same, queue)
    assert float(loss.incl) == pytest.approx(2 * math.log(256), rel=1e-5)
    assert float(loss.secl_sv) == pytest.approx(math.log(4097), rel=1e-5)
    assert float(loss.total) == pytest.approx(13.86, abs=0.005)


def test_perfect_pairs_cost_almost_nothing() -> None:
    axes = torch.eye(B)
    assert float(incl(axes, 3 * axes)) < 1e-4
    assert float(incl(axes, axes.roll(1, dims=0))) > 20


@pytest.mark.parametrize("in_batch", [False, True])
def test_gradients(in_batch: bool) -> None:
    inputs = [vectors(n, i).requires_grad_() for i, n in enumerate((3, 3, 3, 4))]
    temperature = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)

    def run(*tensors: Tensor) -> Tensor:
        *embeddings, t = tensors
        return gair_loss(*embeddings, temperature=t, in_batch_locations=in_batch).total

    assert torch.autograd.gradcheck(run, (*inputs, temperature))


def test_gathered_batches_give_the_loss_and_gradient_of_one_large_batch() -> None:
    s, z = vectors(6, 1).requires_grad_(), vectors(6, 2).requires_grad_()
    whole = incl(s, z)
    halves = [incl(s[i : i + 3], z[i : i + 3], all_s=s, all_z=z, first=i) for i in (0, 3)]
    mean = (halves[0] + halves[1]) / 2
    torch.testing.assert_close(mean, whole)
    for a, b in zip(
        torch.autograd.grad(whole, (s, z)), torch.autograd.grad(mean, (s, z)), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_half_precision_inputs_are_compared_in_single() -> None:
    s, z = vectors(B, 1, 64), vectors(B, 2, 64)
    half_loss = incl(s.bfloat16(), z.bfloat16())
    assert half_loss.dtype == torch.float32
    exact = incl(s.bfloat16().double(), z.bfloat16().double())
    assert float(half_loss) == pytest.approx(float(exact), rel=1e-4)


def test_distillation_is_the_negative_cosine_and_leaves_the_teacher_alone() -> None:
    student, teacher = vectors(B, 1).requires_grad_(), vectors(B, 2).requires_grad_()
    loss = distillation(student, teacher)
    wanted = -sum(cosine(a, b) for a, b in zip(student.detach(), teacher.detach(), strict=True)) / B
    assert float(loss.detach()) == pytest.approx(wanted)
    loss.backward()  # type: ignore[no-untyped-call]
    assert teacher.grad is None
    assert float(distillation(teacher, 2 * teacher).detach()) == pytest.approx(-1)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"shapes \(5, 4\) and \(4, 4\)"):
        incl(vectors(5, 1), vectors(4, 2))
    with pytest.raises(ModelError, match="rows 4 to 9 are not among 5"):
        incl(vectors(5, 1), vectors(5, 2), first=4)
