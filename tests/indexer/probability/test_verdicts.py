"""Claims: against slow loops, and on photos for which it is known which claims are true."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from model_city import ModelCity, at_most, calibrated_city

from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.calibrate.calibrate import verdict_rates
from indexer.probability.cautions import coded
from indexer.probability.claim_context import Context
from indexer.probability.claims import (
    RADII_M,
    background,
    calibrated_radius_m,
    claim_discs,
    claim_masses,
    places_compared,
    points_around,
    share_as_bad,
    share_as_good,
    standing,
)
from indexer.probability.known_claims import false_claims
from indexer.probability.posterior import ScoreWeights
from indexer.probability.verdicts import LEVEL, RATES, verdict_of, verify_claim

LONDON = (-0.1, 51.505)


def small_city(calibrated: bool = False) -> ModelCity:
    city = ModelCity(ScoreWeights(14.0, 0.0, 0.0), bbox_wsen_deg=(-0.12, 51.495, -0.08, 51.515))
    if calibrated:
        city.calibration = calibrated_city().calibration
    return city


@pytest.mark.parametrize("radii_m", [(30.0, 200.0, 700.0), (30.0,), (700.0, 5.0), ()])
def test_the_mass_of_a_claim_is_that_of_its_disc_and_its_own_cell(
    radii_m: tuple[float, ...],
) -> None:
    city, rng = small_city(), np.random.default_rng(2)
    p = city.posterior(city.photos(30, 1).s)
    points = rng.uniform((-0.122, 51.493), (-0.078, 51.517), (30, 2))
    row = city.cell_row(points)
    assert (row >= 0).any()
    assert (row < 0).any()
    masses = claim_masses(p, city.field, points, row, radii_m)
    assert masses.shape == (30, len(radii_m))
    for column, radius_m in enumerate(radii_m):
        discs = claim_discs(city.field, points, row, radius_m)
        np.testing.assert_allclose(masses[:, column], discs.sums(p).diagonal(), rtol=1e-12)
        for number, point in enumerate(points):
            inside = set(np.flatnonzero(haversine_m(city.field.lonlat_deg, point) <= radius_m))
            inside |= {int(row[number])} - {-1}
            summed = sum(p[number, cell] for cell in inside)
            assert masses[number, column] == pytest.approx(summed)


@pytest.mark.parametrize("radius_m", [5.0, 250.0])
def test_a_standing_is_counted_disc_by_disc(radius_m: float) -> None:
    city, rng = small_city(), np.random.default_rng(3)
    p = city.posterior(city.photos(6, 1).s)
    points = points_around(city.field.lonlat_deg[rng.integers(0, len(city.field), 6)], 60, rng)
    row = city.cell_row(points)
    among = background(city.field, radius_m)
    claim = standing(p, city.field, points, row, among)
    x, y, z = among.points.T
    centres = np.degrees(np.stack([np.arctan2(y, x), np.arcsin(z)], axis=1))
    own = city.cell_row(centres)
    assert (own >= 0).all()
    for number in range(6):
        as_good = compared = overlapping = 0
        for centre, cell in zip(centres, own, strict=True):
            inside = haversine_m(city.field.lonlat_deg, centre) <= radius_m
            inside[cell] = True
            if haversine_m(centre, points[number]) <= 2 * radius_m:
                overlapping += 1
            else:
                compared += 1
                as_good += p[number, inside].sum() >= claim.mass[number]
        assert claim.as_good[number] == as_good
        assert claim.compared[number] == compared
        assert claim.overlapping[number] == overlapping
        assert claim.p_elsewhere[number] == (1 + as_good) / (1 + compared)
        bound = (1 + as_good + overlapping) / (1 + compared + overlapping)
        assert claim.p_false[number] == bound


def test_conformal_shares_by_hand() -> None:
    others = np.array([0.1, 0.2, 0.2, 0.9])
    assert share_as_bad([0.05, 0.2, 1.0], others) == pytest.approx([1.0, 4 / 5, 1 / 5])
    assert share_as_good([0.05, 0.2, 1.0], others) == pytest.approx([1 / 5, 4 / 5, 1.0])
    assert share_as_bad(0.3, np.empty(0)) == 1


def test_points_lie_evenly_within_the_radius() -> None:
    rng = np.random.default_rng(0)
    for place in ((-0.1, 51.5), (179.999, -70.0), (20.0, 0.0)):
        far_m = haversine_m(points_around(np.tile(place, (4000, 1)), 800, rng), place)
        assert far_m.max() <= 800 * 1.002
        assert (far_m < 400).mean() == pytest.approx(0.25, abs=0.03)


def test_false_claims_are_false_and_somewhere_in_the_index() -> None:
    city, rng = small_city(), np.random.default_rng(4)
    truth = city.photos(300, 1).lonlat_deg
    points, away = false_claims(city.field, truth, 500.0, rng)
    assert away.all()
    assert haversine_m(points, truth).min() > 500
    assert (city.field.nearest(points)[1] <= city.field.spacing_m).all()
    _, away = false_claims(city.field, truth, 50_000.0, rng)
    assert not away.any()


def test_other_radii_are_tested_at_the_next_larger_one() -> None:
    assert [calibrated_radius_m(r) for r in (1, 100, 101, 300, 5000)] == [100, 100, 200, 500, 5000]
    assert calibrated_radius_m(5001) is None


@pytest.mark.parametrize(
    ("p_elsewhere", "p_false", "p_true", "verdict"),
    [
        (0.01, 0.01, 0.4, "consistent"),
        (0.01, 0.01, None, "consistent"),
        (0.01, 0.06, 0.4, "cannot tell"),
        (0.06, 0.01, 0.4, "cannot tell"),
        (0.01, 0.01, 0.04, "cannot tell"),
        (0.05, 0.05, 0.04, "unlikely"),
        (0.01, 0.05, 0.04, "unlikely"),
        (0.9, 0.9, 0.05, "cannot tell"),
        (0.9, 0.9, None, "cannot tell"),
    ],
)
def test_verdicts(p_elsewhere: float, p_false: float, p_true: float | None, verdict: str) -> None:
    assert verdict_of(p_elsewhere, p_false, p_true) == verdict


def test_rates_judge_each_claim_by_the_others() -> None:
    rng = np.random.default_rng(0)
    true, false = rng.beta(1, 3, 199), rng.random(150)
    wanted = dict.fromkeys(RATES, 0)
    for number, share in enumerate(true):
        others = np.sort(np.delete(true, number))
        p_true = float(share_as_bad(share, others))
        verdict = verdict_of(share, float(share_as_good(share, np.sort(false))), p_true)
        wanted[f"true_{verdict}"] = wanted.get(f"true_{verdict}", 0) + 1
    for number, share in enumerate(false):
        others = np.sort(np.delete(false, number))
        p_true = float(share_as_bad(share, np.sort(true)))
        verdict = verdict_of(share, float(share_as_good(share, others)), p_true)
        wanted[f"false_{verdict}"] = wanted.get(f"false_{verdict}", 0) + 1
    rates = verdict_rates((true, np.arange(199)), (false, np.arange(150)))
    for rate in RATES:
        count = len(true) if rate.startswith("true") else len(false)
        assert rates[rate] == pytest.approx(wanted[rate] / count)
    assert rates["true_unlikely"] <= LEVEL
    assert rates["false_consistent"] <= LEVEL


def test_rates_count_places_and_judge_each_claim_by_those_of_others() -> None:
    rng = np.random.default_rng(1)
    place = rng.integers(0, 40, 300)
    true = np.repeat(rng.beta(1, 5, 40), 1)[place] + 0.01 * rng.random(300)
    false = rng.random(40)[place] + 0.01 * rng.random(300)
    sizes = np.bincount(place, minlength=40)

    def beside(values: np.ndarray, other: int | None, holds: np.ndarray) -> float:
        """The share of places that hold, as a sum over photos; of all but one, or of all."""
        rest = [n for n in range(300) if place[n] != other]
        count = len({int(place[n]) for n in rest})
        return (1 + sum(float(holds[n]) / sizes[place[n]] for n in rest)) / (1 + count)

    wanted = dict.fromkeys(RATES, 0.0)
    for name, shares in (("true", true), ("false", false)):
        for number, share in enumerate(shares):
            own = int(place[number])
            as_bad = beside(true, own if name == "true" else None, true >= share)
            as_good = beside(false, own if name == "false" else None, false <= share)
            rate = f"{name}_{verdict_of(share, as_good, as_bad)}"
            wanted[rate] = wanted.get(rate, 0) + 1 / sizes[own] / len(np.unique(place))
    rates = verdict_rates((true, place), (false, place))
    for rate in RATES:  # those of the other kind are rounded, to the safe side: by 1 in 40
        assert rates[rate] == pytest.approx(wanted[rate], abs=0.05)
    assert rates["true_unlikely"] <= wanted["true_unlikely"] + 1e-9
    assert rates["false_consistent"] <= wanted["false_consistent"] + 1e-9
    assert rates["true_consistent"] > 0.1


def test_fresh_claims_get_wrong_verdicts_no_more_often_than_said() -> None:
    city = calibrated_city()
    photos, rng = city.photos(150, 78), np.random.default_rng(5)
    assert city.calibration is not None
    p = city.posterior(photos.s)
    for radius_m in (200.0, 500.0):
        true = points_around(photos.lonlat_deg, radius_m, rng)
        false, away = false_claims(city.field, photos.lonlat_deg, radius_m, rng)
        assert away.all()
        said = [verify_claim(city, q, at, radius_m).verdict for q, at in zip(p, true, strict=True)]
        assert said.count("unlikely") <= at_most(150, 0.05)
        told = [verify_claim(city, q, at, radius_m).verdict for q, at in zip(p, false, strict=True)]
        assert told.count("consistent") <= at_most(150, 0.05)
        assert said.count("consistent") > 2 * told.count("consistent")
        assert told.count("unlikely") > 2 * said.count("unlikely")


def test_random_claims_pass_without_calibration_no_more_often_than_said() -> None:
    city, rng = small_city(), np.random.default_rng(6)
    photos = city.photos(300, 5)
    p = city.posterior(photos.s)
    for radius_m in (60.0, 200.0, 600.0):  # the last covers a good part of this small index
        points, _ = false_claims(city.field, photos.lonlat_deg, 0.0, rng)
        verdicts = [verify_claim(city, q, at, radius_m) for q, at in zip(p, points, strict=True)]
        assert sum(v.verdict == "consistent" for v in verdicts) <= at_most(300, 0.05)


def test_without_calibration_nothing_is_called_unlikely_and_the_verdict_says_so() -> None:
    city = small_city()
    p = np.full(len(city.field), 1e-9)
    p[0] = 1 - p[1:].sum()
    best, worst = city.field.lonlat_deg[0], city.field.lonlat_deg[-1]
    verdict = verify_claim(city, p, best, 100.0)
    assert (verdict.verdict, verdict.rank, verdict.percentile) == ("consistent", 1, 100)
    assert verdict.p_true is None
    assert verdict.tested_radius_m is None
    assert "not calibrated" in verdict.sentence
    assert verify_claim(city, p, worst, 100.0).verdict == "cannot tell"


def test_a_calibrated_verdict_has_its_numbers_in_words() -> None:
    city = calibrated_city()
    assert city.calibration is not None
    p = np.full(len(city.field), 1e-7)
    p[500] = 1 - p[1:].sum()
    place = city.field.lonlat_deg[500]
    verdict = verify_claim(city, p, place, 150.0)
    assert verdict.verdict == "consistent"
    assert verdict.tested_radius_m == 200
    assert verdict.mass == pytest.approx(1, abs=1e-3)
    assert verdict.rates == {rate: city.calibration.measured[f"{rate}_200m"] for rate in RATES}
    for words in ("consistent", "None of about", "(tested at 200 m)", "at most 5%", "150 m"):
        assert words in verdict.sentence
    assert json.loads(json.dumps(verdict.to_dict()))["lat_deg"] == place[1]
    far = city.field.lonlat_deg[haversine_m(city.field.lonlat_deg, place).argmax()]
    p = p * city.field.area_m2
    p[haversine_m(city.field.lonlat_deg, far) < 400] = 0
    refused = verify_claim(city, p / p.sum(), far, 200.0)
    assert refused.verdict == "unlikely"
    assert refused.p_true is not None
    assert refused.p_true < LEVEL
    assert "unlikely to have been taken within 200 m" in refused.sentence


def test_a_radius_beyond_the_calibrated_ones_is_never_refused() -> None:
    city = calibrated_city()
    p = city.posterior(city.photos(1, 1).s)[0]
    verdict = verify_claim(city, p, LONDON, 2 * RADII_M[-1])
    assert (verdict.verdict, verdict.p_true, verdict.tested_radius_m) == ("cannot tell", None, None)
    assert "radii above 5,000 m are not calibrated" in verdict.sentence


def test_several_photos_are_tested_one_by_one() -> None:
    city = calibrated_city()
    each = city.posterior(city.photos(3, 1).s)
    together = np.prod(each, axis=0) / np.prod(each, axis=0).sum()
    alone = [verify_claim(city, p, LONDON, 500.0) for p in each]
    verdict = verify_claim(city, together, LONDON, 500.0, each=each)
    shares = [v.p_true for v in alone if v.p_true is not None]
    assert verdict.p_true == pytest.approx(min(1, 3 * min(shares)))
    assert verdict.mass == pytest.approx(verify_claim(city, together, LONDON, 500.0).mass)
    assert verdict.rates == {}


def test_a_place_without_a_cell_nearby_is_not_in_the_index() -> None:
    city = calibrated_city()
    p = city.posterior(city.photos(1, 1).s)[0]
    verdict = verify_claim(city, p, (2.35, 48.86), 500.0)
    assert (verdict.verdict, verdict.mass, verdict.rank) == ("not in this index", 0, None)
    assert json.loads(json.dumps(verdict.to_dict()))["p_true"] is None
    assert verdict.warnings == ()
    lon_deg, lat_deg = city.field.lonlat_deg[10]
    (caution,) = verify_claim(city, p, (lat_deg, lon_deg), 500.0).warnings
    assert coded((caution,))[0]["code"] == "exchanged"
    assert f"latitude {lat_deg:g}, longitude {lon_deg:g}?" in caution
    edge = city.field.lonlat_deg[city.field.lonlat_deg[:, 0].argmin()] - (0.003, 0)  # 200 m west
    assert city.cell_row(edge[None])[0] == -1
    assert verify_claim(city, p, edge, 100.0).verdict == "not in this index"
    assert verify_claim(city, p, edge, 500.0).verdict != "not in this index"
    inside = city.field.lonlat_deg[10]
    assert verify_claim(city, p, inside, 0.001).mass == pytest.approx(p[10])


@pytest.mark.parametrize(
    ("place", "radius_m", "told"),
    [
        ((-0.1, 91.0), 500.0, "latitude 91"),
        ((181.0, 0.0), 500.0, "longitude 181"),
        ((np.nan, 0.0), 500.0, "longitude nan"),
        (LONDON, 0.0, "radius is 0 m"),
        (LONDON, -5.0, "radius is -5 m"),
        (LONDON, np.inf, "radius is inf m"),
        (LONDON, np.nan, "radius is nan m"),
    ],
)
def test_claims_that_make_no_sense_are_refused(
    place: tuple[float, float], radius_m: float, told: str
) -> None:
    city = small_city()
    p = np.full(len(city.field), 1 / len(city.field))
    with pytest.raises(UsageError, match=told):
        verify_claim(city, p, place, radius_m)


@pytest.mark.parametrize("radius_m", [20.0, 250.0, 900.0])
def test_distinct_places_are_what_the_discs_cover_in_discs(radius_m: float) -> None:
    city = small_city()
    among = background(city.field, radius_m)
    x, y, z = among.points.T
    centres = np.degrees(np.stack([np.arctan2(y, x), np.arcsin(z)], axis=1))
    own, point = city.cell_row(centres), np.array([-0.115, 51.5])
    covered: set[int] = set()
    sizes = []
    for centre, cell in zip(centres, own, strict=True):
        if haversine_m(centre, point) > 2 * radius_m:
            inside = haversine_m(city.field.lonlat_deg, centre) <= radius_m
            inside[cell] = True
            covered |= set(np.flatnonzero(inside).tolist())
            sizes.append(city.field.area_m2[inside].sum())
    wanted = city.field.area_m2[sorted(covered)].sum() / np.mean(sizes)
    assert places_compared(city.field, point, among) == pytest.approx(wanted)


def test_a_verdict_counts_distinct_places_and_says_what_lies_outside() -> None:
    city = small_city()
    p = city.posterior(city.photos(1, 1).s)[0]
    middle = verify_claim(city, p, (-0.1, 51.505), 250.0)
    assert middle.rim_share == 0
    assert 5 < middle.distinct_compared < middle.compared / 5
    share = middle.distinct_as_good / middle.distinct_compared
    assert abs(share - (middle.rank - 1) / middle.compared) <= 1 / middle.distinct_compared  # type: ignore[operator]
    assert f"of {middle.distinct_compared} distinct places" in middle.sentence.replace("about ", "")
    assert middle.warnings == ()
    west = float(city.field.lonlat_deg[:, 0].min())
    rim = verify_claim(city, p, (west, 51.505), 250.0)
    rng = np.random.default_rng(0)
    drawn = points_around(np.tile((west, 51.505), (20_000, 1)), 250.0, rng)
    assert rim.rim_share == pytest.approx((city.cell_row(drawn) < 0).mean(), abs=0.02)
    assert 0.3 < rim.rim_share < 0.6
    assert any("lies outside the index" in said for said in rim.warnings)
    assert [w["code"] for w in rim.to_dict()["warnings"]] == ["claim_at_rim"]


def test_a_claim_that_is_the_answers_own_is_no_test_and_claims_are_counted() -> None:
    city = calibrated_city()
    p = city.posterior(city.photos(1, 1).s)[0]
    own = np.array([[-0.12, 51.5], LONDON])
    near = (LONDON[0], LONDON[1] + 0.003)  # 330 m north
    asked = Context(own_lonlat_deg=own, own_radius_m=50.0, claim_number=3)
    verdict = verify_claim(city, p, near, 500.0, context=asked)
    assert (verdict.own_place, verdict.own_place_rank, verdict.claim_number) == (True, 2, 3)
    assert "its own place 2" in verdict.warnings[0]
    assert verdict.warnings[1].startswith("3rd claim tested on this photo: of 3 random")
    assert "15%" in verdict.warnings[1]
    closer = verify_claim(city, p, near, 100.0, context=asked)
    assert (closer.own_place, closer.own_place_rank) == (False, None)
    with pytest.raises(UsageError, match="`claim_number` is 0"):
        verify_claim(city, p, near, context=Context(claim_number=0))


def test_a_verdict_has_its_evidence_in_numbers_and_words() -> None:
    city = calibrated_city()
    calibration = city.calibration
    assert calibration is not None
    p = city.posterior(city.photos(1, 1).s)[0]
    place = city.field.lonlat_deg[p.argmax()]
    verdict = verify_claim(city, p, place, 300.0, context=Context(prior_odds=1 / 99))
    share = city.field.area_m2 / city.field.area_m2.sum()
    inside = haversine_m(city.field.lonlat_deg, place) <= 500
    mass, area = p[inside].sum(), share[inside].sum()
    score = np.log(mass / (1 - mass)) - np.log(area / (1 - area))
    ratio = float(np.exp(calibration.likelihood_ratios["random"][500.0].log_ratio(score)))
    assert verdict.likelihood_ratio == pytest.approx(ratio)
    assert [one.alternative for one in verdict.evidence] == ["random", "lookalike", "elsewhere"]
    assert verdict.evidence[0].posterior_odds == pytest.approx(ratio / 99)
    for words in ("somewhere else in the index", "Prior odds of 1 to 99", "radius of 500 m"):
        assert words in verdict.evidence_sentence
    told = json.loads(json.dumps(verdict.to_dict()))
    assert told["evidence"][0]["likelihood_ratio"] == pytest.approx(ratio)
    assert told["prior_odds"] == 1 / 99


def test_why_there_is_no_evidence() -> None:
    city = small_city(calibrated=True)
    p = city.posterior(city.photos(1, 1).s)[0]
    beyond = verify_claim(city, p, LONDON, 9000.0)
    assert "No likelihood ratio: calibration has none for a radius" in beyond.evidence_sentence
    assert city.calibration is not None
    city.calibration = dataclasses.replace(city.calibration, likelihood_ratios={})
    older = verify_claim(city, p, LONDON, 500.0)
    assert older.likelihood_ratio is None
    assert older.evidence == ()
    assert "calibrate again with python -m indexer calibrate" in older.evidence_sentence
    city.calibration = None
    assert "the index is not calibrated" in verify_claim(city, p, LONDON).evidence_sentence
