"""Texture of pictures: the numbers of a slow loop, and what fog and flakes change."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from gair.photos.texture import BANDS, TEXTURE, extreme_within, texture_of

SIDE = 32
LUMINANCE = np.array([0.299, 0.587, 0.114])


def picture(seed: int = 0) -> np.ndarray:
    """A smooth sky over a noisy ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.random((SIDE, SIDE, 3))
    pixels[: SIDE // 4] = (0.5, 0.6, 0.9)
    return pixels


def told(pixels: np.ndarray) -> list[float]:
    return texture_of(pixels, pixels @ LUMINANCE)


def around(values: np.ndarray, size: int, of: object) -> np.ndarray:
    """A filter by loops: the edge pixels are reflected."""
    reach = size // 2
    padded = np.pad(values, reach, mode="symmetric")
    out = np.empty_like(values)
    for y, x in np.ndindex(*values.shape):
        out[y, x] = of(padded[y : y + size, x : x + size])  # type: ignore[operator]
    return out


def test_numbers_are_those_of_a_slow_loop() -> None:
    pixels = picture()
    grey, dark, chroma = pixels @ LUMINANCE, pixels.min(axis=2), np.ptp(pixels, axis=2)
    slow: list[float] = []
    least = around(dark, 7, np.min)
    rows = SIDE // BANDS
    for band in range(BANDS):
        part = slice(band * rows, (band + 1) * rows)
        steps = [
            abs(grey[y, x + 1] - grey[y, x]) for y in range(SIDE)[part] for x in range(SIDE - 1)
        ]
        slow += [np.log(sum(steps) / (rows * SIDE) + 1e-3), dark[part].mean(), least[part].mean()]
        slow += [chroma[part].mean(), np.quantile(chroma[part], 0.9), grey[part].std()]
    sky = []
    for x in range(SIDE):
        for y in range(SIDE):
            if y and abs(grey[y, x] - grey[y - 1, x]) > 0.06:
                break
            sky.append((y, x))
    of_sky = [sum(values[at] for at in sky) / (len(sky) + 50) for values in (chroma, grey)]
    slow += [len(sky) / SIDE**2, *of_sky]
    white = (dark > 0.6) & (chroma < 0.12)
    half = SIDE // 2
    slow += [white[half:].mean(), white[:half].mean()]
    slow += [(chroma < 0.08)[half:].mean(), (chroma < 0.08).mean()]
    for size in (3, 5, 9):

        def hat(values: np.ndarray, size: int = size) -> np.ndarray:
            return values - around(around(values, size, np.min), size, np.max)

        slow.append(np.log(hat(grey).mean() + 1e-4))
        slow += [np.log((hat(dark) > by).mean() + 1e-3) for by in (0.08, 0.15)]
    closed = around(around(dark, 5, np.max), 5, np.min)
    slow.append(np.log((closed - dark).mean() + 1e-4))
    slow += [np.quantile(grey, share) for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)]
    slow += [np.quantile(chroma, share) for share in (0.25, 0.5, 0.75, 0.9, 0.98)]
    assert len(slow) == TEXTURE
    np.testing.assert_allclose(told(pixels), slow, rtol=1e-9, atol=1e-12)


def test_fog_takes_texture_and_dark_pixels_where_it_is_and_flakes_add_specks() -> None:
    clear = picture()
    fog = clear.copy()
    band = slice(SIDE // 2, SIDE // 2 + SIDE // BANDS)
    fog[band] = 0.2 * clear[band] + 0.8 * 0.8
    flakes = clear.copy()
    flakes[::8, ::8] = 1.0
    at = 6 * (BANDS // 2)
    before, after = told(clear), told(fog)
    assert after[at] < before[at] - 1
    assert after[at + 1] > before[at + 1] + 0.4
    assert after[:at] == pytest.approx(before[:at], abs=0.05)
    specks = 6 * BANDS + 7
    assert told(flakes)[specks + 2] > before[specks + 2]


@pytest.mark.parametrize("size", [3, 5, 7, 9])
def test_extremes_within_a_square_are_scipys(size: int) -> None:
    values = np.random.default_rng(size).random((31, 18), dtype=np.float32)
    least, largest = (extreme_within(values, size, e) for e in (np.minimum, np.maximum))
    np.testing.assert_array_equal(least, scipy.ndimage.minimum_filter(values, size))
    np.testing.assert_array_equal(largest, scipy.ndimage.maximum_filter(values, size))
