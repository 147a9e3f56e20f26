"""The offset of each scene: by its tags, its product's metadata or name, or what a user states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_rasters import FLAT, UTM18, own_footprint, transform_around, write_bands, write_raster

from gair.bands import GAIR_BANDS
from gair.errors import ImageryError
from indexer.imagery import open_imagery
from training.dataset.pack.dated_imagery import DatedImagery
from training.dataset.pack.options import ImageryOptions

OLD = "S2A_MSIL2A_20210714T160901_N0301_R054_T18SUG_20210714T040000"
NEW = "S2B_MSIL2A_20230714T160659_N0509_R054_T18SUG_20230714T034611"
L1C = "S2B_MSIL1C_20230714T160659_N0509_R054_T18SUG_20230714T034611"
DESK = "S2B_MSIL2A_20230714T160659_N9999_R054_T18SUG_20230714T034611"
HIGHER = FLAT + 1000


def xml(*, offsets: tuple[object, ...] = (), baseline: str = "", uri: str = "") -> str:
    """A product's metadata, as far as it matters here."""
    lines = [
        f'<BOA_ADD_OFFSET band_id="{n}">{value}</BOA_ADD_OFFSET>' for n, value in enumerate(offsets)
    ]
    lines += [f"<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>"] if baseline else []
    lines += [f"<PRODUCT_URI>{uri}</PRODUCT_URI>"] if uri else []
    return f"<n1:Level-2A_User_Product>{''.join(lines)}</n1:Level-2A_User_Product>"


def product(folder: Path, pixels: Any, metadata: str | None, name: str = "MTD_MSIL2A.xml") -> Path:
    """One file a band, as deep as in a SAFE product; returns one of them."""
    stem = f"T18SUG_{folder.name[11:26]}" if "_MSIL" in folder.name else "s2"
    paths = write_bands(
        folder / "GRANULE/L2A_T18SUG_A03_20200101T000000/IMG_DATA/R10m", stem + "_{}.tif", pixels
    )
    if metadata is not None:
        (folder / name).write_text(metadata)
    return paths[0]


def read(path: Path, inside: Path, **options: Any) -> tuple[int, tuple[str, ...]]:
    """How far the pixels lie above the right ones, and the notes."""
    with open_imagery(path, **options) as imagery:
        dn = imagery.read(*own_footprint(inside)).dn
        above = np.unique(dn.astype(int) - FLAT)
        assert len(above) == 1
        return int(above[0]), imagery.warnings


@pytest.mark.parametrize(
    ("name", "pixels", "metadata", "source"),
    [
        ("renamed.SAFE", HIGHER, xml(offsets=(-1000,) * 13), "MTD_MSIL2A.xml"),
        ("renamed.SAFE", HIGHER, xml(offsets=(-1000,)), "MTD_MSIL2A.xml"),
        ("renamed.SAFE", FLAT + 300, xml(offsets=(" -300.0 ",)), "MTD_MSIL2A.xml"),
        ("renamed.SAFE", HIGHER, xml(baseline="05.09"), "the baseline 05.09 in MTD_MSIL2A.xml"),
        (OLD, HIGHER, xml(offsets=(-1000,)), "MTD_MSIL2A.xml"),  # the metadata wins over a name
        (NEW, HIGHER, "", "the baseline 05.09 in its name"),  # metadata cut short
        (NEW, HIGHER, None, "the baseline 05.09 in its name"),
        (NEW.replace("N0509", "N0400"), HIGHER, None, "the baseline 04.00 in its name"),
        (L1C, HIGHER, None, "the baseline 05.09 in its name"),
        (NEW.lower() + ".safe", HIGHER, None, "the baseline 05.09 in its name"),
    ],
)
def test_the_offset_of_a_product_is_added_and_said(
    tmp_path: Path, name: str, pixels: Any, metadata: str | None, source: str
) -> None:
    inside = product(tmp_path / name, pixels, metadata)
    above, notes = read(tmp_path, inside)
    assert above == 0
    (note,) = [note for note in notes if "offset" in note]
    assert note.endswith(f" is added, as {source} says.")
    offset_dn = int(FLAT[0, 0, 0]) - int(pixels[0, 0, 0])
    above, notes = read(tmp_path, inside, dn_offset=offset_dn)  # what the user says, too: once
    assert above == 0
    assert not any("offset" in note for note in notes)
    above, notes = read(tmp_path, inside, dn_offset=-250)
    assert above == 0
    assert any(f"--dn-offset -250 is not added, for {source} says {offset_dn}" in n for n in notes)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        (OLD, None),
        (OLD, xml(baseline="03.01")),
        (NEW, xml(offsets=(0,) * 13)),
        (NEW, xml(baseline="02.14")),
        (OLD.replace("N0301", "N0399"), None),
    ],
)
def test_a_product_that_asks_for_nothing_gets_nothing(
    tmp_path: Path, name: str, metadata: str | None
) -> None:
    inside = product(tmp_path / name, FLAT, metadata)
    assert read(tmp_path, inside) == (0, ())
    above, notes = read(tmp_path, inside, dn_offset=-200)
    assert above == 0
    (note,) = notes
    assert "--dn-offset -200 is not added, for" in note
    assert note.endswith("says 0.")


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        (DESK, None),
        (DESK, xml(baseline="99.99")),
        ("plain", None),
        ("plain", "<a/>"),
        ("N0509", None),
    ],
)
def test_what_says_nothing_leaves_it_to_the_user(
    tmp_path: Path, name: str, metadata: str | None
) -> None:
    inside = product(tmp_path / name, HIGHER, metadata)
    assert read(tmp_path, inside) == (1000, ())
    assert read(tmp_path, inside, dn_offset=-1000) == (0, ())


@pytest.mark.parametrize(
    ("file", "tags"),
    [
        (f"{NEW}.tif", {}),
        (f"{NEW}_10m_clipped.tif", {}),
        ("a.tif", {"PRODUCT_ID": NEW}),
        ("a.tif", {"PRODUCT_URI": f"{NEW}.SAFE"}),
    ],
)
def test_a_file_may_carry_the_name_of_its_product(
    tmp_path: Path, file: str, tags: dict[str, str]
) -> None:
    path = write_raster(tmp_path / file, HIGHER, names=GAIR_BANDS, tags=tags)
    above, (note,) = read(path, path)
    assert above == 0
    assert "an offset of -1000 is added, as the baseline 05.09 in" in note


def test_the_granule_alone_tells_its_baseline(tmp_path: Path) -> None:
    inside = product(tmp_path / "kept", HIGHER, None)
    granule = inside.parents[2]
    (granule / "MTD_TL.xml").write_text(
        "<TILE_ID level='x'>S2B_OPER_MSI_L2A_TL_2BPS_A03_T18SUG_N05.09</TILE_ID>"
    )
    above, (note,) = read(tmp_path, inside)
    assert above == 0
    assert "the baseline 05.09 in MTD_TL.xml" in note


@pytest.mark.parametrize("stated", [0.0, -1000.0])
def test_a_folder_may_hold_products_of_both_kinds(tmp_path: Path, stated: float) -> None:
    old = product(tmp_path / OLD, FLAT, xml(baseline="03.01"))
    east = transform_around((-75.0, 37.7), FLAT.shape[1:], UTM18)
    for name, metadata in ((NEW, xml(offsets=(-1000,))), (NEW.replace("2023", "2022"), None)):
        product(tmp_path / name, HIGHER, metadata)
        for file in (tmp_path / name).rglob("*.tif"):
            write_raster(file, np.full((1, 40, 40), 2345, np.uint16), transform=east)
    with open_imagery(tmp_path, dn_offset=stated) as imagery:
        np.testing.assert_array_equal(imagery.read(*own_footprint(old)).dn, FLAT)
        assert (imagery.read(*own_footprint(file)).dn == 1345).all()
        scenes = imagery.describe()["scenes"]
        assert [(s["offset_dn"], s["offset_from"]) for s in scenes] == [
            (0, "the baseline 03.01 in MTD_MSIL2A.xml"),
            (-1000, "the baseline 05.09 in its name"),
            (-1000, "MTD_MSIL2A.xml"),
        ]
        if stated:
            (note,) = imagery.warnings
            assert note.startswith(OLD)
            assert "--dn-offset -1000 is not added" in note
    with DatedImagery([tmp_path], ImageryOptions(dn_offset=stated)) as dated:
        assert dated.days == ("2021-07-14", "2022-07-14", "2023-07-14")
        for day, place, dn in zip(dated.days, (old, file, file), (500, 1345, 1345), strict=True):
            assert (dated.read(day, own_footprint(place)[0]).dn[0] == dn).all()
        assert [d["scenes"][0].get("offset_dn") for d in dated.describe()] == [0, -1000, -1000]


def test_metadata_of_another_product_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "MTD_MSIL2A.xml").write_text(xml(offsets=(-1000,), uri=f"{NEW}.SAFE"))
    mine = write_bands(tmp_path, "T18SUG_20230714T160659_{}.tif", HIGHER)[0]
    assert read(tmp_path, mine)[0] == 0
    for path in tmp_path.glob("*.tif"):
        path.unlink()
    other = write_bands(tmp_path, "T18SUG_20210714T160901_{}.tif", FLAT)[0]
    assert read(tmp_path, other) == (0, ())
    (tmp_path / OLD).mkdir()
    inside = product(tmp_path / OLD / "again", FLAT, None)
    assert read(tmp_path / OLD, inside) == (0, ())


@pytest.mark.parametrize("offsets", [(-1000, -900), ("many",), (-1000, 0)])
def test_offsets_that_are_none_are_refused(tmp_path: Path, offsets: tuple[object, ...]) -> None:
    product(tmp_path / NEW, HIGHER, xml(offsets=offsets))
    with pytest.raises(ImageryError, match=r"MTD_MSIL2A.xml states .* as the offset") as caught:
        open_imagery(tmp_path)
    assert "\n" not in str(caught.value)


def test_pixels_that_were_corrected_before_are_left_alone(tmp_path: Path) -> None:
    dark = np.where(np.arange(40) < 4, 90, FLAT)  # a tenth is water
    inside = product(tmp_path / NEW, dark.astype(np.uint16), None)
    with open_imagery(tmp_path) as imagery:
        np.testing.assert_array_equal(imagery.read(*own_footprint(inside)).dn, dark)
        (note,) = imagery.warnings
    assert "is not added, for ground would be far below 0: it was added before" in note


@pytest.mark.parametrize(("first", "warned"), [(200, False), (1200, True)])
def test_what_earth_engine_exported_keeps_its_pixels(
    tmp_path: Path, first: int, warned: bool
) -> None:
    tags = {"PRODUCT_ID": NEW, "system-index": "20230714T160659_20230714T160659_T18SUG"}
    path = write_raster(tmp_path / "a.tif", FLAT - 500 + first, names=GAIR_BANDS, tags=tags)
    above, notes = read(path, path)
    assert above == first - 500
    assert bool(notes) == warned
    assert all("HARMONIZED" in note for note in notes)
    if warned:
        assert read(path, path, dn_offset=-1000) == (first - 1500, ())


@pytest.mark.parametrize(
    "scale_offset", [(0.0001, -0.1), (1.0, -1000.0)], ids=["reflectance", "digital numbers"]
)
@pytest.mark.parametrize("file", ["a.tif", f"{NEW}.tif"])
@pytest.mark.parametrize("options", [{}, {"dn_offset": -1000}, {"dn_offset": -300}])
def test_an_offset_tag_is_the_only_one_that_is_added(
    tmp_path: Path, scale_offset: tuple[float, float], file: str, options: dict[str, float]
) -> None:
    path = write_raster(tmp_path / file, HIGHER, names=GAIR_BANDS, scale_offset=scale_offset)
    above, notes = read(path, path, **options)
    assert above == 0
    expected = "is not added, for the tags of the file state an offset of -1000 digital numbers"
    assert [expected in note for note in notes] == [True] * bool(options)


def test_a_scale_tag_alone_leaves_the_offset_to_others(tmp_path: Path) -> None:
    scaled = {"names": GAIR_BANDS, "scale_offset": (0.0001, 0.0)}
    plain = write_raster(tmp_path / "a.tif", HIGHER, **scaled)
    assert read(plain, plain, dn_offset=-1000) == (0, ())
    named = write_raster(tmp_path / f"{NEW}.tif", HIGHER, **scaled)
    assert read(named, named)[0] == 0


def test_a_scale_tag_is_the_only_one_that_is_applied(tmp_path: Path) -> None:
    pixels = (FLAT / 10000).astype(np.float64)
    path = write_raster(tmp_path / "a.tif", pixels, names=GAIR_BANDS, scale_offset=(1.0, 0.0))
    assert read(path, path, dn_scale=10000) == (0, ())  # a scale of 1 is none
    path = write_raster(tmp_path / "b.tif", FLAT, names=GAIR_BANDS, scale_offset=(0.0001, 0.0))
    above, (note,) = read(path, path, dn_scale=10000)
    assert above == 0
    assert (
        "--dn-scale 10000 is not applied, for the tags of the file state a scale of 0.0001" in note
    )


def test_reflectance_in_a_file_named_as_a_product_is_told_about(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / f"{NEW}.tif", HIGHER.astype(np.float32) / 10000, names=GAIR_BANDS
    )
    with pytest.raises(ImageryError, match=r"reflectance in 0\.\.1"):
        open_imagery(path)
    above, (note,) = read(path, path, dn_scale=10000)
    assert above == 1000
    assert "pass --dn-offset -1000 if it is in them still" in note
    assert read(path, path, dn_scale=10000, dn_offset=-1000) == (0, ())


@pytest.mark.parametrize(
    "scale_offset", [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (1.0, float("inf"))]
)
def test_tags_that_cannot_be_are_refused(tmp_path: Path, scale_offset: tuple[float, float]) -> None:
    path = write_raster(tmp_path / "a.tif", FLAT, names=GAIR_BANDS, scale_offset=scale_offset)
    with pytest.raises(ImageryError, match=r"states a scale of .*: mend them"):
        open_imagery(path)


def test_bands_with_an_offset_tag_and_without_get_one_each(tmp_path: Path) -> None:
    paths = write_bands(tmp_path / NEW, "s2_{}.tif", HIGHER)
    for path, pixels in zip(paths[:4], HIGHER, strict=False):
        write_raster(path, pixels[None], scale_offset=(0.0001, -0.1))
    assert read(tmp_path, paths[0])[0] == 0
    above, notes = read(tmp_path, paths[0], dn_offset=-1000)
    assert above == 0
    assert any("the tags of the file state an offset" in note for note in notes)


def test_metadata_beside_a_product_is_not_of_it(tmp_path: Path) -> None:
    (tmp_path / "MTD_MSIL2A.xml").write_text(xml(offsets=(-1000,)))
    inside = write_bands(tmp_path / OLD / "R10m", "{}.tif", FLAT)[0]
    assert read(tmp_path, inside) == (0, ())
