"""Reference photos in a search: they move the posterior, are shown, and can be left out."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hand_calibration import WEIGHTS, calibrate_by_hand
from reference_samples import give_references, reference_photos
from references import slow_log_ratios
from small_builds import tiny_model
from toy_city import photo

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.commands.cli import main
from indexer.commands.search import answer_lines
from indexer.ground.likelihood import GroundKernel
from indexer.probability.basis import GroundBasis
from indexer.probability.posterior import log_likelihood
from indexer.search.geolocator import Geolocator
from indexer.search.query import Query
from indexer.search.ranking import ground_readings, refine_options
from indexer.search.refine import Refining, refine_each
from indexer.search.scored import Scored
from indexer.search.space import SearchSpace

COUNT = 60
KERNEL = GroundKernel(400.0, 12.0, pseudo_photos=1.0)
"""Cells of resolution 9 are 350 m apart."""
LIKELY = (11.0, 2.0)
"""Factors of the two cosines in how likely cells are without reference photos."""


@pytest.fixture(scope="module")
def folder(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two copies of an index: ``with`` and ``without`` reference photos."""
    home = tmp_path_factory.mktemp("ground")
    for name in ("with", "without"):
        shutil.copytree(tiny_index / "toy", home / name)
    geolocator = Geolocator.open(home / "without", model=tiny_model())
    rng = np.random.default_rng(0)
    s = rng.normal(size=(COUNT, geolocator.index.rs.dim)).astype(np.float32)
    (asked,) = geolocator.seen([photo(1)])
    s[0] = asked.s[0] + 0.02 * s[0]
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    places = geolocator.index.cells.lonlat_deg[rng.integers(0, len(geolocator.index.cells), COUNT)]
    facts = {"licence": ["CC BY 4.0"] * COUNT, "link": [f"https://e.org/{n}" for n in range(COUNT)]}
    dates = {"captured_at": ["2023-05-06T10:00:00"] * COUNT, "heading_deg": [90.0] * COUNT}
    give_references(home / "with", reference_photos(places, 9, **facts, **dates), s)
    return home


@pytest.fixture(scope="module")
def plain(folder: Path) -> Geolocator:
    return Geolocator.open(folder / "without", model=tiny_model())


@pytest.fixture(scope="module")
def grounded(folder: Path) -> Geolocator:
    return Geolocator.open(folder / "with", model=tiny_model())


def calibrated(
    folder: Path, tmp_path: Path, *, weight: float = 0.8, shared: bool = True
) -> Geolocator:
    """A calibrated copy of the index with reference photos.

    What they say is shared out among likely places, or not, as in older calibrations.
    """
    shutil.copytree(folder / "with", tmp_path / "with")
    uncalibrated = Geolocator.open(tmp_path / "with", model=tiny_model()).space.ground
    assert uncalibrated is not None
    content = uncalibrated.comparison.photos.manifest.content_sha256
    kernel = dataclasses.astuple(KERNEL)
    weights = dataclasses.replace(WEIGHTS, ground_weight=weight)
    weights = dataclasses.replace(weights, ground_kernel_m=kernel[0], ground_sharpness=kernel[1])
    if shared:
        weights = dataclasses.replace(
            weights, ground_rs_weight=LIKELY[0], ground_location_weight=LIKELY[1]
        )
    ground = GroundBasis(COUNT, content, 100.0, {"near it": 3}, 2)
    calibrate_by_hand(tmp_path / "with", weights=weights, ground=ground)
    return Geolocator.open(tmp_path / "with", model=tiny_model())


def slow_ratios(
    space: SearchSpace,
    scored: Scored,
    points: Floats,
    kernel: GroundKernel,
    likely: tuple[float, float] | None,
) -> list[float]:
    """The formula, shared out among likely places or not."""
    assert space.ground is not None
    photos = space.ground.comparison.photos
    cells_deg, p = None, np.empty(0)
    if likely is not None:
        cells_deg = space.field.lonlat_deg
        p = np.exp(likely[0] * scored.rs[0] + likely[1] * scored.location[0]) * space.area_m2
    return slow_log_ratios(
        photos,
        scored.s[0],
        points,
        *(kernel.kernel_m, kernel.sharpness),
        pseudo=kernel.pseudo_photos,
        cells_deg=cells_deg,
        likely=p.tolist(),
        power=kernel.power,
    )


def test_without_reference_photos_a_search_is_as_it_was(
    plain: Geolocator, grounded: Geolocator
) -> None:
    answer = plain.search(photo(1))
    told = answer.to_dict()
    assert told["ground_weight"] is None
    assert {(c["ground_score"], len(c["ground_photos"])) for c in told["candidates"]} == {(None, 0)}
    assert "photo near place" not in "\n".join(answer_lines(answer))
    off = grounded.search(photo(1), ground_weight=0.0)
    assert [c.score for c in off.candidates] == [c.score for c in answer.candidates]
    assert off.ground_weight is None
    assert plain.search(photo(1), ground_weight=0.0).candidates == answer.candidates
    with pytest.raises(UsageError, match="has no reference photos: add some"):
        plain.search(photo(1), ground_weight=0.5)


def test_a_score_is_the_sum_of_three_and_the_nearest_photos_are_shown(grounded: Geolocator) -> None:
    answer = grounded.search(photo(1), k=4, refine=False)
    assert answer.ground_weight is not None
    assert answer.ground_weight > 0
    scored = grounded.every_cell(grounded.seen([photo(1)])[0])
    own = grounded.space.weights
    for place in answer.candidates:
        at = np.array([(place.lon_deg, place.lat_deg)])
        likely = own.rs_weight, own.location_weight
        (wanted,) = slow_ratios(grounded.space, scored, at, GroundKernel(), likely)
        assert place.ground_score == pytest.approx(wanted, abs=1e-4)
        fused = answer.rs_weight * place.rs_score + answer.location_weight * place.location_score
        fused += answer.ground_weight * place.ground_score
        assert place.score == pytest.approx(fused, abs=1e-5)
    best = answer.candidates[0]
    assert best.ground_score == max(c.ground_score or 0 for c in answer.candidates)
    near = best.ground_photos[0]
    assert near.cosine > 0.95
    assert (near.taken_on, near.heading_deg, near.licence) == ("2023-05-06", 90.0, "CC BY 4.0")
    cosines = [one.cosine for one in best.ground_photos]
    assert cosines == sorted(cosines, reverse=True)
    told = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert told["candidates"][0]["ground_photos"][0] == dataclasses.asdict(near)
    lines = "\n".join(answer_lines(answer))
    assert f"photo near place 1: {near.distance_m:,.0f} m off, cosine 0." in lines
    assert "2023-05-06, looking to 90 deg, CC BY 4.0, https://e.org/" in lines
    assert "reference photos 0.07 (by default)" in lines


def test_the_distance_of_a_photo_is_from_the_place_that_is_shown(grounded: Geolocator) -> None:
    answer = grounded.search(photo(1), k=1)
    (place,) = answer.candidates
    assert place.refined_lonlat_deg is not None
    field = grounded.space.ground
    assert field is not None
    away_m = haversine_m(field.comparison.photos.lonlat_deg, place.shown_lonlat_deg)
    assert place.ground_photos[0].distance_m in away_m


@pytest.mark.parametrize("shared", [True, False])
def test_the_posterior_is_one_of_all_three(folder: Path, tmp_path: Path, shared: bool) -> None:
    geolocator = calibrated(folder, tmp_path, shared=shared)
    space, weights = geolocator.space, geolocator.space.weights
    (seen,) = geolocator.seen([photo(2)])
    scored = geolocator.every_cell(seen)
    likely = LIKELY if shared else None
    kernel = dataclasses.replace(KERNEL, power=0.8)
    ground = np.array([slow_ratios(space, scored, space.field.lonlat_deg, kernel, likely)])
    logits = weights.rs_weight * scored.rs + weights.location_weight * scored.location
    logits = logits + 0.8 * ground
    blur = space.blur(weights.spread_m)
    wanted = np.exp(logits - logits.max()) if blur is None else blur @ np.exp(logits - 20)[0]
    wanted = np.asarray(wanted).reshape(-1) * space.area_m2
    answer = geolocator.search(photo(2))
    assert answer.posterior is not None
    np.testing.assert_allclose(answer.posterior, wanted / wanted.sum(), rtol=1e-4)
    assert answer.ground_weight == pytest.approx(0.8 / 12)
    heat = geolocator.heatmap(photo(2))
    np.testing.assert_allclose(heat.values, answer.posterior, rtol=1e-5)
    of_ground = geolocator.heatmap(photo(2), of="ground")
    np.testing.assert_allclose(of_ground.values, ground[0], atol=1e-4)
    assert of_ground.units == "log ratio of the reference photos around"
    lon_deg, lat_deg = space.field.lonlat_deg[int(answer.posterior.argmax())]
    verdict = geolocator.verify(photo(2), lon_deg, lat_deg, 100.0)
    assert verdict.mass == pytest.approx(answer.posterior.max(), rel=1e-5)
    without = geolocator.search(photo(2), ground_weight=0.0)
    assert (without.calibrated, without.weights_by) == (False, "you")
    with_own = geolocator.search(photo(2), ground_weight=answer.ground_weight)
    assert with_own.calibrated
    lik = log_likelihood(scored.rs, scored.location, weights, blur, ground)
    assert lik.shape == (1, len(space.field))


def test_refined_points_read_reference_photos_between_cells(folder: Path, tmp_path: Path) -> None:
    geolocator = calibrated(folder, tmp_path, weight=3.0)
    answer = geolocator.search(photo(1), k=1)
    (place,) = answer.candidates
    space, reader = geolocator.space, geolocator.space.reader
    assert reader is not None
    scored = geolocator.every_cell(geolocator.seen([photo(1)])[0])
    s = scored.s
    options = refine_options(space, Query())
    evidence = space.ground_evidence(s, scored.cosines, space.weights)
    (reading,) = ground_readings(evidence, 1)
    start = np.array([(place.lon_deg, place.lat_deg)])
    ((refined,),) = refine_each(reader, [Refining(s[0], start, options, reading)])
    at = np.array([(refined.lon_deg, refined.lat_deg)])
    kernel = dataclasses.replace(KERNEL, power=3.0)
    wanted = slow_ratios(space, scored, at, kernel, LIKELY)
    assert refined.ground_score == pytest.approx(wanted[0], abs=1e-3)
    grid = refined.surface
    inside = np.isfinite(grid.scores)
    points = grid.lonlat_deg[inside]
    exact = slow_ratios(space, scored, points[::7], kernel, LIKELY)
    plain = dataclasses.replace(options, ground_weight=0.0)
    assert place.refined_lonlat_deg == pytest.approx((refined.lon_deg, refined.lat_deg), abs=1e-7)
    ((bare,),) = refine_each(reader, [Refining(s[0], start, plain)])
    read = (grid.scores - bare.surface.scores)[inside][::7] / options.ground_weight
    np.testing.assert_allclose(read, exact, atol=0.03)  # linear between points of a lattice


def test_other_reference_photos_than_calibrated_with_promise_nothing(
    folder: Path, tmp_path: Path
) -> None:
    geolocator = calibrated(folder, tmp_path)
    codes = {w["code"] for w in geolocator.search(photo(1)).to_dict()["warnings"]}
    assert "other_reference_photos" not in codes
    (tmp_path / "with" / "GROUND").unlink()
    gone = Geolocator.open(tmp_path / "with", model=tiny_model())
    answer = gone.search(photo(1))
    assert answer.calibrated
    assert answer.ground_weight is None
    assert not any(region["promised"] for region in answer.regions)
    assert "other_reference_photos" in {w["code"] for w in answer.to_dict()["warnings"]}
    calibrate_by_hand(tmp_path / "with")
    assert "other_reference_photos" not in {
        w["code"]
        for w in Geolocator.open(tmp_path / "with", model=tiny_model())
        .search(photo(1))
        .to_dict()["warnings"]
    }


def test_a_calibration_from_before_them_gives_them_no_weight_and_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "with", tmp_path / "with")
    calibrate_by_hand(tmp_path / "with")
    geolocator = Geolocator.open(tmp_path / "with", model=tiny_model())
    answer = geolocator.search(photo(1))
    assert answer.ground_weight is None
    assert "reference_photos_not_weighed" in {w["code"] for w in answer.to_dict()["warnings"]}
    photo(1).save(tmp_path / "photo.png")
    words = ["search", str(tmp_path / "photo.png"), "--index", "with", "--indexes", str(tmp_path)]
    assert main([*words, "--ground-weight", "0.1", "-k", "1"]) == 0
    assert "imagery 0.75, location 0.25, reference photos 0.1 (by you)" in capsys.readouterr().out
    assert main([*words, "--no-ground", "-k", "1"]) == 0
    told = capsys.readouterr().out
    assert "reference photos 0" not in told
    assert "likely" in told  # there was no weight to take away
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--ground-weight", "heavy"])
    assert stopped.value.code == 2
    capsys.readouterr()
    assert main([*words, "--ground-weight", "-1"]) == 2
    assert "--ground-weight -1: it must be 0 to 1e+06" in capsys.readouterr().err
