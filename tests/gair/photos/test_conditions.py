"""Conditions of photos: what the pixels say, what the camera wrote, and what shows nothing."""

from __future__ import annotations

import numpy as np
import pytest
from photo_samples import encode, exif_with, noise
from PIL import ExifTags, Image

from gair.photos.conditions import COMPARED, NAMES, Conditions, day_and_hour
from gair.photos.photo import conditions_of, open_photo
from gair.photos.texture import TEXTURE

EXIF_IFD = int(ExifTags.IFD.Exif)


def of(pixels: np.ndarray) -> Conditions:
    return conditions_of(open_photo(np.asarray(pixels, dtype=np.uint8)))


def test_light_and_colour_are_those_of_the_pixels() -> None:
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = 255
    measured = of(halves)
    assert measured.brightness == pytest.approx(0.5)
    assert measured.contrast == pytest.approx(0.5)
    assert measured.greenness == 0
    assert measured.sharpness == pytest.approx(1 / 223)  # one step of 1 in a row of 224
    green = halves.copy()
    green[:, 32:] = (55, 255, 55)
    assert of(green).greenness == pytest.approx(0.5 * 200 / 255)
    assert measured.nothing == of(green).nothing == ""


def test_black_bars_are_told_by_their_share() -> None:
    barred = noise(120, 90)
    assert of(barred).bars == 0
    barred[:15] = barred[-15:] = 0
    assert of(barred).bars == pytest.approx(30 / len(barred))


def test_what_the_camera_wrote_is_read() -> None:
    tags = {
        ExifTags.Base.DateTimeOriginal: "2024:02:01 18:45:00",
        ExifTags.Base.FocalLengthIn35mmFilm: 28,
    }
    exif = exif_with({EXIF_IFD: {int(tag): value for tag, value in tags.items()}})
    values = conditions_of(open_photo(encode(Image.fromarray(noise(64, 64)), "JPEG", exif=exif)))
    assert (values.day_of_year, values.hour, values.focal_length_mm) == (32, 18.75, 28)
    silent = of(noise(64, 64))
    assert np.isnan([silent.day_of_year, silent.hour, silent.focal_length_mm]).all()
    exif = exif_with({EXIF_IFD: {int(ExifTags.Base.FocalLengthIn35mmFilm): 0}})  # unknown
    values = conditions_of(open_photo(encode(Image.fromarray(noise(64, 64)), "JPEG", exif=exif)))
    assert np.isnan(values.focal_length_mm)


@pytest.mark.parametrize(
    ("moment", "day", "hour"),
    [
        ("2024-12-31T00:00:00", 366, None),
        ("2023-01-01T00:00:00", None, None),  # a clock that was never set
        ("2023-01-01T12:30:00+02:00", 1, 12.5),
        ("2023-05-01", 121, None),
        ("2023", None, None),
        (None, None, None),
    ],
)
def test_midnight_sharp_says_no_hour(moment: str | None, day: float, hour: float) -> None:
    wanted = [np.nan if value is None else value for value in (day, hour)]
    np.testing.assert_array_equal(day_and_hour(moment), wanted)


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.zeros((200, 300, 3)), "all of it has one colour"),
        (np.full((200, 300, 3), (40, 90, 200)), "all of it has one colour"),
        (noise(1, 1), "it has only 1 x 1 pixels"),
        (noise(300, 8), "it has only 8 x 300 pixels"),
        (noise(16, 16), ""),
        (np.random.default_rng(0).integers(0, 14, (200, 300, 3)), ""),  # a dark night
    ],
)
def test_a_photo_of_nothing_says_so(pixels: np.ndarray, why: str) -> None:
    assert of(pixels).nothing == why


def test_conditions_come_back_from_their_values() -> None:
    measured = of(noise(40, 40))
    again = Conditions.of_values(measured.values, "why")
    assert len(measured.values) == COMPARED + TEXTURE
    assert COMPARED == len(NAMES) + len(measured.colours)
    assert np.isfinite((*measured.colours, *measured.texture)).all()
    np.testing.assert_array_equal(again.values, measured.values)
    assert again.nothing == "why"
