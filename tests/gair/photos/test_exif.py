"""EXIF: all orientations, and the coordinates that tags disclose."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from photo_samples import (
    BLUE,
    GPS_TAG,
    LONDON_GPS,
    ORIENTATION_TAG,
    RED,
    UPRIGHT,
    encode,
    exif_with,
    gps_jpeg,
    noise,
    pixels,
)
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from gair.photos.photo import open_photo


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_every_orientation_of_a_file_is_applied(kind: str, orientation: int) -> None:
    stored = noise()
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    exif = exif_with({ORIENTATION_TAG: orientation})
    photo = open_photo(encode(Image.fromarray(stored), kind, exif=exif, **options))
    np.testing.assert_array_equal(pixels(photo), UPRIGHT[orientation](stored))
    assert dict(photo.rgb.getexif()) == {}
    assert photo.rgb.info == {}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg_is_applied(orientation: int) -> None:
    stored = np.zeros((48, 96, 3), np.uint8)
    stored[:24, :48] = RED  # one quarter, so that no two orientations look alike
    stored[:24, 48:] = BLUE
    data = encode(
        Image.fromarray(stored), "JPEG", quality=95, exif=exif_with({ORIENTATION_TAG: orientation})
    )
    got, want = pixels(open_photo(data)), UPRIGHT[orientation](stored)
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_pillow_image_is_applied_and_the_image_left_alone(
    orientation: int,
) -> None:
    stored = noise()
    image = Image.fromarray(stored)
    image.getexif()[ORIENTATION_TAG] = orientation
    photo = open_photo(image)
    np.testing.assert_array_equal(pixels(photo), UPRIGHT[orientation](stored))
    np.testing.assert_array_equal(np.asarray(image), stored)
    assert image.getexif()[ORIENTATION_TAG] == orientation


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_counts_as_upright(orientation: int) -> None:
    data = encode(Image.fromarray(noise()), "PNG", exif=exif_with({ORIENTATION_TAG: orientation}))
    np.testing.assert_array_equal(pixels(open_photo(data)), noise())


def test_broken_exif_does_not_cost_the_photo() -> None:
    data = encode(Image.new("RGB", (8, 8), RED), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09ab")
    photo = open_photo(data)
    assert photo.rgb.size == (8, 8)
    assert photo.gps_lonlat_deg is None


@pytest.mark.parametrize(
    ("lat_ref", "lon_ref", "lonlat"),
    [
        ("N", "E", (0.127758, 51.507361)),
        ("N", "W", (-0.127758, 51.507361)),
        ("S", "E", (0.127758, -51.507361)),
        ("s", "w", (-0.127758, -51.507361)),
    ],
)
def test_gps_is_read_with_its_hemispheres(
    lat_ref: str, lon_ref: str, lonlat: tuple[float, float]
) -> None:
    photo = open_photo(gps_jpeg({**LONDON_GPS, 1: lat_ref, 3: lon_ref}))
    assert photo.gps_lonlat_deg == pytest.approx(lonlat, abs=1e-6)
    assert photo.rgb.info == {}
    assert dict(photo.rgb.getexif().get_ifd(GPS_TAG)) == {}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_gps_in_other_formats_and_images(kind: str) -> None:
    tags: Any = exif_with({GPS_TAG: LONDON_GPS})
    if kind == "TIFF":  # whose directory is its EXIF
        tags = ImageFileDirectory_v2()
        tags[GPS_TAG] = LONDON_GPS
    options = {"tiffinfo" if kind == "TIFF" else "exif": tags}
    data = encode(Image.new("RGB", (8, 8)), kind, **options)
    want = pytest.approx((-0.127758, 51.507361), abs=1e-6)
    assert open_photo(data).gps_lonlat_deg == want
    with Image.open(io.BytesIO(data)) as image:
        assert open_photo(image).gps_lonlat_deg == want


@pytest.mark.parametrize(
    "change",
    [
        {1: None},
        {3: None},
        {2: None},
        {1: "X"},
        {1: "E"},
        {3: ""},
        {2: (51.0, 30.0)},
        {2: (IFDRational(0, 0), 30.0, 0.0)},
        {4: (0.0, IFDRational(1, 0), 0.0)},
        {2: (91.0, 0.0, 0.0)},
        {4: (180.0, 1.0, 0.0)},
        {2: (51.5,)},
    ],
    ids=str,
)
def test_malformed_gps_is_none(change: dict[int, Any]) -> None:
    tags = {tag: value for tag, value in {**LONDON_GPS, **change}.items() if value is not None}
    assert open_photo(gps_jpeg(tags)).gps_lonlat_deg is None


def test_seconds_of_0_over_0_count_as_none() -> None:
    photo = open_photo(gps_jpeg({**LONDON_GPS, 2: (51.0, 30.5, IFDRational(0, 0))}))
    assert photo.gps_lonlat_deg == pytest.approx((-0.127758, 51 + 30.5 / 60), abs=1e-6)


def test_no_gps_is_none() -> None:
    assert open_photo(encode(Image.new("RGB", (8, 8)), "JPEG")).gps_lonlat_deg is None
    assert open_photo(noise()).gps_lonlat_deg is None
