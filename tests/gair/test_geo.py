"""Footprints and distances."""

from __future__ import annotations

import numpy as np
import pytest

from gair.errors import FootprintError
from gair.geo import LONLAT, Footprint, haversine_m, lonlat_to_web_mercator, transformer


def test_corners_of_a_footprint_that_is_not_square() -> None:
    footprint = Footprint(LONLAT, (10.0, 50.0, 12.0, 53.0))
    corners = [[10.0, 53.0], [12.0, 53.0], [10.0, 50.0], [12.0, 50.0], [10.5, 52.25]]
    wanted = [[-1, -1], [1, -1], [-1, 1], [1, 1], [-0.5, -0.5]]  # y down: the north is -1
    np.testing.assert_allclose(footprint.frame_xy(corners), wanted, atol=1e-12)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32630", "EPSG:27700", "OGC:CRS84"])
def test_lonlat_round_trips_through_any_crs(crs: str) -> None:
    bounds = (
        (-1.0, 51.0, 1.0, 52.0)
        if crs == "OGC:CRS84"
        else (500_000.0, 100_000.0, 5e5 + 2446, 1e5 + 2446)
    )
    footprint = Footprint(crs, bounds)
    xy = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(footprint.frame_xy(footprint.lonlat_deg(xy)), xy, atol=1e-6)


HALF_WORLD_M = 20037508.342789244


@pytest.mark.parametrize(
    "footprint",
    [
        Footprint("EPSG:3857", (HALF_WORLD_M - 1000, -1000.0, HALF_WORLD_M + 1000, 1000.0)),
        Footprint("EPSG:3857", (-HALF_WORLD_M - 1000, -1000.0, -HALF_WORLD_M + 1000, 1000.0)),
        Footprint(LONLAT, (179.99, -0.01, 180.01, 0.01)),
        Footprint("EPSG:4326", (-180.01, -0.01, -179.99, 0.01)),
        Footprint("EPSG:32601", (166021.4 - 9e2, 0.0, 166021.4 + 9e2, 1800.0)),
    ],
)
def test_a_frame_over_180_degrees_holds_points_on_both_sides(footprint: Footprint) -> None:
    degree_m = 111319.49
    for away_m in (400.0, 0.5):
        degrees = away_m / degree_m
        west, east = footprint.frame_xy([[180 - degrees, 0.0], [-180 + degrees, 0.0]])
        assert -1 < west[0] < east[0] < 1
        width_m = {"EPSG:3857": 2000, "EPSG:32601": 1800}.get(footprint.crs, 0.02 * degree_m)
        assert (east - west)[0] / 2 * width_m == pytest.approx(2 * away_m, rel=2e-3)
    line = footprint.frame_xy([[180.0, 0.0], [-180.0, 0.0], [540.0, 0.0]])
    np.testing.assert_allclose(line[1:], line[[0, 0]], atol=1e-6)
    xy = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    np.testing.assert_allclose(footprint.frame_xy(footprint.lonlat_deg(xy)), xy, atol=1e-5)


def test_an_ordinary_frame_is_left_to_the_last_bit() -> None:
    """Also seen from far away, on its own side of the world."""
    bounds = (-12000.0, 6710000.0, -9554.0, 6712446.0)
    points = np.random.default_rng(1).uniform([-150, 20], [150, 70], (50, 2))
    x, y = transformer(LONLAT, "EPSG:3857")(points[:, 0], points[:, 1])
    u, v = (x - bounds[0]) / 2446.0, (bounds[3] - y) / 2446.0
    wanted = np.stack([2 * u - 1, 2 * v - 1], axis=1)
    assert np.array_equal(Footprint("EPSG:3857", bounds).frame_xy(points), wanted)


def test_a_web_mercator_square_has_the_ground_size_of_its_latitude() -> None:
    footprint = Footprint.web_mercator_square((-0.1, 51.5), 2445.98)
    west, east = footprint.lonlat_deg([[-1, 0], [1, 0]])
    assert float(haversine_m(west, east)) == pytest.approx(
        2445.98 * np.cos(np.radians(51.5)), rel=2e-3
    )


def test_haversine_of_known_distances() -> None:
    quarter = np.pi / 2 * 6371008.8
    assert float(haversine_m([0, 0], [90, 0])) == pytest.approx(quarter)
    assert float(haversine_m([12, -90], [80, 90])) == pytest.approx(2 * quarter)
    london, paris = [-0.1276, 51.5072], [2.3522, 48.8566]
    assert float(haversine_m(london, paris)) == pytest.approx(343_560, rel=1e-3)


@pytest.mark.parametrize(
    "bounds", [(1.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, np.nan, 1.0)]
)
def test_an_empty_footprint_is_refused(bounds: tuple[float, float, float, float]) -> None:
    with pytest.raises(FootprintError, match="enclose no area"):
        Footprint("EPSG:3857", bounds)


def test_the_poles_are_outside_web_mercator() -> None:
    with pytest.raises(FootprintError, match=r"latitude 86\.0000 is outside Web Mercator"):
        lonlat_to_web_mercator([[0.0, 86.0]])


def test_an_unknown_crs_is_named() -> None:
    with pytest.raises(FootprintError, match="EPSG:99999"):
        Footprint("EPSG:99999", (0, 0, 1, 1)).frame_xy([[0, 0]])
