"""Numbers about probabilities: shares with intervals, photos from elsewhere."""

from __future__ import annotations

import numpy as np

from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.judge import Outcomes, Ranking
from indexer.evaluate.probabilities import (
    LEVELS,
    coverage_by,
    outside_numbers,
    share_of,
    sureness_labels,
)
from indexer.probability.reliability import binomial_interval, reliability

RNG = np.random.default_rng(8)


def each(count: int, resamples: int = 200) -> Resamples:
    """Photos of as many places."""
    return Resamples(np.arange(count), resamples=resamples)


def test_a_share_has_its_binomial_interval() -> None:
    found = share_of(np.arange(20) < 15, each(20))
    low, high = binomial_interval(15, 20)
    assert found == {
        "value": 0.75, "low": float(low), "high": float(high), "photos": 20, "places": 20
    }  # fmt: skip


def test_a_share_of_photos_of_few_places_is_less_sure() -> None:
    hits = (np.arange(20) < 15).repeat(10)
    one_by_one, by_place = (
        share_of(hits, Resamples(place)) for place in (np.arange(200), np.arange(20).repeat(10))
    )
    assert (by_place["photos"], by_place["places"]) == (200, 20)
    assert by_place["low"] < one_by_one["low"] - 0.08
    assert by_place["high"] > one_by_one["high"] + 0.03
    diagram = reliability(np.full(200, 0.5), hits, place=np.arange(20).repeat(10))
    low, high = binomial_interval(15, 20)
    assert (diagram.low.tolist(), diagram.high.tolist()) == ([float(low)], [float(high)])
    assert diagram.photos.tolist() == [200]


def test_photos_from_elsewhere_have_an_interval_or_no_number() -> None:
    inside, outside = RNG.integers(0, 6, 40).astype(float), RNG.integers(-2, 5, 25).astype(float)
    measured = outside_numbers(inside, outside, each(40), each(25))
    assert measured["low"] < measured["value"] < measured["high"]
    none = outside_numbers(inside, np.zeros(0), each(40), each(0))
    assert none["value"] == "not a number"


def test_coverage_is_told_by_label() -> None:
    ranking = Ranking(0, 0, levels=LEVELS)
    outcomes = Outcomes.failed(6, ranking)
    outcomes.covered[:, 0] = [True, False, False, True, True, False]
    outcomes.covered[:, 1] = [True, True, True, True, True, False]
    labels = ["night", "day", "day", "", "night", "day"]
    rows = coverage_by(labels, outcomes, np.array([0, 1, 2, 3, 4]), Resamples(np.arange(6)))
    assert [(row["value"], row["photos"]) for row in rows] == [("day", 2), ("night", 2)]
    assert [[held["value"] for held in row["covered"]] for row in rows] == [[0, 1], [1, 1]]
    assert rows[0]["covered"][1]["level"] == LEVELS[1]


def test_answers_are_parted_by_the_probability_of_their_best_place() -> None:
    labels = sureness_labels(np.array([0.05, 0.1, 0.29, 0.3, 1.0, np.nan]))
    assert labels == ["0 to 10 %", *["10 to 30 %"] * 2, *["30 to 100 %"] * 2, ""]
