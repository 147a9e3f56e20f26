"""Numbers about probabilities: confidences as answers give them, shares, photos from elsewhere."""

from __future__ import annotations

import numpy as np

from indexer.evaluate.probabilities import confidence_of, outside_numbers, share_of
from indexer.probability.reliability import binomial_interval

RNG = np.random.default_rng(8)


def test_a_larger_radius_never_has_less_confidence() -> None:
    class Lines:
        def confidence_within(self, disc_mass: np.ndarray, radius_m: float) -> np.ndarray:
            return disc_mass if radius_m < 300 else disc_mass / 2

    found = confidence_of(np.array([[0.4, 0.5], [0.1, 0.9], [np.nan, np.nan]]), Lines(), (200, 500))
    assert found[:2].tolist() == [[0.4, 0.4], [0.1, 0.45]]
    assert np.isnan(found[2]).all()


def test_a_share_has_its_binomial_interval() -> None:
    found = share_of(np.arange(20) < 15)
    low, high = binomial_interval(15, 20)
    assert found == {"value": 0.75, "low": float(low), "high": float(high), "photos": 20}


def test_photos_from_elsewhere_have_an_interval_or_no_number() -> None:
    inside, outside = RNG.integers(0, 6, 40).astype(float), RNG.integers(-2, 5, 25).astype(float)
    measured = outside_numbers(inside, outside, seed=0, resamples=200)
    assert measured["low"] < measured["value"] < measured["high"]
    assert outside_numbers(inside, np.zeros(0), seed=0, resamples=9)["value"] == "not a number"
