"""Searches by shortlist: the answers are those of scoring every cell, as far as they can be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from list_builds import wide_build, with_lists
from reference_samples import give_references, reference_photos
from toy_city import photo

from gair.errors import UsageError
from gair.geo import haversine_m
from gair.model import Gair
from indexer.index.index import open_index
from indexer.probability.basis import GroundBasis
from indexer.probability.chances import WIDEST_SHARE
from indexer.probability.posterior import ScoreWeights
from indexer.search import shortlist, space
from indexer.search.geolocator import Geolocator
from indexer.search.prior import build_prior
from indexer.search.query import Query
from indexer.search.shortlist import find_part

SHARP = ScoreWeights(rs_weight=12.0, location_weight=2.0, spread_m=40.0)
PHOTOS = [photo(seed) for seed in range(12)]


@pytest.fixture(scope="module", autouse=True)
def small_sample() -> Iterator[None]:
    """Fewer cells than there are off the lists, as in a large index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(space, "SAMPLE", 800)
        yield


@pytest.fixture
def too_large() -> Iterator[None]:
    """As in an index that is too large to score every cell for probabilities."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortlist, "MOST_ENTRIES", 0)
        yield


@pytest.fixture(scope="module")
def model() -> Gair:
    return Gair.from_pretrained("shipped:demo")


@pytest.fixture(scope="module")
def folder(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three indexes of the same vectors: flat, by lists, and by lists that leave nothing out."""
    out = tmp_path_factory.mktemp("wide")
    flat = wide_build(city_tif, out)
    with_lists(flat, out / "lists", "ivf-sq8", 400)
    with_lists(flat, out / "pq", "ivf-pq", 400)
    with_lists(flat, out / "all", "ivf-sq8", 5000)
    return out


@pytest.fixture(scope="module")
def plain(folder: Path, model: Gair) -> dict[str, Geolocator]:
    names = ("wide", "lists", "pq", "all")
    return {name: Geolocator(open_index(folder / name), model) for name in names}


@pytest.fixture(scope="module")
def sure(folder: Path, plain: dict[str, Geolocator], model: Gair) -> dict[str, Geolocator]:
    for name in plain:
        calibrate_by_hand(folder / name, weights=SHARP)
    return {name: Geolocator(open_index(folder / name), model) for name in plain}


def without(answer: Any, *names: str) -> dict[str, Any]:
    return {k: v for k, v in answer.to_dict().items() if k not in names}


def test_the_flat_answers_are_found(plain: dict[str, Geolocator]) -> None:
    for kind in ("lists", "pq"):
        exact = plain["wide"].search(PHOTOS, k=10, refine=False)
        quick = plain[kind].search(PHOTOS, k=10, refine=False)
        hits = [
            len({c.row for c in a.candidates} & {c.row for c in b.candidates}) / 10
            for a, b in zip(exact, quick, strict=True)
        ]
        assert np.mean(hits) >= 0.9, kind  # 0.95 of others' neighbours is what lists are made for
        for a, b in zip(exact, quick, strict=True):
            assert b.cells_searched < a.cells_searched == 3506
            by_row = {c.row: c for c in a.candidates}
            for c in b.candidates:
                if (wanted := by_row.get(c.row)) is None:
                    continue
                assert c.h3_cell == wanted.h3_cell
                assert c.score == pytest.approx(wanted.score, abs=1e-5)
                assert c.rs_score == pytest.approx(wanted.rs_score, abs=1e-5)
                assert c.location_score == pytest.approx(wanted.location_score, abs=1e-5)


def test_every_answer_says_so(plain: dict[str, Geolocator]) -> None:
    answer = plain["lists"].search(PHOTOS[0])
    note = next(w for w in answer.warnings if w.startswith("searched by shortlist: "))
    assert "of 3,506 cells were scored (ivf-sq8, recall" in note
    assert f"{answer.cells_searched:,} of 3,506" in note
    assert not any("shortlist" in w for w in plain["wide"].search(PHOTOS[0]).warnings)


def test_a_list_of_everything_gives_the_flat_answer(sure: dict[str, Geolocator]) -> None:
    for a, b in zip(sure["wide"].search(PHOTOS), sure["all"].search(PHOTOS), strict=True):
        one, other = without(a, "warnings", "index"), without(b, "warnings", "index")
        assert one.keys() == other.keys()
        for place, wanted in zip(b.candidates, a.candidates, strict=True):
            assert (place.row, place.h3_cell) == (wanted.row, wanted.h3_cell)
            assert place.probability == pytest.approx(wanted.probability, abs=1e-6)
            assert place.refined_lonlat_deg == pytest.approx(wanted.refined_lonlat_deg, abs=1e-6)
        assert [r["cells"] for r in b.regions] == [r["cells"] for r in a.regions]


@pytest.mark.parametrize("kind", ["lists", "pq"])
def test_regions_are_those_of_scoring_every_cell(sure: dict[str, Geolocator], kind: str) -> None:
    for one_photo in PHOTOS[:6]:
        a, b = (sure[name].search(one_photo) for name in ("wide", kind))
        assert b.regions == a.regions
        assert all(region["promised"] for region in b.regions)
        for level in (0.5, 0.77, 0.9):
            np.testing.assert_array_equal(b.region(level).rows, a.region(level).rows)
        assert without(b, "warnings", "index") == without(a, "warnings", "index")
    where = build_prior(sure[kind].index, where="lon_deg < -0.11")
    one, other = (sure[name].search(PHOTOS[0], prior=where) for name in ("wide", kind))
    assert one.regions == other.regions


def test_scores_alone_need_no_more_than_the_list(sure: dict[str, Geolocator]) -> None:
    answer = sure["lists"].search(PHOTOS[0], rs_weight=1.0)
    assert answer.cells_searched < 3506
    assert not answer.calibrated


@pytest.mark.usefixtures("too_large")
@pytest.mark.parametrize("kind", ["lists", "pq"])
def test_probabilities_are_close_though_most_cells_are_off_the_list(
    sure: dict[str, Geolocator], kind: str
) -> None:
    exact, quick = sure["wide"].search(PHOTOS, k=3), sure[kind].search(PHOTOS, k=3)
    missed = []
    for a, b in zip(exact, quick, strict=True):
        assert b.posterior is None
        assert b.candidates[0].row == a.candidates[0].row
        wanted, listed = a.candidates[0].probability, b.candidates[0].probability
        assert wanted is not None
        assert listed is not None
        missed.append(listed / wanted - 1)
        for one, other in zip(a.regions, b.regions, strict=True):
            assert not other["promised"]  # a sample holds the truth less often
            assert other["mass"] == pytest.approx(one["mass"], rel=0.02)
        drawn = b.region(0.9)
        own_m2 = sure[kind].index.cells.area_m2[drawn.rows].sum()
        assert drawn.km2 == pytest.approx(own_m2 / 1e6)
        assert any("promise nothing" in w for w in b.warnings)
        assert a.membership is not None
        assert b.membership is not None
        assert b.membership.p_value == pytest.approx(a.membership.p_value, abs=0.03)
        # At the widest share of the index that is told, one may tell a radius and the other not.
        chances = [{c.radius_m: c.probability for c in answer.confidence} for answer in (a, b)]
        told = sorted(set(chances[0]) & set(chances[1]))
        assert told[0] == 200
        for chance in (*a.confidence, *b.confidence):
            widest = pytest.approx(WIDEST_SHARE, abs=0.02)
            assert chance.radius_m in told or chance.chance_level == widest
        assert [chances[1][m] for m in told] == pytest.approx(
            [chances[0][m] for m in told], abs=0.02
        )
    assert np.abs(missed).max() < 0.05
    assert abs(np.mean(missed)) < 0.02  # no side is favoured


@pytest.mark.usefixtures("too_large")
def test_the_sample_stands_for_exactly_what_is_left_out(sure: dict[str, Geolocator]) -> None:
    geo = sure["lists"]
    scored = geo.every_cell(geo.seen(PHOTOS[:1])[0])
    part = find_part(geo.space, scored.s, Query(), None)
    assert part.stands_for.sum() == pytest.approx(3506)
    assert part.stands_for.max() > 1
    assert len(part.rows) < 3506
    assert (np.diff(part.rows) > 0).all()
    np.testing.assert_allclose(part.rs[0], scored.rs[0, part.rows], rtol=0, atol=1e-6)
    np.testing.assert_allclose(part.location[0], scored.location[0, part.rows], rtol=0, atol=1e-6)
    rows, rs, _ = geo.space.sample
    np.testing.assert_array_equal(rs, geo.index.rs.vectors(rows))


@pytest.mark.usefixtures("too_large")
def test_regions_are_of_rows_of_the_whole_index(sure: dict[str, Geolocator]) -> None:
    region = sure["lists"].search(PHOTOS[1]).region(0.5)
    np.testing.assert_array_equal(sure["lists"].index.cells.h3[region.rows], region.h3)


@pytest.mark.usefixtures("too_large")
def test_a_prior_is_kept_to(sure: dict[str, Geolocator]) -> None:
    for where in ("lon_deg < -0.11", "lon_deg < -0.1195"):  # more than a shortlist, and fewer
        answers = []
        for name in ("wide", "lists"):
            prior = build_prior(sure[name].index, where=where)
            answers.append(sure[name].search(PHOTOS[2], k=3, prior=prior))
        exact, quick = answers
        assert [c.row for c in quick.candidates] == [c.row for c in exact.candidates]
        assert quick.candidates[0].probability == pytest.approx(
            exact.candidates[0].probability, rel=0.05
        )
    nowhere = build_prior(sure["wide"].index, where="lon_deg < -0.11")
    nowhere.log_weight[:] = -np.inf
    with pytest.raises(UsageError, match="the prior leaves no cell to search"):
        sure["lists"].search(PHOTOS[2], prior=nowhere)


@pytest.mark.usefixtures("too_large")
def test_several_photos_of_one_place(sure: dict[str, Geolocator]) -> None:
    exact = sure["wide"].search(PHOTOS[:3], same_place=True)
    quick = sure["lists"].search(PHOTOS[:3], same_place=True)
    assert quick.candidates[0].row == exact.candidates[0].row
    assert quick.candidates[0].probability == pytest.approx(
        exact.candidates[0].probability, rel=0.05
    )


def test_claims_and_maps_look_at_every_cell(sure: dict[str, Geolocator]) -> None:
    place = {"lon_deg": -0.1, "lat_deg": 51.5}
    one, other = (sure[name].verify(PHOTOS[3], **place) for name in ("wide", "lists"))
    assert one == other
    assert sure["lists"].heatmap(PHOTOS[3]).values.shape == (3506,)


def test_the_answer_is_json(sure: dict[str, Geolocator]) -> None:
    json.dumps(sure["lists"].search(PHOTOS[0]).to_dict())


@pytest.mark.usefixtures("too_large")
def test_an_estimated_answer_is_json(sure: dict[str, Geolocator]) -> None:
    json.dumps(sure["lists"].search(PHOTOS[0]).to_dict())


@pytest.fixture(scope="module")
def grounded(
    folder: Path,
    plain: dict[str, Geolocator],
    model: Gair,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Geolocator]:
    """The indexes with 300 reference photos, not calibrated.

    The first five look like a photo and stand on a cell that no list has for it.
    """
    home = tmp_path_factory.mktemp("grounded")
    geo, rng = plain["lists"], np.random.default_rng(0)
    s = rng.normal(size=(300, geo.index.rs.dim)).astype(np.float32)
    s[:5] = geo.seen(PHOTOS[:1])[0].s[0] + 0.02 * s[:5]
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    places = geo.index.cells.lonlat_deg[rng.integers(0, len(geo.index.cells), 300)]
    places[:5] = geo.index.cells.lonlat_deg[off_the_lists(geo)]
    opened = {}
    for name in ("wide", "lists", "all"):
        left = shutil.ignore_patterns("calibration-*")
        shutil.copytree(folder / name, home / name, ignore=left)
        give_references(home / name, reference_photos(places, 11), s)
        opened[name] = Geolocator(open_index(home / name), model)
    return opened


def off_the_lists(geo: Geolocator) -> int:
    """The row of a cell that a search for the first photo does not look at."""
    s = geo.seen(PHOTOS[:1])[0].s
    looked_at = find_part(geo.space, s, Query(ground_weight=0.0), None).rows
    return int(np.setdiff1d(np.arange(len(geo.index.cells)), looked_at)[0])


def test_reference_photos_bring_cells_that_no_list_has(grounded: dict[str, Geolocator]) -> None:
    geo = grounded["lists"]
    own = off_the_lists(geo)
    part = find_part(geo.space, geo.seen(PHOTOS[:1])[0].s, Query(), None)
    assert own in part.rows
    exact, quick = (
        grounded[name].search(PHOTOS[0], k=1, refine=False, ground_weight=5.0).candidates[0]
        for name in ("wide", "lists")
    )
    for place in (exact, quick):
        assert haversine_m(*geo.index.cells.lonlat_deg[[place.row, own]]) < 300
        assert place.ground_photos[0].cosine > 0.9


def test_a_list_of_everything_gives_the_flat_answer_beside_reference_photos(
    grounded: dict[str, Geolocator],
) -> None:
    a, b = (grounded[name].search(PHOTOS[0]) for name in ("wide", "all"))
    assert b.candidates[0].ground_score is not None
    for place, wanted in zip(b.candidates, a.candidates, strict=True):
        assert place.row == wanted.row
        assert place.ground_score == pytest.approx(wanted.ground_score, abs=1e-5)
        assert place.refined_lonlat_deg == pytest.approx(wanted.refined_lonlat_deg, abs=1e-6)
        told, as_told = ([n.cosine for n in one.ground_photos] for one in (place, wanted))
        assert told == pytest.approx(as_told, abs=1e-6)


@pytest.mark.usefixtures("too_large")
def test_probabilities_beside_reference_photos_are_close(
    grounded: dict[str, Geolocator], model: Gair
) -> None:
    ground = {"ground_weight": 0.3, "ground_kernel_m": 150.0, "ground_sharpness": 10.0}
    answers = []
    for name in ("wide", "lists"):
        geo = grounded[name]
        assert geo.space.ground is not None
        content = geo.space.ground.comparison.photos.manifest.content_sha256
        calibrate_by_hand(
            geo.index.path.parent,
            weights=dataclasses.replace(SHARP, **ground),
            ground=GroundBasis(300, content, 100.0, {}, 0),
        )
        answers.append(Geolocator(open_index(geo.index.path.parent), model).search(PHOTOS[0], k=3))
    exact, quick = answers
    assert exact.posterior is not None
    assert quick.posterior is None
    one, other = exact.candidates[0], quick.candidates[0]
    assert other.row == one.row
    assert other.ground_score == pytest.approx(one.ground_score, abs=1e-5)
    assert other.probability == pytest.approx(one.probability, rel=0.05)
