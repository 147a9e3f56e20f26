"""How vectors are computed: half precision that ranks as float32 does, batches that fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from resumable import build_city
from small_builds import tiny_model
from toy_city import photo

from gair.preprocess import street_view_pixels
from indexer.build.embed import Encoders
from indexer.build.recipe import (
    Recipe,
    choose_frames_at_once,
)
from indexer.index.index import Index, open_index

AGREE = 1e-2
"""What half precision may change of a score, which lies in -1..1."""


@pytest.fixture(scope="module")
def both(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, Index]:
    """One region in float32 and in bfloat16."""
    folder = tmp_path_factory.mktemp("both")
    for precision in ("float32", "bfloat16"):
        build_city(city_tif, folder, name=precision, precision=precision, frames_a_unit=100)
    return open_index(folder / "float32"), open_index(folder / "bfloat16")


def test_half_precision_scores_and_ranks_as_float32_does(both: tuple[Index, Index]) -> None:
    full, half = both
    assert half.manifest.computed["precision"] == "bfloat16"
    assert full.manifest.computed["precision"] == "float32"
    photos = np.stack([np.asarray(photo(seed)) for seed in range(16)])
    with torch.inference_mode():
        queries = tiny_model().encode_street_view(street_view_pixels(list(photos))).numpy()
    for kind in ("rs", "location"):
        wanted, found = (getattr(index, kind).scores(queries) for index in both)
        assert 0 < np.abs(wanted - found).max() < AGREE
        best, found_best = (
            wanted.max(axis=1),
            np.take_along_axis(wanted, found.argmax(axis=1)[:, None], axis=1),
        )
        assert (best - found_best[:, 0] < AGREE).all()  # the best cell, or one as good


def test_half_precision_is_another_number_and_rounds_no_phase() -> None:
    places = torch.tensor([[-0.1, 51.5], [179.9, -80.0], [12.0, 0.01]])
    low = Encoders(tiny_model(), Recipe(precision="bfloat16"))
    with torch.inference_mode():
        wanted, found = tiny_model().encode_location(places), low.at_places(places)
    assert found.dtype == torch.float32
    assert 0 < (wanted - found).abs().max() < AGREE  # a rounded phase is off by whole turns


def test_frames_at_once_follow_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for free_bytes in (None, 1 << 40, 50 << 20, 20 << 20, 1):
        monkeypatch.setattr("indexer.build.recipe._free_bytes", lambda _, free=free_bytes: free)
        found.append(choose_frames_at_once(tiny_model()))
    assert found[:2] == [8, 8]
    assert found[-1] == 1
    assert found[1:] == sorted(found[1:], reverse=True)
    assert 1 < found[2] < 8
