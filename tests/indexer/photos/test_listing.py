"""Photos from folders and manifests, whatever their columns are called."""

from __future__ import annotations

import datetime
import math
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packing_samples import exif_at, save_photo, write_manifest
from photo_samples import exif_with

from gair.errors import DatasetError, UsageError
from gair.photos.exif import parse_date, parse_heading_deg
from indexer.photos.listing import BROKEN, COLUMNS, ListedPhoto, read_photos

HEADER = "file lat lon id heading captured_at licence source attribution city sequence".split()
HEADER += ["link", "condition"]
ROW = ["a/1.jpg", "51.5", "-0.12", "x1", "370", "2020-05-01", "CC0", "me", "by me", "London", "w7"]
ROW = [*ROW, "https://photos.example/x1", "night"]


def test_a_row_with_everything(tmp_path: Path) -> None:
    (photo,) = read_photos(write_manifest(tmp_path / "photos.csv", HEADER, [ROW]))
    assert photo == ListedPhoto(
        name="a/1.jpg",
        path=tmp_path / "a/1.jpg",
        photo_id="x1",
        lonlat_deg=(-0.12, 51.5),
        place="London",
        heading_deg=10.0,
        captured_at="2020-05-01",
        licence="CC0",
        source="me",
        attribution="by me",
        sequence="w7",
        link="https://photos.example/x1",
        condition="night",
    )


ALIASES = [(field, alias) for field, aliases in COLUMNS.items() for alias in aliases]


@pytest.mark.parametrize(("field", "alias"), ALIASES, ids=lambda v: v)
def test_every_name_of_a_column(tmp_path: Path, field: str, alias: str) -> None:
    names = {"place": "city"}
    header = [
        f" {alias.upper()} " if column == names.get(field, field) else column for column in HEADER
    ]
    assert header != HEADER
    expected = read_photos(write_manifest(tmp_path / "photos.csv", HEADER, [ROW]))
    assert read_photos(write_manifest(tmp_path / "other.csv", header, [ROW])) == expected


def test_the_columns_of_the_published_pairs_and_of_mapillary(tmp_path: Path) -> None:
    rows = [["d", "rs.tif", "sv.jpg", "9.1", "48.7", "1588325400000", "90.5"]]
    header = ["id", "rs_image", "sv_image", "lon", "lat", "captured_at", "compass_angle"]
    (photo,) = read_photos(write_manifest(tmp_path / "pairs.csv", header, rows))
    assert (photo.name, photo.photo_id, photo.heading_deg) == ("sv.jpg", "d", 90.5)
    assert photo.captured_at == "2020-05-01T09:30:00+00:00"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_a_byte_order_mark(tmp_path: Path, separator: str) -> None:
    text = "\n".join(separator.join(cells) for cells in (["file", "lat", "lng"], ["a", "1", "2"]))
    path = tmp_path / "photos.csv"
    path.write_text(text, encoding="utf-8-sig")
    (photo,) = read_photos(path)
    assert (photo.name, photo.lonlat_deg) == ("a", (2.0, 1.0))


def test_decimal_commas_are_read_where_semicolons_part_the_columns(tmp_path: Path) -> None:
    header = ["file", "lat", "lng", "heading", "id", "slope"]
    rows = [["1,5", "48,77", " -9,18 ", "12,5", "7,1", "0,4"], ["b", "48.5", "9,1,2", "", "x", ""]]
    text = "\n".join(";".join(cells) for cells in (header, *rows))
    path = tmp_path / "photos.csv"
    path.write_text(text)
    first, second = read_photos(path, extra=("slope",))
    assert (first.lonlat_deg, first.heading_deg) == ((-9.18, 48.77), 12.5)
    assert (first.name, first.photo_id) == ("1,5", "7,1")  # no numbers, and left alone
    assert first.extra == {"slope": "0.4"}
    assert second.lonlat_deg is not None
    assert math.isnan(second.lonlat_deg[0])
    path.write_text(text.replace(";", "\t"))
    tabbed, _ = read_photos(path)
    assert tabbed.lonlat_deg is not None
    assert math.isnan(tabbed.lonlat_deg[1])


def test_parquet_says_what_csv_says(tmp_path: Path) -> None:
    types = {"lat": pa.float64(), "lon": pa.float64(), "heading": pa.float32()}
    types["captured_at"] = pa.date32()
    values = dict(zip(HEADER, ROW, strict=True)) | {
        "lat": 51.5, "lon": -0.12, "heading": 370.0, "captured_at": datetime.date(2020, 5, 1)
    }  # fmt: skip
    columns = {
        name: pa.array([value, None], types.get(name, pa.string()))
        for name, value in values.items()
    }
    columns["thumbnail"] = pa.array([b"never read", None])
    pq.write_table(pa.table(columns), tmp_path / "photos.parquet")
    first, empty = read_photos(tmp_path / "photos.parquet")
    assert [first] == read_photos(write_manifest(tmp_path / "photos.csv", HEADER, [ROW]))
    assert (empty.name, empty.lonlat_deg, empty.captured_at) == (
        "(a row without a file)",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("lat", "lon", "expected"),
    [
        ("1", "", None),
        ("", "1", None),
        (" ", " ", None),
        ("1", "2", (2.0, 1.0)),
        ("-91", "1e3", (1000.0, -91.0)),
    ],
)
def test_coordinates_are_taken_as_given(
    tmp_path: Path, lat: str, lon: str, expected: tuple[float, float] | None
) -> None:
    rows = [["a.jpg", lat, lon]]
    (photo,) = read_photos(write_manifest(tmp_path / "p.csv", ["file", "lat", "lon"], rows))
    assert photo.lonlat_deg == expected


@pytest.mark.parametrize("text", ["nan", "north", "48,77"])
def test_coordinates_that_are_no_numbers_are_nan(tmp_path: Path, text: str) -> None:
    rows = [["a.jpg", text, "1"]]
    (photo,) = read_photos(write_manifest(tmp_path / "p.csv", ["file", "lat", "lon"], rows))
    assert photo.lonlat_deg is not None
    assert math.isnan(photo.lonlat_deg[1])
    assert photo.lonlat_deg[0] == 1.0


def test_missing_columns_are_named_beside_those_there_are(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "photos.csv", ["name", "y", "lon"], [["a", "1", "2"]])
    with pytest.raises(UsageError, match=r"no column file or path.*; no column lat or") as caught:
        read_photos(path)
    assert str(caught.value).endswith("its columns are 'name', 'y', 'lon'")
    assert "lng" not in str(caught.value)


def test_manifests_that_cannot_be_read(tmp_path: Path) -> None:
    def refused(name: str, content: bytes, words: str, kind: type[Exception]) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(kind, match=words) as caught:
            read_photos(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)

    refused("a.csv", b"file,lat,lon\n\xff\xfe,1,2\n", "is not UTF-8", DatasetError)
    refused("b.csv", b"", "has no column file.*columns are none", UsageError)
    refused("c.csv", b"file,lat,lon\n", "lists no photos", DatasetError)
    refused("d.csv", b"file,lat,lon\n" + b"a" * 200_000, "cannot read .*field", DatasetError)
    refused("e.parquet", b"no parquet", "cannot read .*export the manifest again", DatasetError)
    refused("f.jpg", b"", "neither a folder nor a .csv, .tsv, .parquet manifest", UsageError)
    with pytest.raises(DatasetError, match="no photos at .*nowhere"):
        read_photos(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no photo in .*empty"):
        read_photos(tmp_path / "empty")


def test_a_folder_is_searched_with_its_subfolders_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/z.JPEG", "a/b/c.jpg", ".hidden.jpg", ".trash/d.jpg"):
        save_photo(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "a/broken.png").write_bytes(b"no image")
    photos = read_photos(tmp_path)
    assert [photo.name for photo in photos] == ["a/b/c.jpg", "a/broken.png", "a/z.JPEG", "b.jpg"]
    assert [photo.photo_id for photo in photos] == [photo.name for photo in photos]
    assert [photo.left_out for photo in photos] == ["", BROKEN, "", ""]
    assert all(photo.lonlat_deg is None for photo in photos)


def test_tags_of_a_photo_in_a_folder(tmp_path: Path) -> None:
    exif = exif_at((-0.5, 51.25), **{"17": 123.5})
    exif.get_ifd(0x8769)[36867] = "2019:07:06 12:34:56"
    save_photo(tmp_path / "a.jpg", exif=exif)
    exif.get_ifd(0x8769)[36881] = "+02:00"
    save_photo(tmp_path / "b.jpg", exif=exif)
    save_photo(tmp_path / "c.jpg", exif=exif_with({0x8769: {36867: "0000:00:00 00:00:00"}}))
    first, second, third = read_photos(tmp_path)
    assert first.lonlat_deg == (-0.5, 51.25)
    assert first.heading_deg == 123.5
    assert first.captured_at == "2019-07-06T12:34:56"
    assert second.captured_at == "2019-07-06T12:34:56+02:00"
    assert (third.lonlat_deg, third.heading_deg, third.captured_at) == (None, None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_file_name_of_any_bytes_becomes_text(tmp_path: Path) -> None:
    save_photo(tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    (photo,) = read_photos(tmp_path)
    assert photo.photo_id == r"caf\xe9.jpg"
    assert photo.path.is_file()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020", "2020"),
        ("2020-05", "2020-05"),
        ("20200501", "2020-05-01"),
        ("2020-05-01T10:00:00Z", "2020-05-01T10:00:00+00:00"),
        ("2020:05:01 10:00:00", "2020-05-01T10:00:00"),
        (1588325400000, "2020-05-01T09:30:00+00:00"),
        (datetime.datetime(2020, 5, 1, 9), "2020-05-01T09:00:00"),
        ("2020-13-01", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_dates(value: object, expected: str | None) -> None:
    assert parse_date(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("90", 90.0),
        (-90, 270.0),
        (360, 0.0),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_headings(value: object, expected: float | None) -> None:
    assert parse_heading_deg(value) == expected


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_further_columns_are_kept_as_text_when_asked_for(tmp_path: Path, kind: str) -> None:
    rows = [{"file": "a.jpg", "lat": 1.5, "lon": 2.5, "Weather": "fog", "floor": 3}]
    manifest = tmp_path / f"photos.{kind}"
    if kind == "csv":
        manifest.write_text("file,lat,lon,Weather,floor\na.jpg,1.5,2.5,fog,3\n")
    else:
        pq.write_table(pa.Table.from_pylist(rows), manifest)
    (photo,) = read_photos(manifest, extra=("Weather", "floor"))
    assert photo.extra == {"Weather": "fog", "floor": "3"}
    assert read_photos(manifest)[0].extra == {}


def test_a_further_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    manifest = tmp_path / "photos.csv"
    manifest.write_text("file,lat,lon\na.jpg,1.5,2.5\n")
    with pytest.raises(UsageError, match=r"no column 'weather': its columns are file, lat, lon"):
        read_photos(manifest, extra=("weather",))
    with pytest.raises(UsageError, match="is a folder, which has no column 'weather'"):
        read_photos(tmp_path, extra=("weather",))
