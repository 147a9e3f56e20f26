"""Photos of many megapixels are read at half their scale, whatever they come from."""

from __future__ import annotations

import io

import numpy as np
import pytest
from photo_samples import ORIENTATION_TAG, UPRIGHT, encode, exif_with, noise, pixels
from PIL import Image

from gair.photos import photo as photo_module
from gair.photos.photo import halvings_of, open_photo, to_rgb


@pytest.fixture(autouse=True)
def _few_pixels_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_module, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(photo_module, "_BAND_PX", 4)  # several bands, the last one shorter


def halved(image: Image.Image) -> np.ndarray:
    return np.asarray(to_rgb(image, "a").reduce(2))


def test_how_often_sides_are_halved() -> None:
    assert [halvings_of((size, 10)) for size in (99, 100, 101, 400, 401)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA", "1", "CMYK"])
def test_pixels_are_averaged_by_twos(mode: str) -> None:
    image = Image.fromarray(noise(45, 61)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(noise(45, 61, 1)[..., 0]))
    photo = open_photo(image)
    assert photo.rgb.size == (31, 23)
    np.testing.assert_array_equal(pixels(photo), halved(image))
    if mode in ("RGB", "RGBA", "L", "P", "1"):
        np.testing.assert_array_equal(pixels(open_photo(encode(image, "PNG"))), pixels(photo))
    assert image.size == (61, 45)


def test_arrays_are_read_as_files_are() -> None:
    array = noise(45, 61)
    np.testing.assert_array_equal(pixels(open_photo(array)), halved(Image.fromarray(array)))
    wide = np.full((45, 61), 257 * 99, np.uint16)
    assert pixels(open_photo(wide)).shape == (23, 31, 3)
    assert (pixels(open_photo(wide)) == 99).all()


def test_a_jpeg_is_halved_by_its_decoder_and_turned() -> None:
    smooth = Image.fromarray(noise(6, 9)).resize((64, 48), Image.Resampling.BICUBIC)
    for orientation in (1, 6):
        exif = exif_with({ORIENTATION_TAG: orientation})
        content = encode(smooth, "JPEG", quality=95, subsampling=0, exif=exif)
        expected = UPRIGHT[orientation](halved(Image.open(io.BytesIO(content))))
        got = pixels(open_photo(content))
        assert got.shape == expected.shape
        assert np.abs(got.astype(int) - expected.astype(int)).mean() < 3
    with Image.open(io.BytesIO(content)) as opened:  # somebody else's image is left as it is
        open_photo(opened)
        assert opened.size == (64, 48)
    photo = open_photo(encode(smooth, "JPEG"), max_pixels=64 * 48)
    assert photo.rgb.size == (32, 24)
