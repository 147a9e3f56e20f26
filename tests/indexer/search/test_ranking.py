"""Answers of a calibrated index: every number against a slow loop, and every doubt spoken."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hand_calibration import MASSES, WEIGHTS, calibrate_by_hand
from small_builds import tiny_model
from toy_city import photo

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import haversine_m
from gair.photos.photo import open_photo
from indexer import Answer, search
from indexer.evaluate.judge import Judge, Outcomes, Ranking, Truths
from indexer.probability.calibration import calibration_path
from indexer.probability.posterior import ScoreWeights
from indexer.probability.verdicts import CANNOT_TELL
from indexer.regions.flat_grid import moved
from indexer.search.answer import UNCALIBRATED
from indexer.search.by_name import verify
from indexer.search.geolocator import Geolocator
from indexer.search.prior import build_prior
from indexer.search.ranking import CENTRE_ONLY, OWN_WEIGHTS, TOGETHER, WITH_PRIOR
from indexer.search.scored import Scored, Seen


@pytest.fixture(scope="module")
def indexes(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(tiny_index / "toy", folder / "toy")
    calibrate_by_hand(folder / "toy")
    return folder


@pytest.fixture(scope="module")
def toy(indexes: Path) -> Geolocator:
    return Geolocator.open("toy", indexes_dir=indexes, model=tiny_model())


@pytest.fixture(scope="module")
def plain(tiny_index: Path) -> Geolocator:
    return Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model())


def slow_likelihood(toy: Geolocator, image: Any) -> Floats:
    """Cell by cell: the mean of exp(weighted score) over the Gaussian neighbourhood."""
    scored = toy.every_cell(toy.seen([image])[0])
    u = WEIGHTS.rs_weight * scored.rs[0].astype(np.float64)
    u += WEIGHTS.location_weight * scored.location[0]
    cells = toy.index.cells
    masses = []
    for here in cells.lonlat_deg:
        away_m = haversine_m(here, cells.lonlat_deg)
        near = away_m <= 3 * WEIGHTS.spread_m
        weight = np.exp(-0.5 * (away_m / WEIGHTS.spread_m) ** 2) * cells.area_m2 * near
        masses.append((weight * np.exp(u)).sum() / weight.sum())
    return np.array(masses)


def slow_posterior(toy: Geolocator, images: list[Any]) -> Floats:
    each = [slow_likelihood(toy, image) for image in images]
    area = toy.index.cells.area_m2
    likelihood = np.prod(each, axis=0) ** (1 / slow_divisor(np.log(each), area))
    weighted = likelihood * area
    return np.asarray(weighted / weighted.sum())


def slow_divisor(maps: Floats, share: Floats) -> float:
    """1 + (M - 1) rho: rho the correlation of two maps, the mean over all pairs, at least 0.6."""
    pairs = [(a, b) for b in range(len(maps)) for a in range(b)]
    rho = []
    for a, b in pairs:
        one, other = (maps[m] - np.average(maps[m], weights=share) for m in (a, b))
        products = [(share * x * y).sum() for x, y in ((one, other), (one, one), (other, other))]
        rho.append(products[0] / np.sqrt(products[1] * products[2]))
    return 1.0 + (len(maps) - 1) * max(0.6, float(np.mean(rho))) if pairs else 1.0


def disc_mass(toy: Geolocator, p: Floats, row: int, radius_m: float) -> float:
    cells = toy.index.cells.lonlat_deg
    return float(p[haversine_m(cells[row], cells) <= radius_m].sum())


def test_probabilities_equal_a_slow_loop(toy: Geolocator) -> None:
    answer = toy.search(photo(1), k=4)
    p = slow_posterior(toy, [photo(1)])
    assert answer.posterior is not None
    np.testing.assert_allclose(answer.posterior, p, rtol=1e-5)
    masses = [disc_mass(toy, p, row, toy.space.merge_radius_m) for row in range(len(p))]
    assert answer.candidates[0].row == int(np.argmax(masses))
    radius_m = toy.space.merge_radius_m
    area = toy.index.cells.area_m2 / toy.index.cells.area_m2.sum()
    falling = 1.0
    for c in answer.candidates:  # slope 1, intercept 0: the mass itself, around what is shown
        wanted = mass_around(toy, p, c.shown_lonlat_deg, radius_m)
        falling = min(falling, wanted)
        assert c.probability == pytest.approx(falling, rel=1e-4)
        assert c.chance_level == pytest.approx(mass_around(toy, area, c.shown_lonlat_deg, radius_m))
        assert c.interval is not None
        assert c.interval[0] <= c.probability <= c.interval[1]
    assert sum(c.probability or 0 for c in answer.candidates) < 1
    assert answer.given.startswith("if it was taken in this index, with date, hour and focal")
    assert answer.calibrated
    assert (answer.rs_weight, answer.location_weight) == (0.75, 0.25)
    assert answer.temperature == pytest.approx(1 / 12)


def test_hardly_a_cell_counts_for_two_places(toy: Geolocator) -> None:
    points = [(c.lon_deg, c.lat_deg) for c in toy.search(photo(2), k=8).candidates]
    for point, other in itertools.combinations(points, 2):
        assert haversine_m(point, other) > 1.5 * toy.space.merge_radius_m


def mass_around(toy: Geolocator, p: Floats, point: tuple[float, float], radius_m: float) -> float:
    """Of the cells whose centre is within the radius, and of the one that holds the point."""
    near = haversine_m(np.array(point), toy.index.cells.lonlat_deg) <= radius_m
    near[toy.space.cell_row([point])[0]] = True
    return float(p[near].sum())


@pytest.mark.parametrize("refine", [True, False])
def test_confidence_is_the_logistic_of_the_disc_around_the_point_shown(
    toy: Geolocator, refine: bool
) -> None:
    answer = toy.search(photo(3), refine=refine)
    p = slow_posterior(toy, [photo(3)])
    best = answer.candidates[0]
    shown = best.refined_lonlat_deg or (best.lon_deg, best.lat_deg)
    assert (shown != (best.lon_deg, best.lat_deg)) is refine
    assert [c.radius_m for c in answer.confidence] == [200.0, 1000.0]
    for c in answer.confidence:  # slope 1, intercept 0: the mass itself
        assert c.probability == pytest.approx(mass_around(toy, p, shown, c.radius_m), rel=1e-4)
    assert answer.confidence[0].probability <= answer.confidence[1].probability
    assert CENTRE_ONLY not in answer.warnings


def test_a_calibration_of_centres_only_keeps_its_meaning_and_says_so(
    tiny_index: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    calibrate_by_hand(tmp_path / "toy", refined_confidence={})
    old = Geolocator.open("toy", indexes_dir=tmp_path, model=tiny_model())
    refined, plain = old.search(photo(3)), old.search(photo(3), refine=False)
    assert refined.candidates[0].refined_lonlat_deg is not None
    assert refined.confidence == plain.confidence
    assert CENTRE_ONLY in refined.warnings
    assert CENTRE_ONLY not in plain.warnings
    assert old.calibration is not None
    with pytest.raises(UsageError, match="centres of cells only: calibrate again"):
        old.calibration.confidence_within(0.5, 200.0, refined=True)


def test_regions_are_the_densest_cells_with_the_conformal_mass(toy: Geolocator) -> None:
    answer = toy.search(photo(4))
    p = slow_posterior(toy, [photo(4)])
    area = toy.index.cells.area_m2
    for told, (level, mass) in zip(
        answer.regions, [(0.5, MASSES[19]), (0.9, MASSES[35])], strict=True
    ):
        rows: list[int] = []
        for row in np.argsort(-p / area):
            rows.append(int(row))
            if p[rows].sum() >= mass:
                break
        region = answer.region(level)
        assert region.rows.tolist() == rows
        assert told["level"] == level
        assert told["km2"] == pytest.approx(area[rows].sum() / 1e6)
        assert told["promised"] is True
        assert region.to_geojson()["geometry"]["type"] in ("Polygon", "MultiPolygon")


def test_photos_of_one_place_multiply(toy: Geolocator) -> None:
    images = [photo(1), photo(2), photo(3)]
    answer = toy.search(images, same_place=True)
    assert isinstance(answer, Answer)
    assert answer.posterior is not None
    np.testing.assert_allclose(answer.posterior, slow_posterior(toy, images), rtol=1e-4, atol=1e-12)
    assert answer.photos == ("photo",) * 3
    assert TOGETHER in answer.warnings
    assert answer.regions[0]["promised"] is False
    alone = toy.search(images[:1], same_place=True)
    assert alone.candidates == toy.search(images[0]).candidates
    with pytest.raises(UsageError, match="no photos of the place"):
        toy.search([], same_place=True)


def test_copies_of_a_photo_count_once_and_it_is_said(toy: Geolocator) -> None:
    once = toy.search(photo(1))
    four = toy.search([photo(1)] * 4, same_place=True)
    assert four.photos == ("photo",) * 4
    copies = "3 of 4 photos are copies of others: each photo counts once"
    assert set(four.warnings) - set(once.warnings) == {copies}
    assert four.posterior is not None
    # A batch of four is encoded in another order of sums.
    np.testing.assert_allclose(four.posterior, once.posterior, rtol=1e-3)
    assert [c.row for c in four.candidates] == [c.row for c in once.candidates]
    assert all(region["promised"] for region in four.regions)
    two = toy.search([photo(1), photo(2), photo(1)], same_place=True)
    assert "1 of 3 photos is a copy of another: each photo counts once" in two.warnings
    both = toy.search([photo(1), photo(2)], same_place=True)
    assert [c.row for c in two.candidates] == [c.row for c in both.candidates]
    lon_deg, lat_deg = once.candidates[0].lon_deg, once.candidates[0].lat_deg
    verdict = toy.verify([photo(1)] * 2, lon_deg, lat_deg)
    assert "1 of 2 photos is a copy of another: each photo counts once" in verdict.warnings
    assert verdict.mass == pytest.approx(toy.verify(photo(1), lon_deg, lat_deg).mass, rel=1e-3)
    drawn = toy.heatmap([photo(1)] * 2)
    assert "1 of 2 photos is a copy of another" in drawn.note
    np.testing.assert_allclose(drawn.values, toy.heatmap(photo(1)).values, rtol=1e-3)


def test_a_prior_leaves_cells_out_and_takes_the_promise_back(toy: Geolocator) -> None:
    middle = float(np.median(toy.index.cells.lonlat_deg[:, 1]))
    prior = build_prior(toy.index, where=f"lat_deg > {middle}")
    answer = toy.search(photo(1), k=50, prior=prior)
    north = toy.index.cells.lonlat_deg[:, 1] > middle
    p = slow_posterior(toy, [photo(1)]) * north
    assert answer.posterior is not None
    np.testing.assert_allclose(answer.posterior, p / p.sum(), rtol=1e-5)
    assert answer.prior
    assert WITH_PRIOR in answer.warnings
    assert not answer.regions[1]["promised"]
    assert north[answer.region(0.9).rows].all()


def test_no_place_is_centred_on_a_cell_that_the_prior_rules_out(toy: Geolocator) -> None:
    """The discs of its neighbours hold all the probability, too, and come first by row."""
    only = toy.index.cells.lonlat_deg[80]
    where = f"abs(lon_deg - {only[0]}) < 1e-9 AND abs(lat_deg - {only[1]}) < 1e-9"
    answer = toy.search(photo(1), k=5, prior=build_prior(toy.index, where=where))
    assert [candidate.row for candidate in answer.candidates] == [80]
    # The prior says it all: the disc holds everything that was searched.
    assert answer.candidates[0].probability is None
    assert answer.confidence == ()


def test_weights_of_ones_own_give_scores_only(toy: Geolocator, indexes: Path) -> None:
    answer = toy.search(photo(1), rs_weight=1, location_weight=0)
    assert not answer.calibrated
    assert OWN_WEIGHTS in answer.warnings
    assert answer.regions == answer.confidence == ()
    assert answer.membership is answer.temperature is answer.candidates[0].probability is None
    with pytest.raises(UsageError, match="gives no regions: .* weights of your own"):
        answer.region(0.9)


def test_an_uncalibrated_index_says_so_and_a_prior_only_leaves_out(plain: Geolocator) -> None:
    middle = float(np.median(plain.index.cells.lonlat_deg[:, 1]))
    prior = build_prior(plain.index, where=f"lat_deg > {middle}")
    answer = plain.search(photo(1), k=500, prior=prior)
    assert UNCALIBRATED in answer.warnings
    assert all(c.lat_deg > middle for c in answer.candidates)
    assert not answer.calibrated
    with pytest.raises(UsageError, match="indexer calibrate"):
        answer.region(0.5)


@pytest.mark.parametrize(("lowest", "inside"), [(-1e9, True), (1e9, False)])
def test_a_photo_that_looks_like_nothing_in_the_index(
    tiny_index: Path, tmp_path: Path, lowest: float, inside: bool
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    made = calibrate_by_hand(tmp_path / "toy")
    scores = np.linspace(lowest, lowest + 1, 99)
    strange = dataclasses.replace(made.out_of_index, scores=scores, miss_rate=0.3)
    dataclasses.replace(made, out_of_index=strange).save(
        calibration_path(tmp_path / "toy", made.build)
    )
    toy = Geolocator.open("toy", indexes_dir=tmp_path, model=tiny_model())
    answer = toy.search(photo(1))
    verdict = toy.verify(photo(1), *toy.index.cells.lonlat_deg[0])
    assert bool(verdict.warnings) is not inside
    assert verdict.verdict == CANNOT_TELL or inside
    assert verdict.to_dict()["membership"]["in_index"] is inside
    assert all(region["promised"] is inside for region in answer.regions)
    assert all(region["refused"] is not inside for region in answer.regions)
    assert answer.region(0.7).to_geojson()["properties"]["promised"] is inside
    heat = toy.heatmap(photo(1))
    assert heat.region is not None
    assert (heat.region.promised, heat.region.refused) == (inside, not inside)
    assert ("looks like nothing" in heat.to_geojson()["note"]) is not inside
    assert answer.membership is not None
    assert answer.membership.in_index is inside
    assert answer.membership.miss_rate == 0.3
    assert answer.membership.p_value == pytest.approx(1.0 if inside else 0.01)
    assert ("looks like nothing in this index" in answer.warnings[0]) is not inside


def test_answers_are_plain_json(toy: Geolocator) -> None:
    values = toy.search(photo(5)).to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["membership"]["level"] == 0.05
    assert values["schema_version"] == 3
    share = values["elsewhere"]
    assert (share["prior"], share["basis"]) == (0.5, "bound")
    sure = toy.search(photo(5), elsewhere_prior=0.0).elsewhere
    assert sure is not None
    assert sure.probability == 0
    with pytest.raises(UsageError, match="elsewhere_prior"):
        toy.search(photo(5), elsewhere_prior=2.0)
    untrained = values["warnings"][0]
    assert untrained["code"] == "untrained_model"
    assert "untrained" in untrained["text"]
    assert {"posterior", "make_region"}.isdisjoint(values)


def test_refined_points_lie_near_their_cell_and_score_no_less(toy: Geolocator) -> None:
    answer = toy.search(photo(6), k=7)
    plain = toy.search(photo(6), k=7, refine=False)
    assert [c.row for c in answer.candidates] == [c.row for c in plain.candidates]
    assert all(c.refined_lonlat_deg is None for c in plain.candidates)
    for c in answer.candidates[:5]:
        assert c.refined_lonlat_deg is not None
        away_m = haversine_m(c.refined_lonlat_deg, (c.lon_deg, c.lat_deg))
        assert away_m <= 1.5 * toy.space.field.spacing_m + 1
    assert all(c.refined_lonlat_deg is None for c in answer.candidates[5:])


def slow_mean_place(
    geo: Geolocator,
    s: Floats,
    start: Floats,
    weights: tuple[float, float],
    radius_m: float,
    divisor: float,
) -> Floats:
    """The mean place of (M, D) photos around a start: the root of the product of likelihoods."""
    assert geo.space.reader is not None
    step_m = geo.space.reader.token_m / 4
    steps = range(-int(radius_m // step_m), int(radius_m // step_m) + 1)
    offsets = np.array([(x, y) for x in steps for y in steps]) * step_m
    points = moved(start, offsets[np.hypot(*offsets.T) <= radius_m])
    points = points[geo.space.reader.indexed(points)]
    z, e = geo.space.reader.localized(points), geo.space.reader.locations(points)
    total, place = 0.0, np.zeros(2)
    for point, at_z, at_e in zip(points, z.astype(np.float64), e.astype(np.float64), strict=True):
        likelihood = 1.0
        for one in s:
            likelihood *= np.exp(weights[0] * (one @ at_z) + weights[1] * (one @ at_e))
        total += likelihood ** (1 / divisor)
        place += likelihood ** (1 / divisor) * point
    return np.asarray(place / total)


@pytest.mark.parametrize("photos", [1, 2, 4])
@pytest.mark.parametrize("calibrated", [True, False])
def test_photos_of_one_place_are_refined_together(
    toy: Geolocator, plain: Geolocator, calibrated: bool, photos: int
) -> None:
    geo = toy if calibrated else plain
    seen = Seen.together(geo.seen([photo(n) for n in range(1, photos + 1)]))
    weights, radius_m = (9.0, 3.0), 0.75 * toy.space.merge_radius_m  # half of one and a half
    area = geo.index.cells.area_m2
    if calibrated:
        each = [slow_likelihood(geo, photo(n)) for n in range(1, photos + 1)]
        divisor = slow_divisor(np.log(each), area)
    else:
        weights = 1 / 0.07, 0.0
        divisor = slow_divisor(geo.every_cell(seen).rs.astype(np.float64), area)
    for c in geo.search(seen, k=3).candidates:
        assert c.refined_lonlat_deg is not None
        centre = np.array([c.lon_deg, c.lat_deg])
        s = seen.s.astype(np.float64)
        wanted = slow_mean_place(geo, s, centre, weights, radius_m, divisor)
        assert haversine_m(c.refined_lonlat_deg, wanted) < 0.05


def alike_cells(folder: Path) -> Geolocator:
    """The index with cells of one area each, so that equal scores are exactly equal masses."""
    toy = Geolocator.open("toy", indexes_dir=folder, model=tiny_model())
    cells = toy.index.cells
    area_m2 = np.full(len(cells), cells.area_m2.mean())
    index = dataclasses.replace(toy.index, cells=dataclasses.replace(cells, area_m2=area_m2))
    return Geolocator(index, tiny_model())


def first_rows(by: npt.NDArray[Any], lonlat_deg: Floats, k: int, apart_m: float) -> list[int]:
    """The best places by whole numbers; of equal ones the first row comes first."""
    rows: list[int] = []
    for row in sorted(range(len(by)), key=lambda row: (-int(by[row]), row)):
        if all(haversine_m(lonlat_deg[row], lonlat_deg[other]) > apart_m for other in rows):
            rows.append(row)
    return rows[:k]


@pytest.mark.parametrize("calibrated", [True, False])
def test_equal_places_go_by_row_in_a_search_and_in_an_evaluation(
    tiny_index: Path, tmp_path: Path, calibrated: bool
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    score_weights = ScoreWeights(9.0, 3.0, 0.0)
    if calibrated:
        calibrate_by_hand(tmp_path / "toy", weights=score_weights)
    geo = alike_cells(tmp_path)
    cells, radius_m = geo.index.cells.lonlat_deg, geo.space.merge_radius_m
    # All are equally likely: a place has as much mass as there are cells in it.
    by = (haversine_m(cells[:, None], cells[None]) <= radius_m).sum(axis=1)
    wanted = first_rows(by, cells, 10, 1.5 * radius_m)
    scores = np.full((1, len(cells)), 0.25, dtype=np.float32)
    seen = Scored((open_photo(photo(1)),), np.zeros((1, 192), np.float32), scores, scores)
    answer = geo.search(seen, k=10, refine=False)
    assert [c.row for c in answer.candidates] == wanted

    ranking = Ranking(0.5, 0.5, score_weights if calibrated else None)
    judge, outcomes = Judge(geo.space), Outcomes.failed(1, ranking)
    judge.prepare(ranking)
    true = wanted[3]
    truths = Truths(seen.s, cells[[true]], np.array([true]), np.array([0]))
    judge.judge(ranking, (scores, scores), truths, outcomes, np.array([0]))
    np.testing.assert_array_equal(outcomes.shown_lonlat_deg[0], cells[wanted[0]])
    assert outcomes.error_m[0] == haversine_m(cells[wanted[0]], cells[true])
    assert outcomes.near_places_m[0, 1] == 0  # the truth is among the first ten
    assert outcomes.rank[0] == (1 + len(cells)) / 2  # the mean over all orders of equals


def test_search_by_name_follows_a_new_calibration(
    tiny_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "indexes" / "toy")
    monkeypatch.chdir(tmp_path)
    before = search(photo(1))
    assert isinstance(before, Answer)
    assert not before.calibrated
    calibrate_by_hand(tmp_path / "indexes" / "toy")
    after = search(photo(1))
    assert isinstance(after, Answer)
    assert after.calibrated
    place = after.candidates[0]
    verdict = verify(photo(1), place.lon_deg, place.lat_deg, 500.0)
    geolocator = Geolocator.open("toy", model=tiny_model())
    assert verdict == geolocator.verify(photo(1), place.lon_deg, place.lat_deg, 500.0)


def test_verify_asks_with_the_calibrated_posterior(toy: Geolocator) -> None:
    place = toy.search(photo(1)).candidates[0]
    p = slow_posterior(toy, [photo(1)])
    merge_radius_m = toy.space.merge_radius_m
    verdict = toy.verify(photo(1), place.lon_deg, place.lat_deg, merge_radius_m)
    assert verdict.mass == pytest.approx(disc_mass(toy, p, place.row, merge_radius_m), rel=1e-5)
    both = toy.verify([photo(1), photo(2)], place.lon_deg, place.lat_deg, 500.0)
    assert both.mass == pytest.approx(
        disc_mass(toy, slow_posterior(toy, [photo(1), photo(2)]), place.row, 500.0), rel=1e-4
    )
