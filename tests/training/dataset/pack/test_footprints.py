"""Which square of imagery a photo gets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from gair.config import GairConfig
from gair.geo import Footprint, lonlat_to_web_mercator
from training.dataset.pack.footprints import Square, centred_squares, tile_squares

TILE_M = GairConfig.footprint_mercator_m
LONDON = (-0.1276, 51.5072)
WORLD = shapely.box(-180, -85, 180, 85)


def places_around(count: int, spread_deg: float = 0.05, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(LONDON) + rng.uniform(-spread_deg, spread_deg, (count, 2))


def tiles(
    lonlat_deg: np.ndarray, places: list[str] | None = None, side_m: float = TILE_M
) -> list[Square]:
    return tile_squares(
        range(len(lonlat_deg)), lonlat_deg, places or ["p"] * len(lonlat_deg), side_m
    )


def centred(
    lonlat_deg: np.ndarray,
    places: list[str] | None = None,
    coverage: shapely.Geometry = WORLD,
    side_m: float = 1000.0,
    seed: int = 0,
) -> list[Square]:
    count = len(lonlat_deg)
    ids = [f"photo {lonlat}" for lonlat in lonlat_deg.tolist()]
    return centred_squares(
        range(count), lonlat_deg, places or ["p"] * count, ids, coverage, side_m=side_m, seed=seed
    )


@pytest.mark.parametrize(
    "lonlat_deg", [LONDON, (139.75009, 35.657349), (-70.6, -33.4), (0.01, 0.01)]
)
def test_tiles_are_those_of_web_maps(lonlat_deg: tuple[float, float]) -> None:
    lon, lat = lonlat_deg  # https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames
    column = int((lon + 180) / 360 * 2**14)
    row = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**14)
    (square,) = tiles(np.array([lonlat_deg]))
    assert square.footprint_id == f"z14-{column}-{row}"
    north = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / 2**14))))
    corner = square.footprint.lonlat_deg([[-1.0, -1.0]])[0]
    np.testing.assert_allclose(corner, (column / 2**14 * 360 - 180, north), atol=1e-9)


@pytest.mark.parametrize("side_m", [TILE_M, 1000.0])
@pytest.mark.parametrize("make", [tiles, centred])
def test_every_photo_lies_in_one_square(make: object, side_m: float) -> None:
    lonlat_deg = places_around(300)
    squares = make(lonlat_deg, side_m=side_m)  # type: ignore[operator]
    assert sorted(i for square in squares for i in square.photos) == list(range(300))
    assert len({square.footprint_id for square in squares}) == len(squares)
    for square in squares:
        xy = square.footprint.frame_xy(lonlat_deg[list(square.photos)])
        assert np.abs(xy).max() <= 1
        west, south, east, north = square.bounds_wsen
        assert east - west == pytest.approx(side_m)
        assert north - south == pytest.approx(side_m)


def test_tiles_do_not_overlap() -> None:
    squares = [
        shapely.box(*square.bounds_wsen) for square in tiles(places_around(300), side_m=900.0)
    ]
    assert shapely.union_all(squares).area == pytest.approx(len(squares) * 900.0**2)


def test_a_tile_belongs_to_the_place_of_most_of_its_photos() -> None:
    lonlat_deg = np.repeat([LONDON], 5, axis=0)
    (square,) = tiles(lonlat_deg, ["b", "a", "b", "a", "c"])
    assert square.place == "a"
    (square,) = tiles(lonlat_deg, ["b", "a", "b", "a", "b"])
    assert square.place == "b"


def test_numbers_of_photos_are_those_given() -> None:
    lonlat_deg = np.repeat([LONDON], 2, axis=0)
    assert tile_squares([7, 40], lonlat_deg, ["p", "p"], TILE_M)[0].photos == (7, 40)
    (square,) = centred_squares(
        [7, 40], lonlat_deg, ["p", "p"], ["a", "b"], WORLD, side_m=500.0, seed=0
    )
    assert square.photos == (7, 40)
    assert square.footprint_id == "around-a"


def test_photos_lie_in_the_inner_part_of_centred_squares_not_in_its_middle() -> None:
    lonlat_deg = places_around(200, spread_deg=5.0)
    squares = centred(lonlat_deg)
    assert len(squares) == 200
    xy = np.concatenate([s.footprint.frame_xy(lonlat_deg[list(s.photos)]) for s in squares])
    assert np.abs(xy).max() <= 0.75
    assert np.abs(xy).max() > 0.7
    np.testing.assert_allclose(xy.mean(axis=0), 0.0, atol=0.1)
    np.testing.assert_allclose(xy.std(axis=0), 0.75 / math.sqrt(3), atol=0.05)


def test_a_centred_square_depends_on_its_photo_and_the_seed_alone() -> None:
    lonlat_deg = places_around(20, spread_deg=5.0)
    squares = centred(lonlat_deg)
    assert centred(lonlat_deg[7:8])[0].bounds_wsen == squares[7].bounds_wsen
    assert centred(lonlat_deg) == squares
    assert centred(lonlat_deg, seed=1)[7].bounds_wsen != squares[7].bounds_wsen


def test_near_photos_share_a_centred_square_unless_their_places_differ() -> None:
    step_deg = 0.0001
    lonlat_deg = np.asarray(LONDON) + np.arange(4)[:, None] * step_deg
    (square,) = centred(lonlat_deg)
    assert square.photos == (0, 1, 2, 3)
    assert [s.photos for s in centred(lonlat_deg, ["a", "b", "a", "b"])] == [(0, 2), (1, 3)]
    assert len(centred(places_around(400, spread_deg=0.005))) < 30


def test_centred_squares_stay_in_the_imagery_where_they_can() -> None:
    x, y = lonlat_to_web_mercator([LONDON])[0]
    chip = np.array([x - 300, y - 1700, x + 1700, y + 300])  # the photo is near its corner
    outline = Footprint("EPSG:3857", tuple(chip.tolist()))
    coverage = shapely.Polygon(outline.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]]))
    reaching_out_m = []
    for seed in range(20):
        (square,) = centred(np.array([LONDON]), coverage=coverage, side_m=1200.0, seed=seed)
        assert np.abs(square.footprint.frame_xy([LONDON])).max() <= 0.75
        beyond = (np.array(square.bounds_wsen) - chip) * [-1, -1, 1, 1]
        reaching_out_m.append(max(0.0, beyond.max()))
    assert np.count_nonzero(reaching_out_m) <= 8  # one move in 36 fits, of 64 that are tried
    assert max(reaching_out_m) < 300  # and the best is taken where none fits
    (square,) = centred(np.array([LONDON]), coverage=coverage, side_m=5000.0)
    assert np.abs(square.footprint.frame_xy([LONDON])).max() <= 0.75
