"""Threads of torch: set for a while, and one for narrow models beside other work."""

from __future__ import annotations

import pytest
import torch

from gair.processes.threads import threads_beside_others, torch_threads


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError), torch_threads(1):
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before


def test_a_narrow_model_gets_one_and_a_wide_one_all() -> None:
    assert [threads_beside_others(width) for width in (128, 511, 512, 768)] == [1, 1, 0, 0]
