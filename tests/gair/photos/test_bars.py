"""Black bars: seen, told and cut; dark pictures are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from photo_samples import encode, noise
from PIL import Image, ImageFilter

from gair.photos.bars import has_bars, picture_box
from gair.photos.photo import open_photo

STREET = Image.fromarray(noise(120, 160) // 2 + 60).filter(ImageFilter.GaussianBlur(2))


def framed(left: int, top: int, right: int, bottom: int) -> Image.Image:
    image = Image.new("RGB", (160 + left + right, 120 + top + bottom))
    image.paste(STREET, (left, top))
    return image


@pytest.mark.parametrize(
    "bars", [(0, 20, 0, 20), (30, 0, 30, 0), (30, 20, 30, 20), (0, 25, 0, 0), (0, 0, 18, 0)]
)
def test_bars_are_told_and_cut(bars: tuple[int, int, int, int]) -> None:
    image = framed(*bars)
    left, top, right, bottom = bars
    assert picture_box(image) == (left, top, image.width - right, image.height - bottom)
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 85})):
        content = encode(image, kind, **options)
        (note,) = open_photo(content).notes
        assert note.code == "photo_bars"
        assert "--cut-bars" in note.text
        cut = open_photo(content, cut_bars=True)
        assert cut.notes == ()
        assert np.abs(np.subtract(cut.rgb.size, STREET.size)).max() <= 2


def test_dark_pictures_have_no_bars() -> None:
    rows = np.linspace(0, 1, 120)[:, None, None]
    night = (rows * np.asarray(STREET.resize((160, 120)))).astype(np.uint8)  # fades into the dark
    for image in (STREET, Image.new("RGB", (160, 120)), Image.fromarray(night), framed(0, 2, 0, 2)):
        assert not has_bars(image)
    half_dark = Image.new("RGB", (160, 240))
    half_dark.paste(STREET, (0, 120))
    assert not has_bars(half_dark)
