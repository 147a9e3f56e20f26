"""Cells of a region: which, how many, how fast, and what no cell can cover."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, shape

from gair.errors import RegionError, UsageError
from indexer.regions.cells import (
    MAX_CELLS,
    Cells,
    cell_boundary_lonlat_deg,
    cell_from_hex,
    cell_hex,
    cells_of,
)
from indexer.regions.region import named_region

EARTH_KM2_ON_H3_SPHERE = 4 * math.pi * 6371.007180918475**2


def test_cells_of_a_box_are_those_with_their_centre_inside() -> None:
    box = shapely.box(-0.15, 51.50, -0.10, 51.52)
    cells = cells_of(box, 9)
    around = h3.grid_disk(h3.latlng_to_cell(51.51, -0.125, 9), 30)
    want = [
        int(cell) for cell in around if box.contains(shapely.Point(h3.cell_to_latlng(cell)[::-1]))
    ]
    assert cells.ids.tolist() == sorted(want)
    assert len(cells) == len(want) > 60


def test_columns_belong_together() -> None:
    cells = cells_of(shapely.box(-0.15, 51.50, -0.10, 51.52), 9)
    assert cells.resolution == 9
    assert [c.dtype.name for c in (cells.ids, cells.lonlat_deg, cells.area_m2)] == [
        "uint64",
        "float64",
        "float64",
    ]
    assert cells.lonlat_deg.shape == (len(cells), 2)
    assert (np.diff(cells.ids.astype(np.int64)) > 0).all()
    for cell, (lon, lat), area_m2 in zip(cells.ids, cells.lonlat_deg, cells.area_m2, strict=True):
        assert h3.latlng_to_cell(lat, lon, 9) == cell
        outline = cell_boundary_lonlat_deg(cell)
        assert outline.shape == (6, 2)
        x = np.radians(outline[:, 0] - lon) * math.cos(math.radians(lat)) * 6371007.18
        y = np.radians(outline[:, 1] - lat) * 6371007.18
        shoelace = (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2  # > 0: counter-clockwise
        assert area_m2 == pytest.approx(shoelace, rel=2e-3)


def test_london_has_as_many_cells_as_its_area_asks_and_quickly() -> None:
    geometry = named_region("london").geometry
    assert len(cells_of(geometry, 8)) == pytest.approx(2376, abs=5)
    assert len(cells_of(geometry, 9)) == pytest.approx(16670, abs=20)
    start = time.perf_counter()
    cells = cells_of(geometry, 10)
    assert time.perf_counter() - start < 10  # 0.5 s on two cores
    assert len(cells) == pytest.approx(116613, abs=100)
    assert cells.area_m2.sum() / 1e6 == pytest.approx(1574.1, rel=0.005)


@pytest.mark.shared
def test_cells_of_an_independent_london(shared_dir: Path) -> None:
    other = shape(json.loads((shared_dir / "data/regions/london.geojson").read_text("utf-8")))
    assert [len(cells_of(other, r)) for r in (8, 9)] == [2376, 16670]


def test_neighbouring_regions_share_no_cell_and_miss_none() -> None:
    whole = named_region("london").geometry
    west, south, east, north = whole.bounds
    halves = [
        whole.intersection(shapely.box(west, south, -0.1, north)),
        whole.intersection(shapely.box(-0.1, south, east, north)),
    ]
    left, right = (cells_of(half, 9).ids for half in halves)
    assert min(len(left), len(right)) > 1000
    assert np.intersect1d(left, right).size == 0
    np.testing.assert_array_equal(np.union1d(left, right), cells_of(whole, 9).ids)


def test_holes_are_left_out() -> None:
    outer, hole = shapely.box(0, 0, 0.2, 0.2), shapely.box(0.05, 0.05, 0.15, 0.15)
    with_hole = cells_of(outer.difference(hole), 8).ids
    in_hole = cells_of(hole, 8).ids
    assert len(in_hole) > 50
    assert np.intersect1d(with_hole, in_hole).size == 0
    np.testing.assert_array_equal(np.union1d(with_hole, in_hole), cells_of(outer, 8).ids)


def test_parts_of_a_multipolygon_add_up() -> None:
    boxes = [shapely.box(179.5, -17, 180, -16), shapely.box(-180, -17, -179.5, -16)]
    ids = cells_of(MultiPolygon(boxes), 6).ids
    np.testing.assert_array_equal(
        ids, np.union1d(cells_of(boxes[0], 6).ids, cells_of(boxes[1], 6).ids)
    )


@pytest.mark.parametrize(
    "bbox", [(-170, -10, 170, 10), (-100, -10, 100, 10), (0, -90, 180, 90), (-90, 0, 89.9, 90)]
)
def test_wide_regions_do_not_turn_inside_out(bbox: tuple[float, float, float, float]) -> None:
    every = [cell for top in h3.get_res0_cells() for cell in h3.cell_to_children(top, 2)]
    lat, lon = np.array([h3.cell_to_latlng(cell) for cell in every]).T
    west, south, east, north = bbox
    inside = (west < lon) & (lon < east) & (south < lat) & (lat < north)
    np.testing.assert_array_equal(
        cells_of(shapely.box(*bbox), 2).ids, np.sort(np.array(every, np.uint64)[inside])
    )


@pytest.mark.parametrize("resolution", [0, 1, 3])
def test_the_world_is_covered_once(resolution: int) -> None:
    cells = cells_of(shapely.box(-180, -90, 180, 90), resolution)
    assert len(cells) == h3.get_num_cells(resolution)
    assert cells.area_m2.sum() / 1e6 == pytest.approx(EARTH_KM2_ON_H3_SPHERE, rel=1e-6)


def test_a_region_smaller_than_a_cell_says_what_would_help() -> None:
    small = shapely.box(-0.1240, 51.5070, -0.1220, 51.5080)
    with pytest.raises(RegionError) as caught:
        cells_of(small, 6)
    text = str(caught.value)
    assert re.search(r"resolution 6 lies .* has 1\.5\de\+04 m2, a cell here 3\d\.\d\d km2; ", text)
    finer, count = (int(word) for word in text.split("`resolution` ")[-1].split(" gives "))
    assert len(cells_of(small, finer)) == count >= 1
    with pytest.raises(RegionError):
        cells_of(small, finer - 1)


def test_a_region_smaller_than_every_cell() -> None:
    with pytest.raises(RegionError, match="no resolution gives one; enlarge the region"):
        cells_of(shapely.box(0, 0, 1e-8, 1e-8), 15)


@pytest.mark.parametrize("resolution", [-1, 16, 9.5])
def test_resolutions_that_h3_has_not(resolution: int) -> None:
    words = r"no resolution .*; choose `resolution` 0 \(coarsest\) to 15"
    with pytest.raises(UsageError, match=words):
        cells_of(shapely.box(0, 0, 1, 1), resolution)


def test_more_cells_than_fit_are_refused_at_once() -> None:
    with pytest.raises(
        UsageError, match=r"1,574 km2 into about 1,9\d\d,.*choose `resolution` 13 or less"
    ):
        cells_of(named_region("london").geometry, 15)
    assert MAX_CELLS == 100_000_000


def test_an_invalid_region_is_refused() -> None:
    with pytest.raises(RegionError, match="the region is not a valid area: Self-intersection"):
        cells_of(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), 5)


def test_addresses() -> None:
    cell = int(h3.latlng_to_cell(51.5, -0.1, 10))
    assert cell_hex(cell) == cell_hex(np.uint64(cell)) == f"{cell:x}"
    assert cell_from_hex(cell_hex(cell)) == cell
    for text in ("", "zz", "-1", "0", "ffffffffffffffff", "1" + cell_hex(cell) + "0"):
        with pytest.raises(UsageError, match="is no H3 cell; an address looks like"):
            cell_from_hex(text)
    for number in (0, -5, 2**64, cell + 1):
        with pytest.raises(UsageError, match=f"{number} is no H3 cell"):
            cell_hex(number)
        with pytest.raises(UsageError):
            cell_boundary_lonlat_deg(number)


def test_outlines_at_the_edges_of_the_world() -> None:
    outline = cell_boundary_lonlat_deg(int(h3.latlng_to_cell(-17, 180, 5)))
    assert np.ptp(outline[:, 0]) < 1
    pentagon = int(h3.get_pentagons(6)[0])
    assert cell_boundary_lonlat_deg(pentagon).shape[0] == 5


def test_cells_can_be_made_by_hand() -> None:
    cells = Cells(np.zeros(2, np.uint64), np.zeros((2, 2)), np.ones(2), 9)
    assert len(cells) == 2
