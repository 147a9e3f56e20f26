"""Views cut out of panoramas, against a loop over pixels and what is known of the sphere."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from photo_samples import encode, noise
from PIL import Image

from gair.errors import UsageError
from gair.photos.panorama import cut_view
from gair.photos.photo import open_photo


def slow_view(
    panorama: npt.NDArray[np.uint8], heading_deg: float, view_deg: float, size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """The same, one pixel after the other, by turning rays in space."""
    rows, columns, _ = panorama.shape
    width, height = size
    focal_px = width / 2 / math.tan(math.radians(view_deg / 2))
    turn = math.radians(heading_deg)
    view = np.zeros((height, width, 3))
    for i in range(height):
        for j in range(width):
            right, up, ahead = j + 0.5 - width / 2, height / 2 - i - 0.5, focal_px
            east = right * math.cos(turn) + ahead * math.sin(turn)
            north = ahead * math.cos(turn) - right * math.sin(turn)
            length = math.sqrt(east**2 + north**2 + up**2)
            column = (math.atan2(east, north) / math.tau + 0.5) * columns - 0.5
            row = (0.5 - math.asin(up / length) / math.pi) * rows - 0.5
            for di in (0, 1):
                for dj in (0, 1):
                    r, c = math.floor(row) + di, math.floor(column) + dj
                    weight = (1 - abs(row - r)) * (1 - abs(column - c))
                    view[i, j] += weight * panorama[min(max(r, 0), rows - 1), c % columns]
    return view


@pytest.mark.parametrize("heading_deg", [0.0, 90.0, 180.0, -137.5, 725.0])
@pytest.mark.parametrize("view_deg", [60.0, 90.0, 120.0])
def test_a_view_is_that_of_the_loop(heading_deg: float, view_deg: float) -> None:
    panorama = noise(40, 80)
    view = cut_view(panorama, heading_deg, view_deg)
    height, width, _ = view.shape
    assert width / height == pytest.approx(4 / 3, abs=0.05)
    slow = slow_view(panorama, heading_deg, view_deg, (width, height))
    assert np.abs(view - slow).max() <= 0.5 + 1e-6


def test_a_straight_edge_stays_straight_and_headings_turn_right() -> None:
    columns = 720
    panorama = np.zeros((360, columns, 3), dtype=np.uint8)
    panorama[:, columns // 2 + 180 :] = 255  # white from 90 degrees on to the right
    ahead, right = cut_view(panorama, 0.0), cut_view(panorama, 90.0)
    assert ahead.max() == 0
    middle = right.shape[1] // 2
    assert right[:, : middle - 1].max() == 0
    assert right[:, middle + 1 :].min() == 255  # a plumb line is one in the view


def test_what_is_no_view_is_refused() -> None:
    for heading_deg, view_deg in ((math.nan, 90.0), (0.0, 0.0), (0.0, 180.0)):
        with pytest.raises(UsageError):
            cut_view(noise(40, 80), heading_deg, view_deg)


def test_a_photo_of_such_a_shape_is_told_and_can_be_cut() -> None:
    content = encode(Image.fromarray(noise(200, 400)), "PNG")
    (note,) = open_photo(content).notes
    assert note.code == "photo_panorama"
    assert "--heading DEGREES" in note.text
    view = open_photo(content, heading_deg=30)
    assert view.notes == ()
    np.testing.assert_array_equal(np.asarray(view.rgb), cut_view(noise(200, 400), 30))
    for height, width in ((200, 300), (200, 390), (60, 120)):
        assert open_photo(encode(Image.fromarray(noise(height, width)), "PNG")).notes == ()


def test_tags_say_that_a_picture_is_a_panorama() -> None:
    packet = b'<x:xmpmeta GPano:ProjectionType="equirectangular"/>'
    content = encode(Image.fromarray(noise(90, 240)), "JPEG", xmp=packet)
    (note,) = open_photo(content).notes
    assert note.text.startswith("its tags call it a 360-degree panorama")
