"""Squares of photos by NumPy: the numbers of torch's recipe, for photos of any size."""

from __future__ import annotations

import numpy as np
import pytest

from gair.errors import PhotoError
from gair.photos.squares import photo_squares
from gair.preprocess import street_view_pixels


@pytest.mark.parametrize("size", [(7, 5), (32, 32), (48, 300), (480, 640), (900, 1200), (1, 1)])
def test_the_numbers_are_those_of_torch(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0])
    photos = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2)]
    wanted = street_view_pixels(photos, 32).numpy()
    given = photo_squares(photos, 32)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, wanted, atol=2e-4)


@pytest.mark.parametrize("photo", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_photo_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(PhotoError, match="expected"):
        photo_squares([photo])
