"""Two photos: the chance by its formula, and why there is none."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from small_builds import tiny_model
from toy_city import photo

from gair.errors import UsageError
from indexer.explore.compare import GIVEN_BOTH, PhotoPair, compare_photos
from indexer.probability.confidence import Curve
from indexer.probability.likelihood_ratios import PairRatio, RatioCurve
from indexer.probability.out_of_index import OutOfIndexTest
from indexer.search.geolocator import Geolocator

PAIRS = PairRatio(
    200.0, 400, 90, 2000, 150, middle=0.5, scale=0.25, auroc=0.9,
    ratio=RatioCurve(Curve(1.5, -0.25), 90, 150, limit=90.0),
)  # fmt: skip


def compared(
    tiny_index: Path, folder: Path, *, prior: float = 0.5, same: bool = False, **changes: Any
) -> PhotoPair:
    """Two photos, in an index calibrated by hand."""
    shutil.copytree(tiny_index / "toy", folder / "toy")
    calibrate_by_hand(folder / "toy", **{"pairs": PAIRS} | changes)
    geolocator = Geolocator.open(folder / "toy", model=tiny_model())
    return compare_photos(geolocator, photo(1), photo(1 if same else 2), prior_probability=prior)


def test_the_chance_is_the_prior_times_the_ratio(tiny_index: Path, tmp_path: Path) -> None:
    pair = compared(tiny_index, tmp_path, prior=0.2)
    x = (pair.cosine - 0.5) / 0.25
    ratio = math.exp(1.5 * x - 0.25 - math.log(90 / 150))
    assert 1 / 90 < ratio < 90
    assert pair.likelihood_ratio == pytest.approx(ratio)
    assert pair.probability == pytest.approx(0.2 * ratio / (0.2 * ratio + 0.8))
    assert (pair.pairs, pair.places, pair.auroc, pair.limit) == (400, 90, 0.9, 90.0)
    geolocator = Geolocator.open(tmp_path / "toy", model=tiny_model())
    area_m2 = geolocator.index.cells.area_m2.sum()
    assert pair.chance_level == pytest.approx(math.pi * 200**2 / area_m2)
    assert (pair.given, pair.why) == (GIVEN_BOTH, "")
    assert json.loads(json.dumps(pair.to_dict(), allow_nan=False))["schema_version"] == 1
    first, second = (seen.s[0] for seen in geolocator.seen([photo(1), photo(2)]))
    assert pair.cosine == pytest.approx(float(first @ second))
    with pytest.raises(UsageError, match="`prior_probability` is 1"):
        compare_photos(geolocator, photo(1), photo(2), prior_probability=1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pairs": None}, "from before pairs of photos were measured; calibrate again"),
        ({"pairs": PairRatio(200.0, 7, 5, 900, 80)}, "on 7 pairs .* of 5 places .* takes 20"),
        ({"places": 12}, "promised from 100 places on"),
        ({"same": True}, "the same picture"),
    ],
)
def test_there_is_no_chance_and_why(
    tiny_index: Path, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    pair = compared(tiny_index, tmp_path, **changes)
    assert pair.probability is None
    assert pair.likelihood_ratio is None
    assert pytest.approx(pair.cosine, abs=1e-5) == 1 or not changes.get("same")
    assert re.search(why, pair.why)


def test_a_photo_of_elsewhere_gets_none(tiny_index: Path, tmp_path: Path) -> None:
    s = np.eye(4, tiny_model().config.dim, dtype=np.float16)
    strict = OutOfIndexTest(s, (0.0, 1.0), (0.0, 1.0), np.linspace(1e6, 2e6, 99), 0.05)
    pair = compared(tiny_index, tmp_path, out_of_index=strict)
    assert pair.probability is None
    assert pair.why == "both photos look like nothing in this index"


def test_an_index_without_a_calibration_says_so(tiny_index: Path) -> None:
    geolocator = Geolocator.open(tiny_index / "toy", model=tiny_model())
    pair = compare_photos(geolocator, photo(1), photo(2))
    assert "not calibrated" in pair.why
    assert pair.pairs is None
    assert pair.probability is None
