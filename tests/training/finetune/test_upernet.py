"""UPerNet: shapes, where gradients go, and what each level adds."""

from __future__ import annotations

import pytest
import torch

from training.finetune.remote_sensing import POOL_SIDES, UPerNet


@pytest.mark.parametrize("side_hw", [(12, 12), (6, 8), (5, 3)])
@pytest.mark.parametrize("classes", [2, 5])
def test_scores_are_four_times_as_fine_as_the_maps(side_hw: tuple[int, int], classes: int) -> None:
    head = UPerNet(width=6, classes=classes, channels=4)
    out = head(torch.randn(2, 4, 6, *side_hw))
    assert out.shape == (2, classes, 4 * side_hw[0], 4 * side_hw[1])


def test_every_weight_and_every_level_has_a_gradient() -> None:
    head = UPerNet(width=6, classes=3, channels=8)
    maps = torch.randn(3, 4, 6, 8, 8, requires_grad=True)
    (head(maps) * torch.randn(3, 3, 32, 32)).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name
    assert maps.grad is not None
    assert all(float(maps.grad[:, level].abs().max()) > 0 for level in range(4))


def test_gradients_equal_finite_differences() -> None:
    head = UPerNet(width=2, classes=2, channels=2).double().eval()
    maps = torch.randn(1, 4, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(head, (maps,), eps=1e-6, atol=1e-5)


def test_pyramid_pooling_sees_the_whole_image() -> None:
    """A change in one corner of the coarsest map reaches the opposite corner of the scores."""
    head = UPerNet(width=4, classes=2, channels=8).eval()
    maps = torch.randn(1, 4, 4, 24, 24)
    changed = maps.clone()
    changed[:, 3, :, :4, :4] += 3
    with torch.no_grad():
        apart = (head(maps) - head(changed)).abs()
    assert float(apart[..., -8:, -8:].max()) > 1e-6
    changed = maps.clone()
    changed[:, 0, :, :4, :4] += 3  # the finest level reaches no farther than its kernels
    with torch.no_grad():
        apart = (head(maps) - head(changed)).abs()
    assert float(apart[..., -8:, -8:].max()) == 0
    assert len(head.pools) == len(POOL_SIDES)
