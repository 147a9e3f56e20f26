"""Expected photos are what the formula says, everywhere, and know nothing of photos left out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from model_city import DIM, unit
from references import references

from gair.arrays import Floats, Vectors
from gair.geo import EARTH_RADIUS_M
from indexer.ground.expected import REACH, RIDGE, SHRINKAGE
from indexer.ground.likelihood import GroundField, GroundKernel
from indexer.ground.likeness import Comparison
from indexer.regions.cell_field import unit_vectors

KERNEL = GroundKernel(kernel_m=200.0, expected_photos=1.5, freedom=12.0)
NORMAL = dataclasses.replace(KERNEL, freedom=0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Town:
    """Cells on a grid of 70 m, their imagery, and photos that look like it and like each other."""

    cells: Floats
    z: Vectors
    places: Floats
    s: Vectors

    @classmethod
    def drawn(cls, photos: int = 260, seed: int = 0) -> Town:
        rng = np.random.default_rng(seed)
        east, north = np.meshgrid(np.arange(18) * 0.001, np.arange(14) * 0.00063)
        cells = np.stack([-0.1 + east.ravel(), 51.5 + north.ravel()], axis=1)
        z = unit(rng, len(cells))
        places = cells[rng.integers(0, len(cells), photos)] + rng.normal(0, 1e-4, (photos, 2))
        seen = z[np.linalg.norm(places[:, None] - cells, axis=2).argmin(axis=1)]
        s = seen[:, ::-1] + 0.5 * unit(rng, photos)
        return cls(cells, z, places, s / np.linalg.norm(s, axis=1, keepdims=True))

    def field(self, kept: slice = slice(None)) -> GroundField:
        photos = references(self.s[kept], self.places[kept])
        return GroundField(Comparison(photos), self.cells, lambda rows: self.z[rows])


def slow(
    town: Town, s: Vectors, at: Floats, gone: set[int] = frozenset(), freedom: float = 12.0
) -> Floats:
    """The formula of the module, one place and one photo at a time; tables by all photos."""
    cells, photos = unit_vectors(town.cells), unit_vectors(town.places)
    cell = [int(((cells - photo) ** 2).sum(axis=1).argmin()) for photo in photos]
    z, mean_z, mean_s = town.z[cell].astype(float), town.z[cell].mean(axis=0), town.s.mean(axis=0)
    square = sum(np.outer(row - mean_z, row - mean_z) for row in z)
    cross = sum(np.outer(a - mean_z, b - mean_s) for a, b in zip(z, town.s, strict=True))
    ridge = RIDGE * np.trace(square) / DIM * np.eye(DIM)
    mapping = np.linalg.solve(square + ridge, cross)
    rest = [b - mean_s - (a - mean_z) @ mapping for a, b in zip(z, town.s, strict=True)]
    spread = sum(np.outer(e, e) for e in rest) / len(rest)
    spread = (1 - SHRINKAGE) * spread + SHRINKAGE * np.trace(spread) / DIM * np.eye(DIM)
    inverse = np.linalg.inv(spread)
    energy = np.mean([e @ inverse @ e for e in rest])
    logs = []
    for x in unit_vectors(at):
        own = int(((cells - x) ** 2).sum(axis=1).argmin())
        total, around = np.zeros(DIM), 0.0
        for j, e in enumerate(rest):
            arc_m = 2 * EARTH_RADIUS_M * np.arcsin(np.linalg.norm(cells[cell[j]] - x) / 2)
            if j not in gone and arc_m <= REACH * KERNEL.kernel_m:
                kernel = np.exp(-0.5 * (arc_m / KERNEL.kernel_m) ** 2)
                total, around = total + kernel * e, around + kernel
        p = KERNEL.expected_photos
        away = s - mean_s - (town.z[own] - mean_z) @ mapping - total / (around + p)
        variance = 1 - around / ((1 + p) * (around + p))
        here = away @ inverse @ away / variance
        anywhere = (s - mean_s) @ inverse @ (s - mean_s)
        if freedom:
            here, anywhere = (
                (freedom + energy) * np.log(1 + square / freedom) for square in (here, anywhere)
            )
        logs.append(-0.5 * (here - anywhere + energy * np.log(variance)))
    return np.array(logs)


def test_it_is_the_formula_at_cells_and_between_them() -> None:
    town, s = Town.drawn(), unit(np.random.default_rng(3), 1)
    field = town.field()
    evidence = field.evidence(s, KERNEL)
    np.testing.assert_allclose(evidence.log_ratios[0], slow(town, s[0], town.cells), atol=2e-3)
    between = town.cells[100:104] + (2e-4, 1e-4)
    np.testing.assert_allclose(evidence.at(between), slow(town, s[0], between), atol=2e-3)
    np.testing.assert_allclose(evidence.at(town.cells[:5]), evidence.log_ratios[0, :5], atol=2e-3)


def test_without_degrees_of_freedom_it_is_the_normal_distribution() -> None:
    """As in calibrations from before; many degrees of freedom come near to it."""
    town, s = Town.drawn(), unit(np.random.default_rng(3), 1)
    field = town.field()
    normal = slow(town, s[0], town.cells, freedom=0.0)
    evidence = field.evidence(s, NORMAL)
    np.testing.assert_allclose(evidence.log_ratios[0], normal, atol=2e-3)
    np.testing.assert_allclose(evidence.at(town.cells[:5]), normal[:5], atol=2e-3)
    many = field.evidence(s, dataclasses.replace(KERNEL, freedom=1e7)).log_ratios[0]
    np.testing.assert_allclose(many, normal, atol=5e-3)
    assert np.abs(field.evidence(s, KERNEL).log_ratios[0] - normal).max() > 1


def test_photos_that_are_left_out_say_nothing() -> None:
    town, s = Town.drawn(), unit(np.random.default_rng(4), 2)
    left_out = [np.array([3, 50, 51, 200]), np.arange(0)]
    evidence = town.field().evidence(s, KERNEL, left_out)
    wanted = slow(town, s[0], town.cells, {3, 50, 51, 200})
    np.testing.assert_allclose(evidence.log_ratios[0], wanted, atol=2e-3)
    np.testing.assert_allclose(evidence.log_ratios[1], slow(town, s[1], town.cells), atol=2e-3)
    at = town.cells[60:63]
    only = evidence.one_by_one()[0]
    np.testing.assert_allclose(only.at(at), wanted[60:63], atol=2e-3)


def test_a_part_of_the_cells_is_told_the_same() -> None:
    town, s = Town.drawn(), unit(np.random.default_rng(5), 1)
    field, rows = town.field(), np.array([7, 30, 31, 90])
    left_out = [np.flatnonzero(np.linalg.norm(town.places - town.cells[30], axis=1) < 0.002)]
    assert len(left_out[0])
    whole = field.evidence(s, KERNEL, left_out).log_ratios[:, rows]
    part = field.part(rows, town.cells[rows])
    np.testing.assert_allclose(part.evidence(s, KERNEL, left_out).log_ratios, whole, atol=1e-4)


def test_what_is_shared_out_is_the_same_for_all_places() -> None:
    """Each place has an expected photo, so sharing out moves no place against another."""
    town, s = Town.drawn(), unit(np.random.default_rng(6), 1)
    field = town.field()
    likely = np.random.default_rng(7).uniform(0.1, 1, (1, len(town.cells)))
    kernel = dataclasses.replace(KERNEL, power=0.4)
    shared = field.evidence(s, kernel, likely=likely)
    moved = shared.log_ratios[0] - field.evidence(s, kernel).log_ratios[0]
    np.testing.assert_allclose(moved, moved[0], atol=2e-3)
    said = np.exp(kernel.power * shared.log_ratios[0].astype(float))
    assert (likely[0] * said).sum() == pytest.approx(likely.sum(), rel=1e-3)
    at = town.cells[40:42] + 1e-4
    levelled = shared.at(at) - field.evidence(s, kernel).at(at)
    np.testing.assert_allclose(levelled, moved[0], atol=2e-3)


def test_few_photos_or_no_imagery_let_nothing_be_expected() -> None:
    town = Town.drawn()
    assert town.field().expects
    assert not town.field(slice(150)).expects
    photos = references(town.s, town.places)
    assert not GroundField(Comparison(photos), town.cells).expects
    away = dataclasses.replace(town, places=town.places + (0.1, 0.0))
    assert not away.field().expects


@pytest.mark.parametrize("same", ["s", "z"])
def test_photos_or_imagery_that_are_all_the_same_break_nothing(same: str) -> None:
    town = Town.drawn()
    one = np.tile(getattr(town, same)[:1], (len(getattr(town, same)), 1))
    field = dataclasses.replace(town, **{same: one}).field()
    s = unit(np.random.default_rng(8), 2)
    assert np.isfinite(field.evidence(s, KERNEL).log_ratios).all()
