"""Bands are found by name; what is missing, doubled or unnamed is said by name."""

from __future__ import annotations

import pytest

from gair.bands import (
    GAIR_BANDS,
    LAYOUTS,
    MEAN_DN,
    SD_DN,
    band_indices,
    canonical_band,
    parse_bands,
)
from gair.errors import BandError, UsageError


def test_statistics_cover_the_ten_bands() -> None:
    assert len(GAIR_BANDS) == len(MEAN_DN) == len(SD_DN) == 10
    assert dict(zip(GAIR_BANDS, MEAN_DN, strict=True))["B8A"] == 2284.6384
    assert dict(zip(GAIR_BANDS, SD_DN, strict=True))["B11"] == 690.0165


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("B2", "B2"),
        ("B02", "B2"),
        ("b2", "B2"),
        (" B12 ", "B12"),
        ("B8A", "B8A"),
        ("b8a", "B8A"),
        ("B08A", "B8A"),
        ("B10", "B10"),
        ("B4, central wavelength 665 nm", "B4"),
        ("coastal", "B1"),
        ("blue", "B2"),
        ("Green", "B3"),
        ("red", "B4"),
        ("rededge1", "B5"),
        ("rededge2", "B6"),
        ("rededge3", "B7"),
        ("nir", "B8"),
        ("nir08", "B8A"),
        ("nir09", "B9"),
        ("swir16", "B11"),
        ("swir22", "B12"),
        ("B02_10m", "B2"),
        ("b8a-20m", "B8A"),
        ("B02_R10m", "B2"),
        ("Band 2", "B2"),
        ("band_08", "B8"),
        ("Band-8A", "B8A"),
        ("B2, 490 nm", "B2"),
        ("B12 (2202.4 nm)", "B12"),
        ("b8 832.8nm", "B8"),
        ("B3 0.56 um", "B3"),
        ("Band 2 - Blue", "B2"),
        ("Band 8A - Vegetation red edge 4", "B8A"),
        ("Band 11 - SWIR (1.6)", "B11"),
        ("Red (band 4)", "B4"),
        ("NIR 1 (band 8)", "B8"),
        ("NIR 2 (band 8A)", "B8A"),
        ("Red edge 3 (band 7)", "B7"),
        ("rededge071", "B5"),
        ("red_edge_2", "B6"),
        ("rededge, 783 nm", "B7"),
        ("nbart_red", "B4"),
        ("nbart_nir_2", "B8A"),
        ("nbart_swir_2", "B11"),
        ("nbart_swir_3", "B12"),
        ("nbar_coastal_aerosol", "B1"),
    ],
)
def test_spellings_of_a_band(name: str, band: str) -> None:
    assert canonical_band(name) == band


@pytest.mark.parametrize("name", ["", "B0", "B00", "B13", "B20", "B8B", "SCL", "TCI", "2", "swir1"])
def test_what_is_no_band(name: str) -> None:
    assert canonical_band(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "rededge",  # of four bands
        "swir2",  # B12 of some, B11 of Geoscience Australia
        "B5, 865 nm",  # the near infrared of Landsat 8
        "Band 5 - NIR",
        "B02_mask",
        "B4/B3",
        "B8 - B4",
        "blue-jp2",
        "nbart_contiguity",
        "surface reflectance",
        "10m",
        "B",
        "blue, 665 nm",
    ],
)
def test_what_might_be_something_else_is_not_guessed(name: str) -> None:
    assert canonical_band(name) is None


def test_names_that_are_not_read_may_be_stated() -> None:
    names = [*GAIR_BANDS[:-1], "shortwave two"]
    with pytest.raises(BandError, match="lacks B12 .* state the order of its 10 bands with `ba"):
        band_indices(names, what="x.tif")


def test_the_layouts_differ_only_where_they_should() -> None:
    assert LAYOUTS["gair-10"] == GAIR_BANDS
    assert len(LAYOUTS["l2a-12"]) == 12
    assert len(LAYOUTS["l1c-13"]) == 13
    assert LAYOUTS["l2a-12"].index("B11") == 10
    assert LAYOUTS["l1c-13"].index("B11") == 11


@pytest.mark.parametrize(
    ("layout", "indices"),
    [
        ("gair-10", list(range(10))),
        ("l2a-12", [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]),
        ("l1c-13", [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]),
    ],
)
def test_indices_follow_the_names(layout: str, indices: list[int]) -> None:
    assert band_indices(LAYOUTS[layout]) == indices


def test_indices_of_a_shuffled_raster_with_other_bands() -> None:
    names = ["QA", "swir22", None, "B02", "b8a", "QA"]
    assert band_indices(names, wanted=("B2", "B8A", "B12")) == [3, 4, 1]


def test_missing_bands_are_named() -> None:
    with pytest.raises(BandError, match=r"^heathrow\.tif lacks B5, B6, B7, B8A, B11, B12 \(it"):
        band_indices(["B2", "B3", "B4", "B8"], what="heathrow.tif")


def test_a_doubled_band_is_named() -> None:
    names = [*LAYOUTS["l2a-12"], "B02"]
    with pytest.raises(BandError, match="has B2 more than once"):
        band_indices(names)


def test_a_doubled_band_nobody_wants_is_fine() -> None:
    assert band_indices(["B9", "B9", "B2"], wanted=("B2",)) == [2]


@pytest.mark.parametrize("count", [1, 4, 10, 12, 13])
def test_unnamed_bands_are_never_guessed(count: int) -> None:
    with pytest.raises(BandError, match=r"does not name its .*`bands` l1c-13 \| l2a-12") as caught:
        band_indices([None] * count)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_parsing_a_layout(layout: str) -> None:
    assert parse_bands(layout.upper()) == LAYOUTS[layout]


def test_parsing_a_list() -> None:
    assert parse_bands("B02, nir08,-,b12") == ("B2", "B8A", "-", "B12")


@pytest.mark.parametrize(("text", "bad"), [("l2a", "'l2a'"), ("B2,,B3", "''"), ("B2,B99", "'B99'")])
def test_parsing_refuses_unknown_names(text: str, bad: str) -> None:
    with pytest.raises(UsageError, match=f"unknown band {bad}"):
        parse_bands(text)


def test_parsing_refuses_a_band_given_twice() -> None:
    with pytest.raises(UsageError, match="band B2 stands twice"):
        parse_bands("B2,B3,B02")
