"""End markers: put back where nothing else is missing, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from photo_samples import encode, noise
from PIL import Image, ImageFilter

from gair.errors import PhotoError
from gair.photos.end_marker import END, with_end_marker
from gair.photos.photo import open_photo

SMOOTH = Image.fromarray(noise(120, 200)).filter(ImageFilter.GaussianBlur(6))
KINDS: list[dict[str, Any]] = [
    {},
    {"quality": 30, "subsampling": 0},
    {"progressive": True},
    {"restart_marker_blocks": 4},
    {"restart_marker_rows": 1, "progressive": True},
]


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("image", [SMOOTH, Image.fromarray(noise(61, 83)), SMOOTH.convert("L")])
def test_a_file_that_lacks_only_its_end_marker_is_read_and_it_is_said(
    image: Image.Image, options: dict[str, Any]
) -> None:
    whole = encode(image, "JPEG", **options)
    for lacking in (whole[:-2], whole[:-1]):
        assert with_end_marker(lacking) == whole
        photo = open_photo(lacking)
        np.testing.assert_array_equal(np.asarray(photo.rgb), np.asarray(open_photo(whole).rgb))
        assert [note.code for note in photo.notes] == ["photo_end_missing"]
    assert open_photo(whole).notes == ()


@pytest.mark.parametrize("options", KINDS)
def test_a_file_that_lacks_more_is_refused(options: dict[str, Any]) -> None:
    whole = encode(SMOOTH, "JPEG", **options)
    scan = whole.rfind(b"\xff\xda")
    cuts = {len(whole) - back for back in (4, 5, 8, 30, 200)}
    cuts |= {at for at in range(scan, len(whole) - 2) if whole[at] == 0xFF and whole[at + 1]}
    cuts |= {scan + 2, scan + 14, scan // 2}
    for cut in sorted(cuts):
        assert with_end_marker(whole[:cut]) is None, cut
        with pytest.raises(PhotoError, match=r"truncated|broken header|is cut off"):
            open_photo(whole[:cut])


def test_a_black_picture_that_was_cut_is_refused_too() -> None:
    whole = encode(Image.new("RGB", (640, 480)), "JPEG")
    assert with_end_marker(whole[:-2]) == whole
    for back in range(3, 400, 40):
        assert with_end_marker(whole[:-back]) is None, back


def test_what_is_no_such_file_is_left_alone() -> None:
    whole = encode(SMOOTH, "JPEG")
    assert with_end_marker(whole) is None
    for content in (b"", b"\xff\xd8", b"\xff\xd8\xff", encode(SMOOTH, "PNG")[:-2], END):
        assert with_end_marker(content) is None
