"""Numbers about probabilities: shares with intervals, photos from elsewhere."""

from __future__ import annotations

import numpy as np

from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.probabilities import outside_numbers, share_of
from indexer.probability.reliability import binomial_interval

RNG = np.random.default_rng(8)


def test_a_share_has_its_binomial_interval() -> None:
    found = share_of(np.arange(20) < 15)
    low, high = binomial_interval(15, 20)
    assert found == {"value": 0.75, "low": float(low), "high": float(high), "photos": 20}


def test_photos_from_elsewhere_have_an_interval_or_no_number() -> None:
    inside, outside = RNG.integers(0, 6, 40).astype(float), RNG.integers(-2, 5, 25).astype(float)
    measured = outside_numbers(inside, outside, Resamples(1, resamples=200))
    assert measured["low"] < measured["value"] < measured["high"]
    assert (
        outside_numbers(inside, np.zeros(0), Resamples(1, resamples=9))["value"] == "not a number"
    )
