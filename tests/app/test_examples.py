"""Sample photos: read from folders and manifests, shown small, handed over as they are."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from app_pages import BERLIN
from photo_samples import encode, gps_jpeg
from PIL import Image
from toy_city import photo

from app.cli import main
from app.examples import Sample, read_samples, stem_of, thumbnail_jpeg
from app.views.templates import render
from gair.errors import PhotoError, UsageError


def test_a_folder_without_a_manifest_gives_its_photos_by_name(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    assert read_samples(tmp_path) == [Sample(tmp_path / n) for n in ("a.png", "b.JPG", "c.webp")]


def test_a_manifest_keeps_its_order_and_says_where_and_whether_real(tmp_path: Path) -> None:
    (tmp_path / "unlisted.jpg").touch()
    (tmp_path / "photos.csv").write_text(
        "file,lat,lon,source\nz.jpg,51.5,-0.1,synthetic:city-8\nsub/a.jpg,,,Mapillary\n"
    )
    expected = [
        Sample(tmp_path / "z.jpg", (-0.1, 51.5), synthetic=True),
        Sample(tmp_path / "sub" / "a.jpg"),
    ]
    assert read_samples(tmp_path) == read_samples(tmp_path / "photos.csv") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path\na.jpg\n", "no column 'file'"),
        ("file\n", "has no photos"),
        ("file,lat,lon\na.jpg,north,0\n", "north"),
        ("file,lat,lon\na.jpg,nan,0\n", "a.jpg was taken at nan, 0"),
        ("file,lat\n,1\n", "a row names no file"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=words) as raised:
        read_samples(tmp_path / "list.csv")
    assert "list.csv" in str(raised.value)


def test_an_empty_folder_or_none_is_refused_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source, words in ((tmp_path, "has no photos"), (tmp_path / "x", "is no manifest")):
        assert main(["--examples", str(source), "--indexes", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1


def test_a_small_picture_is_upright_and_carries_nothing(tmp_path: Path) -> None:
    (tmp_path / "berlin.jpg").write_bytes(gps_jpeg(BERLIN))
    turned = Image.Exif()
    turned[0x0112] = 6  # shown after a quarter turn
    wide = photo(size=(2000, 1000))
    wide.save(tmp_path / "turned.jpg", exif=turned)
    (tmp_path / "notes.jpg").write_bytes(b"this is no photo")
    for name in ("berlin.jpg", "turned.jpg"):
        with Image.open(io.BytesIO(thumbnail_jpeg(tmp_path / name))) as small:
            assert small.width <= 192
            assert small.height <= 144
            assert not small.getexif()
            assert (small.height > small.width) == (name == "turned.jpg")
    with pytest.raises(PhotoError, match="notes.jpg"):
        thumbnail_jpeg(tmp_path / "notes.jpg")


def test_each_picture_is_a_button_with_a_name() -> None:
    pictures = [encode(photo(seed=seed, size=(40, 30)), "JPEG") for seed in range(3)]
    html = render(
        "examples.html",
        thumbnails=pictures,
        synthetic=True,
        listed=200,
        examples_note="<b>Right</b>",
    )
    assert re.findall(r'<button type="button" data-gair-example="(\d)"', html) == list("123")
    assert re.findall(r'alt="([^"]*)"', html) == [f"Example photo {n}" for n in (1, 2, 3)]
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', html)
    assert [base64.b64decode(data) for data in sources] == pictures
    assert "synthetic city, no place on Earth" in html
    assert "The first 3 of 200 photos, as they are listed. &lt;b&gt;Right&lt;/b&gt;" in html
    real = render("examples.html", thumbnails=pictures, synthetic=False, listed=3, examples_note="")
    assert "no place on Earth" not in real
    assert "All 3 photos, as they are listed." in real


def test_a_file_name_becomes_part_of_another_one_safely() -> None:
    assert stem_of("IMG 2024.jpg") == "IMG-2024"
    assert stem_of("../../etc/passwd") == "passwd"
    assert stem_of('a"b<c>.png') == "a-b-c"
    assert stem_of("...") == "photo"
    assert len(stem_of("x" * 500)) == 60
