"""The cache of scores: bounded by bytes and by age, the ones asked for last stay."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from app.engine.score_cache import ScoreCache

BUILD = Path("build")


def seen(floats: int) -> Any:
    return SimpleNamespace(s=np.zeros(floats, dtype=np.float32))


def test_scores_go_by_size_and_by_age() -> None:
    now = [0.0]
    cache = ScoreCache(1000, kept_s=60, clock=lambda: now[0])
    first, second, third = seen(100), seen(100), seen(100)
    cache.put(BUILD, "1", first)
    cache.put(BUILD, "2", second)
    assert cache.get(BUILD, "1") is first
    assert cache.get(Path("other"), "1") is None
    now[0] = 30
    cache.put(BUILD, "3", third)  # "2" was asked for longest ago
    assert [cache.get(BUILD, key) for key in "123"] == [first, None, third]
    cache.put(BUILD, "4", seen(251))  # more than there is room for: nothing has to make way
    assert [cache.get(BUILD, key) for key in "134"] == [first, third, None]
    now[0] = 60
    assert [cache.get(BUILD, key) for key in "13"] == [None, third]
    now[0] = 90
    cache.sweep()
    assert cache.get(BUILD, "3") is None
