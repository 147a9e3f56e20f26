"""Which files make a scene, which are passed over, and which are refused by name."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from tiny_rasters import UTM18, flat_bands, transform_around, write_bands, write_raster

from gair.bands import GAIR_BANDS, LAYOUTS
from gair.errors import ImageryError
from indexer.imagery.scenes import Scene, find_rasters, find_scenes

SMALL = (8, 8)
PICTURE = np.full((3, *SMALL), 90, dtype=np.uint8)


def scenes_in(*paths: Path, bands: tuple[str, ...] | None = None) -> list[Scene]:
    return find_scenes(find_rasters(paths), bands)


def write_stack(path: Path, layout: str = "gair-10", named: bool = True) -> Path:
    count = len(LAYOUTS[layout])
    pixels = np.full((count, *SMALL), 900, dtype=np.uint16)
    return write_raster(path, pixels, names=LAYOUTS[layout] if named else ())


def where(scene: Scene) -> list[tuple[str, int]]:
    return [(band.raster.name, band.index) for band in scene.bands]


def test_a_stack_is_read_by_its_descriptions(tmp_path: Path) -> None:
    (scene,) = scenes_in(write_stack(tmp_path / "chip.tif", "l2a-12"))
    assert [band.name for band in scene.bands] == list(GAIR_BANDS)
    assert [band.index for band in scene.bands] == [2, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    assert (scene.name, scene.provenance.level) == ("chip.tif", "L2A")


def test_a_stack_is_read_by_the_stated_order(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "chip.TIF", "l1c-13", named=False)
    (scene,) = scenes_in(stack, bands=LAYOUTS["l1c-13"])
    assert [band.index for band in scene.bands] == [2, 3, 4, 5, 6, 7, 8, 9, 12, 13]
    assert scene.provenance.level == "L1C"


def test_a_stated_order_that_contradicts_the_descriptions_is_refused_unless_forced(
    tmp_path: Path,
) -> None:
    stated = tuple(reversed(GAIR_BANDS))
    path = write_stack(tmp_path / "chip.tif")
    message = refusal(path, bands=stated)
    assert (
        "chip.tif names its bands otherwise than `bands`: band 1 is 'B2', stated as B12" in message
    )
    assert "and 7 more; leave `bands` out to go by its names, or pass `force_bands`" in message
    (scene,) = find_scenes(find_rasters([path]), stated, force_bands=True)
    assert [band.index for band in scene.bands] == list(range(10, 0, -1))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (GAIR_BANDS, None),
        (("blue", "green", "B04", *GAIR_BANDS[3:]), None),
        (("", *GAIR_BANDS[1:]), None),
        (("first", "second", *GAIR_BANDS[2:]), None),
        (tuple(f"Band {n}" for n in range(1, 11)), None),
        (tuple(f"{n}" for n in range(1, 11)), None),
        (("B2", "B4", "B3", *GAIR_BANDS[3:]), "band 2 is 'B4', stated as B3, band 3 is 'B3'"),
        (("green", *GAIR_BANDS[1:]), "band 1 is 'green', stated as B2; leave"),
        (("", "", "", "", "", "", "", "", "", "B11"), "band 10 is 'B11', stated as B12; leave"),
    ],
)
def test_names_that_agree_with_the_stated_order_or_say_nothing_are_taken(
    tmp_path: Path, names: tuple[str, ...], words: str | None
) -> None:
    path = write_raster(tmp_path / "chip.tif", flat_bands(SMALL), names=names)
    if words is None:
        (scene,) = scenes_in(path, bands=GAIR_BANDS)
        assert [band.index for band in scene.bands] == list(range(1, 11))
    else:
        assert words in refusal(path, bands=GAIR_BANDS)


def test_a_named_band_may_be_left_out_by_the_stated_order(tmp_path: Path) -> None:
    pixels = np.full((11, *SMALL), 900, dtype=np.uint16)
    path = write_raster(tmp_path / "chip.tif", pixels, names=(*GAIR_BANDS, "B2"))
    (scene,) = scenes_in(path, bands=(*GAIR_BANDS, "-"))
    assert [band.index for band in scene.bands] == list(range(1, 11))


def test_single_bands_are_gathered_by_name(tmp_path: Path) -> None:
    write_bands(tmp_path, "s2_{}.tif", flat_bands(SMALL))
    (scene,) = scenes_in(tmp_path)
    assert scene.name == "s2"
    assert where(scene)[0] == ("s2_B02.tif", 1)
    assert where(scene)[7] == ("s2_B8A.tif", 1)
    assert scene.resolution_m == pytest.approx(10, rel=1e-3)


def test_a_safe_tree_prefers_the_finest_file_of_each_band(tmp_path: Path) -> None:
    tree = tmp_path / "S2B_MSIL2A_20240101T160509_N0510_R054_T18SUG_20240101T182145.SAFE"
    images = tree / "GRANULE" / "L2A_T18SUG_A035612_20240101T160506" / "IMG_DATA"
    at = {10: ("B2", "B3", "B4", "B8"), 20: ("B5", "B6", "B7", "B8A", "B11", "B12")}
    at[20] += at[10][:3]
    at[60] = tuple(dict.fromkeys([*at[20], "B1", "B9"]))
    for metres, bands in at.items():
        for band in bands:
            size = (120 // metres, 120 // metres)
            write_raster(
                images / f"R{metres}m" / f"T18SUG_20240101T160509_B{band[1:]:0>2}_{metres}m.tif",
                np.full((1, *size), 700, dtype=np.uint16),
                transform=Affine(metres, 0, 435720, 0, -metres, 4179480),
            )
    quality = tree / "GRANULE" / "L2A_T18SUG_A035612_20240101T160506" / "QI_DATA"
    write_bands(quality, "MSK_DETFOO_{}.tif", flat_bands(SMALL).astype(np.uint8))
    write_raster(quality / "MSK_QUALIT_B02.tif", PICTURE)
    write_raster(images / "R10m" / "T18SUG_20240101T160509_TCI_10m.tif", PICTURE)
    write_raster(images / "R10m" / "T18SUG_20240101T160509_AOT_10m.tif", flat_bands(SMALL)[:1])
    write_raster(images / "R20m" / "T18SUG_20240101T160509_SCL_20m.tif", PICTURE[:1])
    metadata = "<A><BOA_ADD_OFFSET band_id='0'>-1000</BOA_ADD_OFFSET></A>"
    (tree / "MTD_MSIL2A.xml").write_text(metadata)

    (scene,) = scenes_in(tree)
    folders = {band.name: band.raster.path.parent.name for band in scene.bands}
    assert folders == {band: "R10m" if band in at[10] else "R20m" for band in GAIR_BANDS}
    assert scene.name.endswith("IMG_DATA/T18SUG_20240101T160509")
    assert scene.provenance.acquired == datetime(2024, 1, 1, 16, 5, 9, tzinfo=UTC)
    assert scene.provenance.level == "L2A"
    assert scene.provenance.product_offset_dn == -1000


def test_asset_names_gather_too(tmp_path: Path) -> None:
    assets = "blue green red rededge1 rededge2 rededge3 nir nir08 swir16 swir22".split()
    for asset in assets:
        write_raster(tmp_path / f"{asset}.tif", np.full((1, *SMALL), 700, dtype=np.uint16))
    (scene,) = scenes_in(tmp_path)
    assert [name for name, _ in where(scene)] == [f"{asset}.tif" for asset in assets]


def test_folders_and_names_keep_scenes_apart(tmp_path: Path) -> None:
    write_bands(tmp_path / "b", "{}.tif", flat_bands(SMALL))
    write_bands(tmp_path / "a", "{}.tif", flat_bands(SMALL))
    write_bands(tmp_path, "T18SUG_20240201T160509_{}.tif", flat_bands(SMALL))
    write_bands(tmp_path, "T18SUG_20240101T160509_{}.tif", flat_bands(SMALL))
    names = [scene.name for scene in scenes_in(tmp_path)]
    assert names == ["T18SUG_20240101T160509", "T18SUG_20240201T160509", "a", "b"]
    both = [scene.name for scene in scenes_in(tmp_path / "b", tmp_path / "a", tmp_path / "a")]
    assert both == ["a", "b"]


def test_links_keep_the_names_they_are_found_by(tmp_path: Path) -> None:
    stores = write_bands(tmp_path / "store", "s2_{}.tif", flat_bands(SMALL))
    (tmp_path / "links").mkdir()
    for store in stores:
        hashed = store.rename(store.with_name(f"{store.stat().st_ino:x}"))
        (tmp_path / "links" / store.name).symlink_to(hashed)
    (scene,) = scenes_in(tmp_path / "links")
    assert scene.name == "s2"


def test_pictures_and_classes_beside_bands_are_passed_over(tmp_path: Path) -> None:
    write_bands(tmp_path, "s2_{}.tif", flat_bands(SMALL))
    write_raster(tmp_path / "preview.jp2", PICTURE, driver="GTiff")
    write_raster(tmp_path / "s2_SCL.tif", PICTURE[:1])
    write_raster(tmp_path / "dem.tif", np.ones((1, *SMALL), dtype=np.float32))
    (tmp_path / ".hidden.tif").write_bytes(b"no raster")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.tif").write_bytes(b"no raster")
    (tmp_path / "notes.txt").write_text("no raster")
    assert [scene.name for scene in scenes_in(tmp_path)] == ["s2"]


def refusal(*paths: Path, bands: tuple[str, ...] | None = None) -> str:
    """The one line with which the paths are refused."""
    with pytest.raises(ImageryError) as caught:
        scenes_in(*paths, bands=bands)
    message = str(caught.value)
    assert "\n" not in message
    return f"{type(caught.value).__name__}: {message}"


def test_only_a_picture_is_refused_by_name(tmp_path: Path) -> None:
    picture = write_raster(tmp_path / "preview.tif", PICTURE)
    for path in (picture, tmp_path):
        message = refusal(path)
        assert message.startswith(f"BandError: {picture} does not name its 3 bands, and B2, B3")


def test_a_picture_with_colour_names_is_refused_for_what_it_lacks(tmp_path: Path) -> None:
    picture = write_raster(tmp_path / "visual.tif", PICTURE, names=("red", "green", "blue"))
    assert "lacks B5, B6, B7, B8, B8A, B11, B12 (it has red, green, blue)" in refusal(picture)


def test_unnamed_bands_are_refused_even_where_their_number_fits(tmp_path: Path) -> None:
    write_stack(tmp_path / "chip.tif", "l2a-12", named=False)
    assert "does not name its 12 bands" in refusal(tmp_path)


def test_an_unnamed_stack_is_not_passed_over_beside_a_scene(tmp_path: Path) -> None:
    write_stack(tmp_path / "good.tif")
    write_stack(tmp_path / "other.tif", named=False)
    assert "other.tif does not name its 10 bands" in refusal(tmp_path)


def test_missing_bands_are_named(tmp_path: Path) -> None:
    keep = [n for n, band in enumerate(GAIR_BANDS) if band not in ("B5", "B8A")]
    bands = [GAIR_BANDS[n] for n in keep]
    write_bands(tmp_path / "singles", "s2_{}.tif", flat_bands(SMALL)[keep], bands)
    assert "the scene 's2' in" in refusal(tmp_path / "singles")
    assert "lacks B5, B8A (it has B" in refusal(tmp_path / "singles")
    stack = write_raster(tmp_path / "stack.tif", flat_bands(SMALL)[keep], names=bands)
    assert "stack.tif lacks B5, B8A (it has B2" in refusal(stack)


def test_a_stated_order_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "chip.tif", "l1c-13", named=False)
    message = refusal(stack, bands=LAYOUTS["l2a-12"])
    assert message.startswith(f"BandError: {stack} has 13 bands, but the stated order has 12")


def test_a_stated_order_is_refused_for_files_of_one_band(tmp_path: Path) -> None:
    write_bands(tmp_path, "s2_{}.tif", flat_bands(SMALL))
    assert "an order of 12 bands was stated, but" in refusal(tmp_path, bands=LAYOUTS["l2a-12"])


def test_one_file_with_one_band_is_refused(tmp_path: Path) -> None:
    lone = write_raster(tmp_path / "s2_B02.tif", flat_bands(SMALL)[:1])
    assert "lacks B3, B4" in refusal(lone)
    nameless = write_raster(tmp_path / "other" / "dem.tif", flat_bands(SMALL)[:1])
    assert "its name says not which" in refusal(nameless)


def test_two_equal_files_for_a_band_are_refused(tmp_path: Path) -> None:
    write_bands(tmp_path, "s2_{}.tif", flat_bands(SMALL))
    shutil.copy(tmp_path / "s2_B03.tif", tmp_path / "s2_b3.tiff")
    message = refusal(tmp_path)
    assert message.startswith("BandError: both")
    assert "hold B3 of one scene" in message


def test_bands_of_different_places_are_refused(tmp_path: Path) -> None:
    write_bands(tmp_path, "s2_{}.tif", flat_bands(SMALL))
    away = transform_around((-75.0, 37.7), SMALL, UTM18)
    write_raster(tmp_path / "s2_B04.tif", flat_bands(SMALL)[:1], transform=away)
    assert "have no place in common" in refusal(tmp_path)


def test_no_crs_is_refused(tmp_path: Path) -> None:
    somewhere = transform_around((-75.6, 37.7), SMALL, UTM18)
    path = write_raster(
        tmp_path / "a.tif", flat_bands(SMALL), names=GAIR_BANDS, crs=None, transform=somewhere
    )
    assert refusal(path).startswith(f"ImageryError: {path} has no coordinate reference system")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_geotransform_is_refused(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", flat_bands(SMALL), names=GAIR_BANDS, transform=Affine.identity()
    )
    assert refusal(path).startswith(f"ImageryError: {path} has no geotransform")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_control_points_alone_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "a.tif", flat_bands(SMALL), names=GAIR_BANDS, crs=None, transform=None
    )
    with rasterio.open(path, "r+") as raster:
        corners = [GroundControlPoint(r, c, c / 1e4, -r / 1e4) for r in (0, 8) for c in (0, 8)]
        raster.gcps = (corners, rasterio.crs.CRS.from_epsg(4326))
    message = refusal(path)
    assert "is placed by 4 ground control points in EPSG:4326 and has no geotransform" in message
    assert "gdalwarp" in message


@pytest.mark.parametrize("dtype", ["uint8", "int8", "complex64", "uint64"])
def test_pixels_that_are_no_digital_numbers_are_refused(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((10, *SMALL), dtype), names=GAIR_BANDS)
    assert f"has pixels of type {dtype}" in refusal(path)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_pixels_that_may_be_digital_numbers_are_taken(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((10, *SMALL), dtype), names=GAIR_BANDS)
    assert len(scenes_in(path)) == 1


def test_a_band_marked_as_transparency_is_refused(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "a.tif")
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [*raster.colorinterp[:3], ColorInterp.alpha, *raster.colorinterp[4:]]
    assert "a.tif marks B5 as transparency" in refusal(path)


def test_a_local_crs_is_refused(tmp_path: Path) -> None:
    local = 'LOCAL_CS["site grid",UNIT["metre",1]]'
    path = write_raster(
        tmp_path / "a.tif",
        flat_bands(SMALL),
        names=GAIR_BANDS,
        crs=local,
        transform=Affine(10, 0, 500, 0, -10, 500),
    )
    assert "does not map to longitude and latitude" in refusal(path)


def test_a_file_that_is_no_raster_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("version https://git-lfs.github.com/spec/v1")
    assert refusal(tmp_path).startswith(f"ImageryError: cannot read {path}: ")


def test_a_folder_of_nameless_bands_has_a_name(tmp_path: Path) -> None:
    write_bands(tmp_path / "virginia", "{}.tif", flat_bands(SMALL))
    assert [scene.name for scene in scenes_in(tmp_path / "virginia")] == ["virginia"]


def test_paths_without_rasters_are_refused(tmp_path: Path) -> None:
    assert "no file or folder" in refusal(tmp_path / "nowhere")
    assert "it holds no files" in refusal(tmp_path)
    for name in ("a.csv", "b.csv", "sub/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert "it holds 2 .csv files and 1 .txt file" in refusal(tmp_path)
    assert "a.csv is no .tif, .tiff, .jp2 file" in refusal(tmp_path / "a.csv")
