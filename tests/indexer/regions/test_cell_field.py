"""Neighbourhoods of cells: against loops over all pairs, and where the globe is awkward."""

from __future__ import annotations

import math
import tracemalloc

import h3.api.numpy_int as h3
import numpy as np
import pytest
from some_cells import PLACES, field_around

from gair.arrays import Floats
from gair.geo import EARTH_RADIUS_M, HALF_GLOBE_M, haversine_m
from indexer.regions.cell_field import CellField, chord_of, unit_vectors


@pytest.fixture(params=PLACES.values(), ids=PLACES.keys())
def field(request: pytest.FixtureRequest) -> CellField:
    return field_around(*request.param)


def distance_m(a_lonlat_deg: Floats, b_lonlat_deg: Floats) -> float:
    """The spherical law of cosines' safer sister, for one pair."""
    (a_lon, a_lat), (b_lon, b_lat) = np.radians(a_lonlat_deg), np.radians(b_lonlat_deg)
    across = math.hypot(
        math.cos(b_lat) * math.sin(b_lon - a_lon),
        math.cos(a_lat) * math.sin(b_lat)
        - math.sin(a_lat) * math.cos(b_lat) * math.cos(b_lon - a_lon),
    )
    along = math.sin(a_lat) * math.sin(b_lat) + math.cos(a_lat) * math.cos(b_lat) * math.cos(
        b_lon - a_lon
    )
    return EARTH_RADIUS_M * math.atan2(across, along)


def blur_loop(field: CellField, spread_m: float) -> Floats:
    """A Gaussian that ends at three standard deviations, times the area, rows divided by sums."""
    count = len(field)
    matrix = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            apart = distance_m(field.lonlat_deg[i], field.lonlat_deg[j])
            if apart <= 3 * spread_m:
                matrix[i, j] = math.exp(-0.5 * (apart / spread_m) ** 2) * field.area_m2[j]
        matrix[i] /= matrix[i].sum()
    return matrix


@pytest.mark.parametrize("spread_cells", [0.5, 1.3])
def test_the_blur_is_its_formula(field: CellField, spread_cells: float) -> None:
    spread_m = spread_cells * field.spacing_m
    matrix = field.blur(spread_m)
    assert matrix is not None
    np.testing.assert_allclose(matrix.toarray(), blur_loop(field, spread_m), atol=1e-12)


def test_the_discs_are_their_definition(field: CellField) -> None:
    rng = np.random.default_rng(0)
    centres = field.lonlat_deg[rng.choice(len(field), 7, replace=False)]
    radius_m = 2.2 * field.spacing_m
    discs = field.discs(centres, radius_m)
    values = rng.random((3, len(field)))
    sums = discs.sums(values)
    assert sums.shape == (3, 7)
    for disc, centre in enumerate(centres):
        wanted = [
            row
            for row in range(len(field))
            if distance_m(centre, field.lonlat_deg[row]) <= radius_m
        ]
        assert discs.rows(disc).tolist() == wanted
        assert len(wanted) > 1
        np.testing.assert_allclose(sums[:, disc], values[:, wanted].sum(axis=1))


@pytest.mark.parametrize("cells", [0.0, 0.9, 3.3, 12.0, 1e5])
def test_sums_without_pairs_are_those_of_the_discs(field: CellField, cells: float) -> None:
    radius_m = min(cells * field.spacing_m, HALF_GLOBE_M)
    values = np.random.default_rng(0).random((2, len(field)))
    wanted = field.discs(field.lonlat_deg, radius_m).sums(values)
    np.testing.assert_allclose(field.disc_sums(values, radius_m), wanted, rtol=1e-12)


def test_sums_over_wide_discs_take_little_memory() -> None:
    field = field_around(-0.1, 51.5, 10, 60)  # 10,981 cells
    values = np.random.default_rng(0).random((1, len(field)))
    radius_m = 30 * field.spacing_m  # 3,000 cells: pairs of 300 MB
    tracemalloc.start()
    try:
        sums = field.disc_sums(values, radius_m)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 80e6
    rows = [0, 7_000, 10_980]
    wanted = field.discs(field.lonlat_deg[rows], radius_m).sums(values)
    np.testing.assert_allclose(sums[:, rows], wanted, rtol=1e-12)


def test_nearest_is_the_least_distance(field: CellField) -> None:
    rng = np.random.default_rng(1)
    points = field.lonlat_deg[::9] + rng.normal(0, 1e-3, (len(field.lonlat_deg[::9]), 2))
    points[:, 1] = np.clip(points[:, 1], -90, 90)
    rows, metres = field.nearest(points)
    for point, row, apart_m in zip(points, rows, metres, strict=True):
        every = [distance_m(point, centre) for centre in field.lonlat_deg]
        assert every[row] == pytest.approx(min(every), abs=1e-3)
        assert apart_m == pytest.approx(min(every), abs=1e-3)


def test_a_hand_made_blur() -> None:
    step_deg = math.degrees(100 / EARTH_RADIUS_M)
    line = CellField(np.array([[0.0, 0], [step_deg, 0], [5 * step_deg, 0]]), np.array([1.0, 3, 1]))
    matrix = line.blur(100.0)
    assert matrix is not None
    near = math.exp(-0.5)
    wanted = [
        [1 / (1 + 3 * near), 3 * near / (1 + 3 * near), 0],
        [near / (3 + near), 3 / (3 + near), 0],
        [0, 0, 1],
    ]
    np.testing.assert_allclose(matrix.toarray(), wanted, atol=1e-12)


def test_a_blur_keeps_what_is_even_and_its_rows_add_up_to_one() -> None:
    field = field_around(180.0, 60.0, 9, 20)
    matrix = field.blur(field.spacing_m)
    assert matrix is not None
    np.testing.assert_allclose(matrix @ np.full(len(field), 0.3), 0.3)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)


@pytest.mark.parametrize("spread_m", [0.0, -5.0, 1.0])
def test_no_spread_is_no_blur(spread_m: float) -> None:
    assert field_around(0.0, 0.0, 9, 3).blur(spread_m) is None


def test_a_disc_without_radius_holds_the_cell_it_stands_on_and_one_elsewhere_nothing() -> None:
    field = field_around(0.0, 0.0, 9, 3)
    discs = field.discs(np.stack([field.lonlat_deg[5], [90.0, 0.0]]), 0.0)
    assert discs.rows(0).tolist() == [5]
    assert discs.rows(1).tolist() == []
    assert discs.sums(np.ones((1, len(field)))).tolist() == [[1.0, 0.0]]


def test_no_discs_add_up_to_nothing() -> None:
    field = field_around(0.0, 0.0, 9, 1)
    assert field.discs(np.empty((0, 2)), 100.0).sums(np.ones((2, 7))).shape == (2, 0)


def test_a_disc_may_hold_the_whole_world() -> None:
    every = np.array([h3.cell_to_latlng(i)[::-1] for i in h3.get_res0_cells()])
    field = CellField(every, np.ones(122))
    assert field.discs([[12.0, 34.0]], 30e6).sums(np.ones((1, 122)))[0, 0] == 122


def test_the_spacing_is_the_distance_of_neighbours() -> None:
    field = field_around(-0.1, 51.5, 10, 12)
    apart = haversine_m(field.lonlat_deg[:, None], field.lonlat_deg)
    np.fill_diagonal(apart, np.inf)
    inner = haversine_m(field.lonlat_deg, [-0.1, 51.5]) < 8 * field.spacing_m
    six_nearest = np.sort(apart[inner], axis=1)[:, :6]
    assert field.spacing_m == pytest.approx(six_nearest.mean(), rel=0.01)


def test_points_of_the_sphere_and_chords() -> None:
    np.testing.assert_allclose(
        unit_vectors([[0, 0], [90, 0], [-180, 0], [33, 90]]),
        [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1]],
        atol=1e-15,
    )
    assert chord_of(math.pi / 3 * EARTH_RADIUS_M) == pytest.approx(1)
    assert chord_of(math.inf) == chord_of(math.pi * EARTH_RADIUS_M) == 2


def test_many_discs_take_little_more_memory_than_their_answer() -> None:
    field = field_around(-0.1, 51.5, 10, 90)  # 24,571 cells
    tracemalloc.start()
    try:
        matrix = field.discs(field.lonlat_deg, 500.0).matrix
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    own_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert matrix.nnz > 1_000_000
    assert peak_bytes < 2.2 * own_bytes  # the blocks, and what they are put together into
