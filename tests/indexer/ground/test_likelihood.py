"""The likelihood from reference photos is its formula, wherever it is read and whoever is near."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from references import references, slow_log_ratios

from gair.arrays import Floats, Vectors
from indexer.ground import likelihood
from indexer.ground.likelihood import GroundField, GroundKernel
from indexer.ground.likeness import Comparison, Likeness
from indexer.ground.reference_photos import ReferencePhotos

DIM = 8
SPAN_DEG = 0.02
"""Some 2 km: a fifth of the photos is within reach of a point."""
KERNEL = GroundKernel(120.0, 9.0, pseudo_photos=1.0)


def unit(rng: np.random.Generator, count: int) -> Vectors:
    s = rng.normal(size=(count, DIM))
    return (s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float32)


def some_references(count: int, seed: int = 0, lon_deg: float = 10.0) -> ReferencePhotos:
    rng = np.random.default_rng(seed)
    lonlat_deg = rng.uniform(0, SPAN_DEG, (count, 2)) + (lon_deg, 50.0)
    lonlat_deg[:, 0] = (lonlat_deg[:, 0] + 180) % 360 - 180
    return references(unit(rng, count), lonlat_deg)


def some_points(count: int, seed: int = 1, lon_deg: float = 10.0) -> Floats:
    points = np.random.default_rng(seed).uniform(0, SPAN_DEG, (count, 2)) + (lon_deg, 50.0)
    points[:, 0] = (points[:, 0] + 180) % 360 - 180
    return points


@pytest.mark.parametrize("lon_deg", [10.0, 179.99])
def test_it_is_the_formula(lon_deg: float) -> None:
    photos, points = some_references(150, lon_deg=lon_deg), some_points(40, lon_deg=lon_deg)
    s = unit(np.random.default_rng(2), 3)
    field = GroundField(Comparison(photos), points)
    ratios = field.read(Comparison(photos).likenesses(s), KERNEL).log_ratios
    wanted = [slow_log_ratios(photos, of_photo, points, 120.0, 9.0) for of_photo in s]
    np.testing.assert_allclose(ratios, wanted, rtol=1e-4, atol=1e-5)
    assert np.ptp(wanted) > 2  # or it would hold of anything


def test_between_the_cells_it_is_the_same_formula() -> None:
    photos, points = some_references(150), some_points(30)
    (likeness,) = Comparison(photos).likenesses(unit(np.random.default_rng(2), 1), [np.arange(20)])
    field = GroundField(Comparison(photos), some_points(5, seed=7))
    at = field.log_ratio_at(likeness, KERNEL, points)
    wanted = GroundField(Comparison(photos), points).read([likeness], KERNEL).log_ratios[0]
    np.testing.assert_allclose(at, wanted, rtol=1e-5, atol=1e-6)
    assert field.log_ratio_at(likeness, KERNEL, np.empty((0, 2))).shape == (0,)


def test_where_no_photo_stands_nothing_is_said() -> None:
    photos = some_references(150)
    points = np.array([(10.0, 50.1), (10.0 + SPAN_DEG / 2, 50.0 + SPAN_DEG / 2)])
    field = GroundField(Comparison(photos), points)
    (ratios,) = field.evidence(photos.vectors(np.array([0])), KERNEL).log_ratios
    assert ratios[0] == 0
    assert ratios[1] != 0
    (likeness,) = Comparison(photos).likenesses(photos.vectors(np.array([0])), [np.arange(150)])
    assert not field.read([likeness], KERNEL).log_ratios.any()
    assert not field.log_ratio_at(likeness, KERNEL, points).any()


def test_photos_that_all_look_alike_favour_no_place() -> None:
    """The base rate is in numerator and denominator: crowds are no evidence."""
    photos = references(np.repeat(unit(np.random.default_rng(0), 1), 150, axis=0), some_points(150))
    field = GroundField(Comparison(photos), some_points(40))
    ratios = field.evidence(unit(np.random.default_rng(2), 1), KERNEL).log_ratios
    np.testing.assert_allclose(ratios, 0, atol=1e-6)
    assert np.ptp(field.density(120.0)) > 1


def test_it_is_shared_out_among_likely_places_that_have_photos() -> None:
    photos, cells, points = some_references(150), some_points(40), some_points(9, seed=4)
    cells[20:, 0] += 1.0  # half have no photo
    rng = np.random.default_rng(3)
    s, rs, location = unit(rng, 2), rng.normal(size=(2, 40)), rng.normal(size=(2, 40))
    area_m2 = rng.uniform(1, 2, 40)
    kernel = dataclasses.replace(KERNEL, rs_weight=1.5, location_weight=0.5, power=0.7)
    likely = kernel.likely(rs, location, area_m2)
    assert likely is not None
    field, own = GroundField(Comparison(photos), cells), np.arange(7)
    evidence = field.evidence(s, kernel, [own, own], likely)
    for number, (of_photo, p) in enumerate(zip(s, likely, strict=True)):
        wanted = np.exp(1.5 * rs[number] + 0.5 * location[number]) * area_m2
        np.testing.assert_allclose(p / p.sum(), wanted / wanted.sum())
        slow = slow_log_ratios(
            photos,
            of_photo,
            np.concatenate([cells, points]),
            *(120.0, 9.0),
            set(own.tolist()),
            cells_deg=cells,
            likely=p.tolist(),
            power=0.7,
        )
        np.testing.assert_allclose(evidence.log_ratios[number], slow[:40], rtol=1e-4, atol=1e-5)
        alone = evidence.one_by_one()[number]
        np.testing.assert_allclose(alone.at(points), slow[40:], rtol=1e-4, atol=1e-5)
    both = sum(one.at(points) for one in evidence.one_by_one())
    np.testing.assert_allclose(evidence.at(points), both, atol=1e-6)
    everywhere = field.evidence(s, KERNEL, [own, own])
    assert np.abs(everywhere.log_ratios - evidence.log_ratios).max() > 0.1
    assert KERNEL.likely(rs, location, area_m2) is None


def test_reference_photos_move_no_probability_between_covered_and_bare_places() -> None:
    photos, cells = some_references(150), some_points(40)
    cells[20:, 0] += 1.0
    rng = np.random.default_rng(3)
    likely = rng.dirichlet(np.full(40, 0.3), 3)
    field, kernel = GroundField(Comparison(photos), cells), dataclasses.replace(KERNEL, power=0.6)
    evidence = field.evidence(unit(rng, 3), kernel, likely=likely)
    shared = likely * np.exp(0.6 * evidence.log_ratios)
    np.testing.assert_allclose(shared[:, 20:], likely[:, 20:])
    np.testing.assert_allclose(shared.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(shared - likely).max() > 0.05


def test_where_only_bare_places_are_likely_others_are_as_their_photos_say() -> None:
    photos, cells = some_references(150), some_points(40)
    cells[20:, 0] += 1.0
    likely = np.repeat([[0.0, 1.0]], 20, axis=1)
    field, s = GroundField(Comparison(photos), cells), unit(np.random.default_rng(2), 1)
    evidence = field.evidence(s, KERNEL, likely=likely)
    assert evidence.levels == [0.0]
    as_it_is = field.evidence(s, KERNEL)
    assert as_it_is.levels is None
    assert np.argmax(evidence.log_ratios) == np.argmax(as_it_is.log_ratios)
    assert not evidence.log_ratios[:, 20:].any()


def test_where_every_place_has_photos_their_order_is_that_of_the_ratio() -> None:
    photos, cells = some_references(3000), some_points(40)
    rng = np.random.default_rng(3)
    field, s, likely = (
        GroundField(Comparison(photos), cells),
        unit(rng, 1),
        rng.uniform(0, 1, (1, 40)),
    )
    (shared,), (ratio,) = (field.evidence(s, KERNEL, likely=p).log_ratios for p in (likely, None))
    np.testing.assert_allclose(shared - shared.mean(), ratio - ratio.mean(), atol=0.02)
    assert np.ptp(ratio) > 0.5


def test_what_is_left_out_is_as_if_it_were_not_there() -> None:
    photos, points = some_references(150), some_points(40)
    s = unit(np.random.default_rng(2), 2)
    own = [np.array([3, 17, 90, 91]), np.array([], dtype=np.int64)]
    field = GroundField(Comparison(photos), points)
    ratios = field.read(Comparison(photos).likenesses(s, own), KERNEL).log_ratios
    for number, rows in enumerate(own):
        wanted = slow_log_ratios(photos, s[number], points, 120.0, 9.0, set(rows.tolist()))
        np.testing.assert_allclose(ratios[number], wanted, rtol=1e-4, atol=1e-5)


def test_most_photos_need_not_be_looked_at() -> None:
    """The nearest are exact and a sample stands for the others: right on average, and nearly so."""
    photos, points = some_references(3000), some_points(60)
    s = unit(np.random.default_rng(2), 4)
    whole = Comparison(photos, nearest=3000).likenesses(s)
    few = Comparison(photos, nearest=300, sample=400).likenesses(s)
    assert [len(one.rows) for one in (whole[0], few[0])] == [3000, 300]
    w = np.exp(9.0 * (photos.vectors(np.arange(3000)) @ s[0]))
    assert whole[0].weights(9.0)[0][0] == pytest.approx(w.max() / w.mean(), rel=1e-4)
    for exact, estimated in zip(whole, few, strict=True):
        assert estimated.weights(9.0)[0][:5] == pytest.approx(exact.weights(9.0)[0][:5], rel=0.05)
    field = GroundField(Comparison(photos), points)
    exactly = field.read(whole, KERNEL).log_ratios
    away = field.read(few, KERNEL).log_ratios - exactly
    assert np.abs(away).max() < 0.2
    assert abs(away.mean()) < 0.01
    forgotten = [dataclasses.replace(one, others=0) for one in few]  # as if there were no others
    biased = field.read(forgotten, KERNEL).log_ratios - exactly
    assert abs(biased.mean()) > 0.3


def test_the_tail_counts_even_where_its_sample_is_used_up() -> None:
    photos = some_references(12)
    s = unit(np.random.default_rng(2), 1)
    (likeness,) = Comparison(photos, nearest=10, sample=1).likenesses(s)
    assert likeness.others == 2
    near, other = likeness.weights(5.0)
    assert near.sum() + 2 * other == pytest.approx(12)
    empty = Likeness(np.empty(0, np.int64), np.empty(0, np.float32), 0, near[:0], np.arange(12))
    assert empty.weights(5.0)[1] == 1


def test_kernels_that_are_not_kept_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    photos, points = some_references(150), some_points(40)
    likenesses = Comparison(photos).likenesses(
        unit(np.random.default_rng(2), 2), [np.arange(9)] * 2
    )
    kept = GroundField(Comparison(photos), points).read(likenesses, KERNEL).log_ratios
    monkeypatch.setattr(likelihood, "_MOST_KEPT", 0)
    monkeypatch.setattr(likelihood, "_ROWS_AT_ONCE", 64)
    field = GroundField(Comparison(photos), points)
    np.testing.assert_allclose(
        field.read(likenesses, KERNEL).log_ratios, kept, rtol=1e-5, atol=1e-6
    )
    rows = np.array([2, 5, 39])
    part = field.part(rows, points[rows])
    assert part._density
    np.testing.assert_allclose(part.read(likenesses, KERNEL).log_ratios, kept[:, rows], atol=1e-6)
