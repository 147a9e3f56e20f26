"""The picture of a region: in its place, the right way up, masked, and a valid COG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate
from small_builds import build_box, serving_build
from toy_city import NORTH_M, WEST_M, write_city

from gair.bands import GAIR_BANDS
from gair.errors import IndexCorruptError, StorageError
from gair.geo import Footprint, transformer
from indexer.imagery import open_imagery
from indexer.index.index import Index, open_index
from indexer.index.picture.cog import (
    INDEX,
    PICTURE_FILE,
    About,
    Picture,
    expected_bytes,
    open_picture,
    picture_file,
    write_picture,
)
from indexer.index.picture.grid import PictureGrid, grid_over, grids_of
from indexer.index.picture.paint import painted
from indexer.index.picture.shades import Stretch, packed, shaded, stretch_of, unpacked
from indexer.search.maps.ground_picture import chip_at, frame_picture

ABOUT = About(INDEX, ("2024-05-31",), "somebody & <others>", "free")
WORLD_M = 40075016.68557849


@pytest.fixture
def index(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


def drawn(dn: np.ndarray, stretch: dict[str, object]) -> np.ndarray:
    """(10, H, W) digital numbers as the entry of a picture says that they are drawn, in floats."""
    black = np.array(stretch["black_dn"])[:, None, None]
    white = float(str(stretch["white_dn"]))
    share = np.clip((np.minimum(dn[[2, 1, 0]], 6000) - black) / (white - black), 0, 1)
    return np.asarray(255 * share ** (1 / 1.3)).transpose(1, 2, 0)


def test_the_picture_of_a_build_is_a_valid_cog_that_says_whose_it_is(index: Index) -> None:
    path = index.path / PICTURE_FILE
    valid, errors, _ = cog_validate(path, strict=True)
    assert (valid, errors) == (True, [])
    (picture,) = index.pictures
    entry = index.manifest.pictures[0]
    assert entry["file"] == PICTURE_FILE
    assert entry["attribution"] == index.manifest.imagery["attribution"]
    assert entry["licence"].startswith("Copernicus Sentinel data")
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 3857
        assert (file.count, file.dtypes[0], file.compression.value) == (3, "uint8", "JPEG")
        assert file.overviews(1)
        assert file.tags()["TIFFTAG_COPYRIGHT"] == entry["attribution"]
        assert "date unknown" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
        mask = file.read_masks(1)
    assert picture.grid.zoom == 13
    assert 0 < (mask > 0).mean() < 1  # the region is no rectangle of the world


def test_the_picture_at_a_place_has_the_colours_of_the_imagery_there(
    index: Index, city_tif: Path
) -> None:
    compared, stretch = 0, index.pictures[0].entry["stretch"]
    with open_imagery(city_tif) as imagery:
        for row in range(0, len(index.cells), 7):
            chip = chip_at(index, row)
            assert chip is not None
            assert chip.side_m == pytest.approx(640, rel=0.02)
            if max(abs(v - 0.5) for v in chip.place_xy) > 0.02:
                continue
            lon, lat = (float(v) for v in index.cells.lonlat_deg[row])
            square = Footprint.web_mercator_square(
                (lon, lat), chip.side_m / np.cos(np.radians(lat))
            )
            pixels = imagery.read(square, chip.rgb.size[::-1])
            meant, seen = drawn(pixels.dn, stretch), np.asarray(chip.rgb, dtype=float)
            known = pixels.valid
            assert abs(seen - meant)[known].mean() < 14
            if known.all():
                assert abs(seen[::-1] - meant).mean() > 28  # upside down
                assert abs(seen[:, ::-1] - meant).mean() > 28
                compared += 1
    assert compared > 5
    whole = frame_picture(index, 0)
    assert whole is not None
    assert whole.size == (128, 128)  # a tile of zoom 14, at zoom 13


def test_where_the_imagery_has_a_hole_the_picture_has_one(tmp_path: Path) -> None:
    city = write_city(tmp_path / "city.tif", side_px=200, hole=True)
    build_box(city, tmp_path, bbox_wsen_deg=(-0.128, 51.506, -0.106, 51.520))
    (picture,) = open_index(tmp_path / "box").pictures
    to_m = transformer("EPSG:32630", "EPSG:3857")

    def seen(east_m: float, south_m: float) -> bool:
        x, y = to_m(np.array([WEST_M + east_m]), np.array([NORTH_M - south_m]))
        column, row = np.floor(picture.grid.column_row_px(np.stack([x, y], axis=1)))[0].astype(int)
        return picture.square(int(column), int(row), 1, 1) is not None

    assert seen(900, 900)
    assert seen(1500, 1100)
    assert not seen(1200, 1200)
    assert not seen(1050, 1350)
    assert not seen(-100, 1000)  # outside the imagery


def test_the_same_build_again_is_the_same_picture_to_the_byte(
    city_tif: Path, tmp_path: Path
) -> None:
    reports = [build_box(city_tif, tmp_path) for _ in range(2)]
    first, second = (report.manifest for report in reports)
    assert first.files[PICTURE_FILE] == second.files[PICTURE_FILE]
    assert first.pictures == second.pictures
    assert first.content_sha256 == second.content_sha256


@pytest.fixture
def gradient(tmp_path: Path) -> tuple[Picture, np.ndarray]:
    """A picture whose red grows to the east and whose green grows to the south; a part is empty."""
    grid = PictureGrid(12, 2048 * 256, 1300 * 256, 700, 600)
    rows, columns = np.mgrid[:600, :700]
    whole = np.stack(
        [
            columns * 255 // 700,
            rows * 255 // 600,
            np.full((600, 700), 90),
            np.full((600, 700), 255),
        ],
        axis=2,
    ).astype(np.uint8)
    whole[300:400, 300:400] = 0
    strips = (whole[top : top + 512] for top in (0, 512))
    assert write_picture(tmp_path / "picture.tif", grid, strips, ABOUT)
    return open_picture(tmp_path, ABOUT.entry(0, grid, None)), whole


def test_tiles_are_cut_where_the_map_has_them(gradient: tuple[Picture, np.ndarray]) -> None:
    picture, whole = gradient
    left, top = 2048, 1300
    for column in range(3):
        for row in range(3):
            tile = picture.tile(12, left + column, top + row)
            assert tile is not None
            part = whole[256 * row : 256 * (row + 1), 256 * column : 256 * (column + 1)]
            height, width = part.shape[:2]
            inside = tile[:height, :width]
            np.testing.assert_array_equal(inside[..., 3], part[..., 3])
            known = part[..., 3] > 0
            assert abs(inside.astype(int) - part)[known][:, :3].mean() < 6
            assert not tile[height:].any()
            assert not tile[:, width:].any()
    assert picture.tile(12, left - 1, top) is None
    assert picture.tile(12, left + 3, top) is None
    coarse = picture.tile(10, left // 4, top // 4)
    assert coarse is not None
    shrunk = whole[2::4, 2::4]
    assert abs(coarse[:150, :175].astype(int) - shrunk)[10:60, 10:60, :3].mean() < 6
    assert not coarse[150:].any()


def test_a_file_that_is_not_the_one_of_the_manifest_is_refused(
    gradient: tuple[Picture, np.ndarray],
) -> None:
    picture, _ = gradient
    folder, grid = picture.path.parent, picture.grid
    other = PictureGrid(grid.zoom, grid.left_px + 256, grid.top_px, grid.width_px, grid.height_px)
    with pytest.raises(IndexCorruptError, match="is not the picture of the manifest"):
        open_picture(folder, ABOUT.entry(0, other, None))
    picture.path.write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(IndexCorruptError, match="is not a readable picture: rebuild"):
        open_picture(folder, ABOUT.entry(0, grid, None))
    with pytest.raises(IndexCorruptError, match="is not a readable picture: rebuild"):
        picture.tile(12, 2048, 1300)


def test_nothing_is_written_of_nothing_and_a_refusal_is_named(tmp_path: Path) -> None:
    grid = PictureGrid(5, 0, 0, 20, 20)
    empty = [np.zeros((20, 20, 4), dtype=np.uint8)]
    assert not write_picture(tmp_path / "a.tif", grid, empty, ABOUT)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="nowhere"):
        write_picture(tmp_path / "nowhere" / "a.tif", grid, empty, ABOUT)


def test_frames_meet_without_a_seam_and_the_first_shows_where_they_overlap() -> None:
    grid = PictureGrid(13, 0, 0, 300, 140)
    west, _, _, north = grid.bounds_wsen_m
    side = 150.5 * grid.pixel_m  # ends in the middle of a pixel
    lefts = [west, west + side, west + side / 2]
    bounds = np.array([(x, north - side, x + side, north) for x in lefts])
    shades = [np.full((90, 90, 4), 255, dtype=np.uint8) for _ in bounds]
    for own, value in zip(shades, (10, 20, 30), strict=True):
        own[..., :3] = value
    (strip,) = painted(grid, bounds, lambda frame: shades[frame])
    assert (strip[..., 3] == 255).all()
    assert set(np.unique(strip[:, :150, 0])) == {10}
    assert set(np.unique(strip[:, 151:, 0])) == {20}
    (without,) = painted(grid, bounds, lambda frame: None if frame == 1 else shades[frame])
    assert set(np.unique(without[:, 151:225, 0])) == {30}
    assert not without[:, 227:].any()


def test_white_and_black_are_the_last_percents() -> None:
    rng = np.random.default_rng(1)
    dn = rng.integers(400, 2400, (10, 100, 100)).astype(np.uint16)
    dn[0] += 300  # haze lightens blue
    valid = np.ones((100, 100), dtype=bool)
    valid[:10] = False
    dn[:, :10] = 9000  # of no account: there is no imagery
    shades = unpacked(packed(shaded(dn, valid)))
    np.testing.assert_array_equal(shades[..., 3] > 0, valid)
    stretch = stretch_of([shades])
    np.testing.assert_allclose(stretch.black_dn, (420, 420, 720), atol=40)
    assert stretch.white_dn == pytest.approx(2680, abs=60)
    table = stretch.table()
    assert (np.diff(table.astype(int), axis=1) >= 0).all()
    assert (table[:, 0] == 0).all()
    assert (table[:, -1] == 255).all()
    even = stretch_of([np.full((4, 4, 4), 200, dtype=np.uint8)])
    assert even.white_dn - even.black_dn[0] == pytest.approx(500)
    assert stretch_of([]) == Stretch((0.0, 0.0, 0.0), 500.0)


def test_a_stretch_counts_the_pixels_that_show_imagery_one_by_one() -> None:
    rng = np.random.default_rng(2)
    frames = [rng.integers(low, low + 90, (40, 30, 4)).astype(np.uint8) for low in (20, 60, 140)]
    for shades in frames:
        hidden = rng.random((40, 30)) < 0.3
        shades[hidden], shades[~hidden, 3] = (250, 250, 250, 0), 255
    seen = [pixel for shades in frames for pixel in shades.reshape(-1, 4).tolist() if pixel[3]]

    def level(band: int, share: float) -> int:
        """The first that more than a share of the pixels do not lie above."""
        return next(n for n in range(256) if sum(p[band] <= n for p in seen) >= share * len(seen))

    black = [6000 * (level(band, 0.01) / 255) ** 2 for band in range(3)]
    white = max(6000 * (level(band, 0.99) / 255) ** 2 for band in range(3))
    stretch = stretch_of(frames)
    np.testing.assert_allclose([*stretch.black_dn, stretch.white_dn], [*black, white], rtol=1e-12)


def test_shades_are_kept_as_they_are() -> None:
    dn = np.random.default_rng(3).integers(0, 7000, (10, 50, 60)).astype(np.uint16)
    valid = dn[0] > 1000
    shades = unpacked(packed(shaded(dn, valid)))
    for row, column in ((0, 0), (49, 59), (7, 31), (30, 2)):
        rgb = [dn[GAIR_BANDS.index(band), row, column] for band in ("B4", "B3", "B2")]
        expected = [round(255 * (min(int(v), 6000) / 6000) ** 0.5) for v in rgb]
        assert shades[row, column].tolist() == [*expected, 255 * valid[row, column]]


def square_at(lon: float, lat: float, side_m: float = 2446.0) -> tuple[float, float, float, float]:
    return Footprint.web_mercator_square((lon, lat), side_m).bounds_wsen


@pytest.mark.parametrize(("latitude", "zoom"), [(0, 14), (48, 14), (51.5, 13), (65, 13)])
def test_pixels_are_about_as_fine_as_the_imagery(latitude: float, zoom: int) -> None:
    grid = grid_over(np.array([square_at(10, latitude)]), 10.0)
    assert grid.zoom == zoom
    ground_m = grid.pixel_m * np.cos(np.radians(latitude))
    assert 5 < ground_m < 12.6
    west, south, east, north = grid.bounds_wsen_m
    for value, wanted in zip((west, south, east, north), square_at(10, latitude), strict=True):
        assert abs(value - wanted) <= 256 * grid.pixel_m
    assert west <= square_at(10, latitude)[0]
    assert grid.left_px % 256 == grid.top_px % 256 == 0


def test_a_country_has_larger_pixels_and_the_seam_of_the_world_parts_two_pictures() -> None:
    bounds = np.array([square_at(5, 45), square_at(15, 55)])
    ((rows, grid),) = grids_of(bounds, 10.0)
    assert rows.tolist() == [0, 1]
    assert grid.zoom < 13
    assert grid.width_px * grid.height_px <= 1 << 28
    fiji = np.array([square_at(179.9, -17), square_at(-179.9, -17), square_at(179.999, -17)])
    (east, of_east), (west, of_west) = grids_of(fiji, 10.0)
    assert (east.tolist(), west.tolist()) == ([0, 2], [1])
    assert max(of_east.width_px, of_west.width_px) < 4000
    assert of_east.bounds_wsen_m[2] == pytest.approx(WORLD_M / 2)  # no further than the world
    assert grids_of(np.empty((0, 4)), 10.0) == []


def test_further_pictures_are_numbered() -> None:
    assert [picture_file(n) for n in range(3)] == ["picture.tif", "picture-2.tif", "picture-3.tif"]


def test_about_as_much_is_expected_as_is_written(index: Index) -> None:
    frames, grid = index.manifest.frames, index.pictures[0].grid
    inner_m = frames["side_m"] * frames["inner_share"]
    expected = expected_bytes(frames["count"], inner_m, [grid])
    written = (serving_build(index.path.parent) / PICTURE_FILE).stat().st_size
    assert expected < 1.1 * 0.4 * grid.width_px * grid.height_px
    assert 0.5 < written / expected < 3  # made-up noise is more than a city
