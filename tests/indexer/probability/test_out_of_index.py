"""OutOfIndexTest: against slow loops, and how often photos of the index are refused."""

from __future__ import annotations

import numpy as np
import pytest
from model_city import ModelCity, at_most, calibrated_city, unit

from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.probability import out_of_index
from indexer.probability.out_of_index import (
    Whereabouts,
    auroc,
    evidence_of,
    fit_out_of_index,
    nearest_cosine,
    with_elsewhere,
)
from indexer.probability.posterior import ScoreWeights
from indexer.search.scored import evidence


def test_evidence_is_the_mean_over_the_area() -> None:
    rng = np.random.default_rng(0)
    rs, location, area_m2 = rng.normal(size=(4, 30)), rng.normal(size=(4, 30)), rng.random(30)
    for weights in (ScoreWeights(5.0, 3.0, 0.0), ScoreWeights(700.0, 0.0, 0.0)):
        nats = evidence_of(rs, location, weights, area_m2)
        for number in range(4):
            log_terms = weights.rs_weight * rs[number] + weights.location_weight * location[number]
            log_terms += np.log(area_m2 / area_m2.sum())
            assert nats[number] == pytest.approx(np.logaddexp.reduce(log_terms))


@pytest.mark.parametrize("count", [5, 11, 300])
def test_likeness_is_the_mean_of_the_ten_nearest(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_index, "_AT_ONCE", 7)
    rng = np.random.default_rng(count)
    photos, others = unit(rng, count), unit(rng, 20)
    cosines = nearest_cosine(others, photos)
    for number, s in enumerate(others):
        best = sorted((float(s @ photo) for photo in photos), reverse=True)[:10]
        assert cosines[number] == pytest.approx(np.mean(best), abs=1e-6)
    own = np.arange(count)
    own[0] = -1
    cosines = nearest_cosine(photos, photos, lambda block: own[block, None] == np.arange(count))
    for number, s in enumerate(photos):
        rest = [float(s @ photo) for n, photo in enumerate(photos) if n != own[number]]
        best = sorted(rest, reverse=True)[:10]
        assert cosines[number] == pytest.approx(np.mean(best), abs=1e-6)


def test_a_photo_is_not_its_own_neighbour() -> None:
    photos = np.eye(3, dtype=np.float32)  # nothing is like anything else
    fitted = fit_out_of_index(photos, np.arange(3), np.zeros(3))
    assert fitted.likeness[0] == 0


def test_neighbours_are_of_other_places_and_farther_than_100_m() -> None:
    rng = np.random.default_rng(4)
    s, place = unit(rng, 60), np.repeat(np.arange(15), 4)
    lonlat = rng.uniform(0, 0.006, (60, 2))
    where = Whereabouts(lonlat, place)
    cosines = nearest_cosine(s, s, lambda block: where.same(np.arange(60)[block], np.arange(60)))
    for number in range(60):
        far = haversine_m(lonlat[number], lonlat) > 100
        rest = (s @ s[number])[far & (place != place[number])]
        assert cosines[number] == pytest.approx(np.sort(rest)[-10:].mean(), abs=1e-6)
    spot = Whereabouts(np.zeros((4, 2)), np.array([0, 0, 1, 1]))  # nothing is far enough
    assert spot.same(np.array([0]), np.arange(4)).tolist() == [[True, True, False, False]]
    alone = Whereabouts(np.zeros((2, 2)), np.zeros(2, dtype=np.int64))
    assert alone.same(np.array([1]), np.arange(2)).tolist() == [[False, True]]


def street_photos(rng: np.random.Generator, streets: int, frames: int) -> np.ndarray:
    """Frames of one street are alike, streets are not."""
    s = unit(rng, streets).repeat(frames, axis=0) + 0.08 * rng.normal(size=(streets * frames, 16))
    return np.asarray(s / np.linalg.norm(s, axis=1, keepdims=True), dtype=np.float32)


def test_photos_of_other_streets_are_refused_no_more_often_than_said() -> None:
    refused, refused_by_photo = [], []
    for seed in range(12):
        rng = np.random.default_rng([8, seed])
        street = np.arange(100).repeat(12)
        held = np.flatnonzero(street >= 40)
        s = street_photos(rng, 100, 12)
        evidence_nats = rng.normal(size=100)[street]
        where = Whereabouts(rng.uniform(0, 0.2, (100, 2))[street], street)
        fitted = fit_out_of_index(s, held, evidence_nats[held], where)
        by_photo = fit_out_of_index(s, held, evidence_nats[held])
        assert len(fitted.scores) == 60
        new = street_photos(rng, 100, 12), rng.normal(size=100)[street]
        refused.append(fitted.abstain(fitted.score(*new)).mean())
        refused_by_photo.append(by_photo.abstain(by_photo.score(*new)).mean())
    assert 0.02 < np.mean(refused) < 0.05 + 0.015  # twelve times 60 streets to measure on
    assert np.mean(refused_by_photo) > 0.3


def test_p_values_by_hand() -> None:
    rng = np.random.default_rng(0)
    fitted = fit_out_of_index(unit(rng, 19), np.arange(19), rng.normal(size=19), level=0.1)
    assert fitted.p_value(fitted.scores) == pytest.approx((1 + np.arange(1, 20)) / 20)
    assert fitted.p_value(-1e9) == pytest.approx(1 / 20)
    assert fitted.p_value(1e9) == 1
    scores = [-1e9, fitted.scores[0], fitted.scores[-1]]
    assert fitted.abstain(scores).tolist() == [True, False, False]


def test_photos_of_the_index_are_refused_no_more_often_than_said() -> None:
    city = calibrated_city()
    assert city.calibration is not None
    fitted, photos = city.calibration.out_of_index, city.photos(1000, 55)
    scores = fitted.score(photos.s, evidence(city, photos.s, city.calibration.weights))
    share = fitted.abstain(scores).mean()
    assert share * 1000 <= at_most(1000, 0.05) + 1000 * 3.1 * np.sqrt(0.05 * 0.95 / 540)
    assert share > 0.01
    assert fitted.p_value(scores).mean() == pytest.approx(0.5, abs=0.06)


def test_photos_from_elsewhere_are_noticed_where_they_differ() -> None:
    rng = np.random.default_rng(1)
    here = unit(rng, 600)
    here[:, 0] += 2
    here /= np.linalg.norm(here, axis=1, keepdims=True)
    fitted = fit_out_of_index(here[:400], np.arange(200, 400), rng.normal(size=200))
    assert (fitted.miss_rate, fitted.auroc, fitted.elsewhere) == (None, None, 0)
    there = unit(rng, 100)
    measured = with_elsewhere(fitted, there, rng.normal(size=100))
    assert measured.elsewhere == 100
    assert measured.auroc is not None
    assert measured.auroc > 0.9
    missed = ~measured.abstain(measured.score(there, np.zeros(100)))
    assert measured.miss_rate == pytest.approx(missed.mean(), abs=0.1)
    same = with_elsewhere(fitted, here[400:], rng.normal(size=200))
    assert same.auroc == pytest.approx(0.5, abs=0.1)
    assert same.miss_rate == pytest.approx(0.95, abs=0.05)


def test_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(2)
    for size in (4, 40):
        higher, lower = rng.integers(0, 9, size), rng.integers(0, 7, size + 3)
        pairs = [(a > b) + (a == b) / 2 for a in higher for b in lower]
        assert auroc(higher, lower) == pytest.approx(np.mean(pairs))


def test_only_so_many_photos_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_index, "MOST_PHOTOS", 30)
    rng = np.random.default_rng(3)
    fitted = fit_out_of_index(unit(rng, 100), np.arange(60, 100), rng.normal(size=40), seed=1)
    assert fitted.s.shape == (30, 16)
    assert fitted.s.dtype == np.float16
    assert len(fitted.scores) == 40
    assert fitted.likeness[0] < 0.9  # those that were kept are not their own neighbours


def test_what_makes_no_sense_is_refused() -> None:
    photos = unit(np.random.default_rng(0), 3)
    with pytest.raises(UsageError, match="`level` -1"):
        fit_out_of_index(photos, np.arange(3), np.zeros(3), level=-1)
    with pytest.raises(UsageError, match="`level` nan"):
        fit_out_of_index(photos, np.arange(3), np.zeros(3), level=np.nan)
    with pytest.raises(UsageError, match="1 photos are too few"):
        fit_out_of_index(photos[:1], np.arange(1), np.zeros(1))


def test_a_city_knows_its_own_evidence() -> None:
    city = ModelCity(ScoreWeights(10.0, 4.0, 0.0), bbox_wsen_deg=(-0.11, 51.5, -0.09, 51.51))
    s = city.photos(20, 0).s
    rs, location = city.index.rs.scores(s), city.index.location.scores(s)
    wanted = evidence_of(rs, location, city.true_weights, city.field.area_m2)
    assert evidence(city, s, city.true_weights) == pytest.approx(wanted)
