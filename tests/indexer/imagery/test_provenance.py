"""Dates, processing levels and credits, as far as files tell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gair.bands import GAIR_BANDS, LAYOUTS
from indexer.imagery.provenance import LICENCE, attribution, read_provenance, terms


@pytest.mark.parametrize(
    ("tags", "name", "date"),
    [
        ({"system-time_start": "1724517694590"}, "a.tif", "2024-08-24T16:41:34"),
        ({"PRODUCT_ID": "S2B_MSIL2A_20210623T184919_N0300_R113"}, "a.tif", "2021-06-23T18:49:19"),
        ({"GRANULE_ID": "L2A_T10SFH_A022447_20210623T190308"}, "a.tif", "2021-06-23T19:03:08"),
        ({}, "T18SUG_20240101T160509_B02.jp2", "2024-01-01T16:05:09"),
        ({"TIFFTAG_DATETIME": "2023:05:06 07:08:09"}, "a.tif", "2023-05-06T07:08:09"),
        ({"TIFFTAG_DATETIME": "2023:05:06 07:08:09"}, "x_20220101T000000.tif", "2022-01-01"),
        ({"system-time_start": "soon"}, "x_20229999T000000.tif", None),
        ({}, "a.tif", None),
    ],
)
def test_dates(tags: dict[str, str], name: str, date: str | None) -> None:
    acquired = read_provenance(Path("/data_20010101T000000") / name, tags, []).acquired
    if date is None:
        assert acquired is None
    else:
        assert acquired is not None
        assert acquired.isoformat().startswith(date)


@pytest.mark.parametrize(
    ("tags", "path", "bands", "level"),
    [
        ({"PRODUCT_ID": "S2A_MSIL1C_20210623T184919_N0300"}, "a.tif", "l2a-12", "L1C"),
        ({"PRODUCT_ID": "S2A_MSIL2A_20210623T184919_N0300"}, "a.tif", "l1c-13", "L2A"),
        ({}, "S2A_MSIL1C_20210623T184919_N0300.SAFE/B02.jp2", "gair-10", "L1C"),
        ({}, "a.tif", "l1c-13", "L1C"),
        ({}, "a.tif", "l2a-12", "L2A"),
        ({}, "a.tif", "gair-10", "unknown"),
    ],
)
def test_levels(tags: dict[str, str], path: str, bands: str, level: str) -> None:
    assert read_provenance(Path(path), tags, LAYOUTS[bands]).level == level


def test_the_level_of_a_renamed_product_comes_from_its_metadata_file(tmp_path: Path) -> None:
    (tmp_path / "MTD_MSIL1C.xml").write_text("<RADIO_ADD_OFFSET band_id='0'>0</RADIO_ADD_OFFSET>")
    provenance = read_provenance(tmp_path / "GRANULE" / "B02.jp2", {}, GAIR_BANDS)
    assert (provenance.level, provenance.product_offset_dn) == ("L1C", 0)


def test_attribution_names_the_years() -> None:
    dates = [datetime(2024, 1, 1, tzinfo=UTC), None, datetime(2021, 1, 1, tzinfo=UTC)]
    assert attribution(dates) == "Contains modified Copernicus Sentinel data 2021, 2024"
    assert attribution([None]) == "Contains modified Copernicus Sentinel data"


def test_made_up_imagery_is_credited_to_its_maker_and_never_to_copernicus() -> None:
    made_up = {"SYNTHETIC": " Town of nobody ", "TIFFTAG_COPYRIGHT": "CC0-1.0"}
    real = {"TIFFTAG_DATETIME": "2023:05:06 07:08:09", "TIFFTAG_COPYRIGHT": "an exporter"}
    first, again, bare, sensor = (
        read_provenance(Path("a.tif"), tags, [])
        for tags in (made_up, {**made_up, **real}, {"SYNTHETIC": "Village"}, real)
    )
    assert sensor.synthetic is None
    assert terms([first]) == ("Town of nobody", "CC0-1.0")
    assert terms([first, again, bare]) == ("Town of nobody; Village", "CC0-1.0; an exporter")
    assert terms([sensor]) == (attribution([sensor.acquired]), LICENCE)
    credit = "Contains modified Copernicus Sentinel data 2023; Village"
    assert terms([bare, sensor]) == (credit, LICENCE)
