"""Frames: every cell in the inner part of one frame, no frame in vain, always the same order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import lonlat_to_web_mercator
from indexer.build.frames import INNER_SHARE, FramePlan, plan_frames

SIDE_M = 2446.0


def check_plan(plan: FramePlan, points: Floats, coverage: BaseGeometry) -> None:
    """What a plan promises, by the definition and by PROJ instead of by the module's own means."""
    covered = shapely.covers(coverage, shapely.points(points))
    np.testing.assert_array_equal(plan.frame_of_cell >= 0, covered)
    used = np.unique(plan.frame_of_cell[covered])
    np.testing.assert_array_equal(used, np.arange(len(plan.bounds_wsen_m)))  # none in vain
    width = plan.bounds_wsen_m[:, 2] - plan.bounds_wsen_m[:, 0]
    height = plan.bounds_wsen_m[:, 3] - plan.bounds_wsen_m[:, 1]
    np.testing.assert_allclose([width, height], plan.side_m, rtol=1e-9)
    whole_px = plan.bounds_wsen_m / (plan.side_m / plan.frame_px[:, None])
    np.testing.assert_allclose(whole_px, np.rint(whole_px), atol=1e-6)
    for frame in used:
        mine = points[plan.frame_of_cell == frame]
        xy = plan.footprint(int(frame)).frame_xy(mine)
        assert np.abs(xy).max() <= plan.inner_share + 1e-5, frame


def random_coverage(rng: np.random.Generator, lonlat_deg: Floats) -> BaseGeometry:
    """One to four discs, boxes and strips around a point, some of which may touch or overlap."""
    parts = []
    for _ in range(rng.integers(1, 5)):
        lon, lat = lonlat_deg + rng.uniform(-0.15, 0.15, 2)
        w, h = rng.uniform(0.002, 0.12, 2)
        box = shapely.box(lon, lat, lon + w, lat + h)
        parts.append(box if rng.random() < 0.5 else shapely.Point(lon, lat).buffer(w))
    return shapely.union_all(parts)


@pytest.mark.parametrize("seed", range(25))
def test_cells_of_any_region_lie_in_the_inner_part_of_their_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    middle = np.array([rng.uniform(-170, 170), rng.uniform(-80, 80)])
    coverage = random_coverage(rng, middle)
    points = middle + rng.uniform(-0.3, 0.3, (1500, 2))
    share = float(rng.choice([INNER_SHARE, 0.25, 0.5, 1.0]))
    side_m = SIDE_M / math.cos(math.radians(middle[1]))
    plan = plan_frames(points, coverage, side_m, share)
    assert (plan.side_m, plan.inner_share) == (side_m, share)
    check_plan(plan, points, coverage)


@pytest.mark.parametrize("seed", range(5))
def test_the_plan_does_not_depend_on_the_order_of_the_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    middle = np.array([-0.1, 51.5])
    coverage = random_coverage(rng, middle)
    points = middle + rng.uniform(-0.3, 0.3, (800, 2))
    order = rng.permutation(len(points))
    plan, shuffled = (plan_frames(p, coverage, SIDE_M) for p in (points, points[order]))
    np.testing.assert_array_equal(plan.bounds_wsen_m, shuffled.bounds_wsen_m)
    np.testing.assert_array_equal(plan.frame_of_cell[order], shuffled.frame_of_cell)


def test_frames_go_from_the_north_west_row_by_row() -> None:
    points = np.random.default_rng(0).uniform((-0.1, 51.5), (0.0, 51.55), (3000, 2))
    plan = plan_frames(points, shapely.box(-0.1, 51.5, 0, 51.55), SIDE_M)
    keys = [(-round(b[3], 3), round(b[0], 3)) for b in plan.bounds_wsen_m]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) > 20


def test_one_cell_is_the_middle_of_its_frame_to_half_a_pixel() -> None:
    point = np.array([[-0.1, 51.5]])
    plan = plan_frames(point, shapely.box(-1, 51, 1, 52), SIDE_M)
    assert plan.frame_of_cell.tolist() == [0]
    assert plan.frame_px.tolist() == [152]  # 2,446 m x cos 51.5 degrees / 10 m
    np.testing.assert_allclose(plan.footprint(0).frame_xy(point), 0, atol=1 / 152)


def test_cells_on_one_spot_share_a_frame() -> None:
    points = np.repeat([[-0.1, 51.5]], 5, axis=0)
    assert len(plan_frames(points, shapely.box(-1, 51, 1, 52), SIDE_M).bounds_wsen_m) == 1


@pytest.mark.parametrize("step", [(0.002, 0.0), (0.0, 0.001), (0.001, 0.001)])
def test_a_strip_of_hundreds_of_kilometres_has_frames_along_it_only(
    step: tuple[float, float],
) -> None:
    points = np.array([-3.0, 48.0]) + np.arange(3000)[:, None] * np.array(step)
    coverage = shapely.box(-10, 40, 10, 60)
    plan = plan_frames(points, coverage, SIDE_M)
    check_plan(plan, points, coverage)
    length_m = np.ptp(lonlat_to_web_mercator(points), axis=0).sum()
    assert len(plan.bounds_wsen_m) <= 1 + length_m / (SIDE_M * INNER_SHARE) * 1.01 + 1


@pytest.mark.parametrize("inner_parts", [0.3, 1.0, 1.0001, 2.5, 7.0])
def test_the_fewest_frames_and_none_reaches_further_out_than_it_must(inner_parts: float) -> None:
    inner_m = SIDE_M * INNER_SHARE
    extent_deg = inner_m * inner_parts / lonlat_to_web_mercator([[1.0, 0.0]])[0, 0]
    points = np.stack([np.linspace(0, extent_deg, 500), np.zeros(500)], axis=1)
    plan = plan_frames(points, shapely.box(-1, -1, 2, 1), SIDE_M)
    check_plan(plan, points, shapely.box(-1, -1, 2, 1))
    pixel_m = SIDE_M / 245
    assert len(plan.bounds_wsen_m) == math.ceil(inner_parts * inner_m / (inner_m - pixel_m) - 1e-6)
    if inner_parts > 1:
        rim = (SIDE_M - inner_m) / 2
        x = lonlat_to_web_mercator(points)[:, 0]
        assert plan.bounds_wsen_m[:, 0].min() + rim == pytest.approx(x.min(), abs=pixel_m * 1.01)
        assert plan.bounds_wsen_m[:, 2].max() - rim == pytest.approx(x.max(), abs=pixel_m * 1.01)


def test_distant_parts_have_grids_of_their_own() -> None:
    west, east = shapely.box(-100, 40, -99.98, 40.01), shapely.box(100, -40, 100.02, -39.99)
    rng = np.random.default_rng(3)
    points = np.concatenate(
        [rng.uniform(b[:2], b[2:], (200, 2)) for b in (west.bounds, east.bounds)]
    )
    both = shapely.union_all([west, east])
    plan = plan_frames(points, both, SIDE_M)
    check_plan(plan, points, both)
    assert not set(plan.frame_of_cell[:200]) & set(plan.frame_of_cell[200:])
    alone = [
        plan_frames(p, part, SIDE_M) for p, part in ((points[:200], west), (points[200:], east))
    ]
    assert sorted(map(tuple, plan.bounds_wsen_m)) == sorted(
        tuple(b) for p in alone for b in p.bounds_wsen_m
    )


def test_a_cell_where_two_parts_touch_has_one_frame() -> None:
    corner = shapely.MultiPolygon([shapely.box(0, 0, 0.1, 0.1), shapely.box(0.1, 0.1, 0.2, 0.2)])
    points = np.array([[0.1, 0.1], [0.05, 0.05], [0.15, 0.15]])
    check_plan(plan_frames(points, corner, SIDE_M), points, corner)


def test_a_hole_has_no_frames() -> None:
    ring = shapely.box(0, 0, 0.5, 0.5).difference(shapely.box(0.1, 0.1, 0.4, 0.4))
    points = np.stack(np.meshgrid(np.linspace(0, 0.5, 80), np.linspace(0, 0.5, 80)), -1)
    points = points.reshape(-1, 2)
    plan = plan_frames(points, ring, SIDE_M)
    check_plan(plan, points, ring)
    centres = [plan.footprint(f).lonlat_deg([[0, 0]])[0] for f in range(len(plan.bounds_wsen_m))]
    inside_the_hole = shapely.box(0.13, 0.13, 0.37, 0.37)
    assert not shapely.intersects_xy(inside_the_hole, *np.array(centres).T).any()


def test_nothing_covered_is_a_plan_without_frames() -> None:
    plan = plan_frames(np.array([[0.0, 0.0]]), shapely.box(10, 10, 11, 11), SIDE_M)
    assert plan.bounds_wsen_m.shape == (0, 4)
    assert plan.frame_of_cell.tolist() == [-1]
    assert plan_frames(np.empty((0, 2)), shapely.box(0, 0, 1, 1), SIDE_M).frame_of_cell.size == 0


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, math.nan, math.inf])
def test_an_inner_share_that_cannot_work_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match=f"`inner_share` {share} is not above 0 and at most 1"):
        plan_frames(np.array([[0.0, 0.0]]), shapely.box(-1, -1, 1, 1), SIDE_M, share)


def test_an_inner_point_blends_only_tokens_with_all_their_neighbours() -> None:
    # What INNER_SHARE promises: of 12 tokens a side, 1.5 are left out on each.
    tokens = 12
    edge = np.array([-INNER_SHARE, INNER_SHARE])
    position = (edge + 1) / 2 * tokens - 0.5  # in token centres, 0 to 11
    assert np.floor(position[0] + 1e-9) >= 1
    assert np.ceil(position[1] - 1e-9) <= tokens - 2
