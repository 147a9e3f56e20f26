"""Where photos come from, what is refused, and when."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_samples import (
    RED,
    encode,
    noise,
    pixels,
    png,
)
from PIL import Image, ImageFile

from gair.errors import PhotoError
from gair.geo import haversine_m
from gair.photos.photo import MAX_PIXELS, open_photo


def test_names(tmp_path: Path) -> None:
    path = tmp_path / "strasse größe.png"
    path.write_bytes(encode(Image.new("RGB", (2, 2)), "PNG"))
    assert open_photo(path).name == open_photo(str(path)).name == str(path)
    assert open_photo(path, name="x").name == "x"
    for source in (path.read_bytes(), noise(), Image.new("L", (2, 2))):
        assert open_photo(source).name == "photo"


def test_a_file_opened_by_pillow_is_read_lazily_and_kept_usable(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise()), "PNG"))
    with Image.open(path) as image:
        np.testing.assert_array_equal(pixels(open_photo(image)), noise())
        np.testing.assert_array_equal(np.asarray(image), noise())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
def test_formats(kind: str) -> None:
    assert open_photo(encode(Image.new("RGB", (16, 12), RED), kind)).rgb.size == (16, 12)


def test_formats_that_start_programs_are_refused() -> None:
    with pytest.raises(PhotoError, match="not a photo in a known format"):
        open_photo(encode(Image.new("RGB", (16, 12)), "EPS"))


def test_a_small_png_of_169_megapixels_is_refused_before_decoding() -> None:
    rows = bytes((13_000 // 8 + 1) * 13_000)
    data = png(13_000, 13_000, 1, 0, rows)
    assert len(data) < 25_000
    with pytest.raises(PhotoError, match=r"13000 x 13000 = 169,000,000 pixels\); shrink it to 100"):
        open_photo(data)


def test_the_size_counts_before_the_data() -> None:
    liar = png(50_000, 50_000, 8, 2, b"")  # past Pillow's own limit, too
    with pytest.raises(PhotoError, match="too large to decode safely"):
        open_photo(liar)
    below = png(10_000, 9_000, 8, 2, b"")  # Pillow warns of this one; here it is within the limit
    with pytest.raises(PhotoError, match="truncated or damaged"):
        open_photo(below)


def test_max_pixels_holds_for_every_source() -> None:
    assert MAX_PIXELS == 100_000_000
    image = Image.new("RGB", (10, 10))
    for source in (encode(image, "PNG"), image, np.asarray(image)):
        assert open_photo(source, max_pixels=100).rgb.size == (10, 10)
        with pytest.raises(PhotoError, match=r"10 x 10 = 100 pixels\); shrink it to 99"):
            open_photo(source, max_pixels=99)


def test_pillows_own_settings_are_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(PhotoError):
        open_photo(png(50_000, 50_000, 8, 2, b""), max_pixels=10)
    assert before == Image.MAX_IMAGE_PIXELS
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("JPEG2000", {}),
    ],
)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_file_is_refused(kind: str, options: dict[str, Any], kept: float) -> None:
    data = encode(Image.fromarray(noise(120, 160)), kind, **options)
    with pytest.raises(PhotoError, match=r"truncated or damaged|broken header|or is cut off"):
        open_photo(data[: int(len(data) * kept)])


def test_zero_size_is_refused() -> None:
    with pytest.raises(PhotoError, match="0 x 5 pixels"):
        open_photo(Image.new("RGB", (0, 5)))
    with pytest.raises(PhotoError):
        open_photo(png(0, 5, 8, 2, b""))


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo at all, but twelve bytes or more")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    for source, words in (
        (text, r"text.jpg is not a photo in a known format \(JPEG"),
        (str(text), "text.jpg is not a photo"),
        (empty, r"empty.jpg is empty \(0 bytes\)"),
        (b"", r"photo is empty \(0 bytes\)"),
        (tmp_path, "is a folder; name one photo"),
        (tmp_path / "none.jpg", r"none.jpg: No such file or directory; name a photo"),
        (tmp_path / "pipe.jpg", "it is a named pipe, not a file"),
        ("a\0b.jpg", "null"),
        ("x" * 5000, "too long"),
        (heic, "not a photo in a known format .*HEIC"),
    ):
        with pytest.raises(PhotoError, match=words):
            open_photo(source)
    with pytest.raises(PhotoError, match="cannot open a int as a photo"):
        open_photo(5)  # type: ignore[arg-type]


def test_no_permission_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(Image.new("RGB", (2, 2)), "JPEG"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(PhotoError, match="Permission denied; name a photo you may read"):
        open_photo(path)


@pytest.mark.shared
def test_real_photos_open_and_their_gps_agrees_with_the_list(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "photos"
    places: dict[str, list[tuple[float, float]]] = {}
    with (folder / "photos.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            places.setdefault(row["file"], []).append((float(row["lon"]), float(row["lat"])))
    disclosed = 0
    for file_name, lonlats in places.items():  # some names are listed twice
        photo = open_photo(folder / file_name)
        assert photo.rgb.mode == "RGB"
        assert min(photo.rgb.size) >= 300
        assert photo.rgb.info == {}
        if photo.gps_lonlat_deg is not None:
            disclosed += 1
            assert haversine_m(photo.gps_lonlat_deg, lonlats).min() < 100, file_name
    assert len(places) == len([*folder.glob("*.jp*g")]) >= 50
    assert disclosed >= 28
