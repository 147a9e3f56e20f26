"""Pixels of every kind become 8-bit RGB, or are refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from photo_samples import (
    BLUE,
    RED,
    encode,
    noise,
    pixels,
    png,
)
from PIL import Image

from gair.errors import PhotoError
from gair.photos.photo import open_photo


def test_transparency_is_laid_over_white() -> None:
    rgba = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    rgba.putpixel((1, 0), (255, 0, 0, 128))
    rgba.putpixel((2, 0), (255, 0, 0, 0))
    got = pixels(open_photo(encode(rgba, "PNG")))[0]
    np.testing.assert_allclose(got.astype(int), [RED, (255, 127, 127), (255, 255, 255)], atol=1)


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa"])
def test_other_modes_with_alpha_are_laid_over_white(mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (80, 80, 80, 255))
    if mode == "La":
        image = image.convert("LA")
    photo = open_photo(image.convert(mode))
    np.testing.assert_array_equal(pixels(photo)[0], [(255, 255, 255), (80, 80, 80)])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_colour(kind: str) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    np.testing.assert_array_equal(
        pixels(open_photo(encode(image, kind, transparency=0)))[0], [(255, 255, 255), RED]
    )
    np.testing.assert_array_equal(pixels(open_photo(encode(image, kind)))[0], [(0, 0, 0), RED])


def test_a_palette_with_transparency_in_bytes() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    photo = open_photo(encode(image, "PNG", transparency=b"\x00\xff"))
    np.testing.assert_array_equal(pixels(photo)[0], [(255, 255, 255), RED])


@pytest.mark.parametrize(
    ("mode", "key"), [("1", 0), ("L", 0), ("RGB", (0, 0, 0))], ids=["1", "L", "RGB"]
)
def test_a_colour_that_stands_for_transparent(mode: str, key: object) -> None:
    photo = open_photo(encode(Image.new(mode, (1, 1)), "PNG", transparency=key))
    assert photo.rgb.getpixel((0, 0)) == (255, 255, 255)


def test_grey_and_one_bit() -> None:
    assert open_photo(encode(Image.new("L", (2, 2), 77), "JPEG")).rgb.getpixel((0, 0)) == (77,) * 3
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    np.testing.assert_array_equal(
        pixels(open_photo(encode(bits, "PNG")))[0], [(0, 0, 0), (255, 255, 255)]
    )


def test_a_cmyk_jpeg_with_adobes_inverted_inks() -> None:
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    np.testing.assert_allclose(np.asarray(open_photo(data).rgb)[8, 8].astype(int), RED, atol=3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 200, 257, 32768, 65280, 65535]], dtype=np.uint16)
    photo = open_photo(encode(Image.fromarray(values), kind))
    np.testing.assert_array_equal(pixels(photo)[0, :, 0], [0, 1, 1, 128, 254, 255])


def test_32_bit_modes_of_pillow() -> None:
    values = np.array([[0, 257, 65535]], dtype=np.int32)
    np.testing.assert_array_equal(pixels(open_photo(Image.fromarray(values)))[0, :, 1], [0, 1, 255])
    with pytest.raises(PhotoError, match=r"values 0\.\.65536, beyond 16 bits; scale"):
        open_photo(Image.fromarray(np.array([[0, 65536]], dtype=np.int32)))


def test_big_endian_16_bit_grey() -> None:
    image = Image.frombytes("I;16B", (2, 1), b"\x00\x00\xff\xff")
    np.testing.assert_array_equal(pixels(open_photo(image))[0, :, 0], [0, 255])


def test_16_bit_colour_keeps_its_upper_bits() -> None:
    rows = b"\0" + struct.pack(">6H", 0xFFFF, 0x8000, 0, 0x1234, 0x00FF, 0x0100)
    np.testing.assert_array_equal(
        pixels(open_photo(png(2, 1, 16, 2, rows)))[0], [(255, 128, 0), (0x12, 0, 1)]
    )


def test_float_images_are_in_0_to_1() -> None:
    image = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert image.mode == "F"
    np.testing.assert_array_equal(pixels(open_photo(encode(image, "TIFF")))[0, :, 2], [0, 128, 255])
    with pytest.raises(PhotoError, match=r"floats in \[0, 255\]; scale them"):
        open_photo(Image.fromarray(np.array([[0.0, 255.0]], dtype=np.float32)))


def test_a_mode_without_a_way_to_rgb_is_refused() -> None:
    with pytest.raises(PhotoError, match="mode LAB; save it as an RGB"):
        open_photo(Image.new("LAB", (2, 2)))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in (RED, BLUE)]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as check:
        assert getattr(check, "n_frames", 1) == 2
    photo = open_photo(data)
    assert photo.rgb.size == (4, 3)
    assert photo.rgb.getpixel((0, 0)) == RED


def test_an_icc_profile_changes_no_pixel_and_is_gone() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    data = encode(Image.new("RGB", (2, 2), (10, 200, 30)), "PNG", icc_profile=profile)
    photo = open_photo(data)
    assert photo.rgb.getpixel((0, 0)) == (10, 200, 30)
    assert photo.rgb.info == {}


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_arrays_of_bytes(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    if shape[2:] == (4,):
        array[..., 3] = 255
    got = pixels(open_photo(array))
    assert got.shape == (5, 7, 3)
    want = array[..., None].repeat(3, 2) if array.ndim == 2 else array[..., :3]
    np.testing.assert_array_equal(got, want)


def test_a_transparent_array_is_laid_over_white() -> None:
    assert open_photo(np.zeros((1, 1, 4), np.uint8)).rgb.getpixel((0, 0)) == (255, 255, 255)


def test_wide_and_float_arrays_are_scaled() -> None:
    wide = np.array([[[0, 257 * 99, 65535]]], dtype=np.uint16)
    np.testing.assert_array_equal(pixels(open_photo(wide))[0, 0], [0, 99, 255])
    for dtype in (np.float16, np.float32, np.float64):
        floats = np.array([[[0.0, 0.5, 1.0]]], dtype=dtype)
        np.testing.assert_array_equal(pixels(open_photo(floats))[0, 0], [0, 128, 255])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 8, 8), np.uint8), r"shape \(2, 8, 8\) is no photo; .* 1, 3 or 4 channels"),
        (np.zeros((8, 8, 2), np.uint8), r"shape \(8, 8, 2\)"),
        (np.zeros(8, np.uint8), r"shape \(8,\)"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"shape \(1, 8, 8, 3\)"),
        (np.zeros((0, 8, 3), np.uint8), "has no pixels"),
        (np.zeros((8, 8), np.int64), "array of int64 is no photo; pass uint8"),
        (np.zeros((8, 8), bool), "array of bool"),
        (np.full((8, 8, 3), 255.0), r"floats in \[255, 255\]; scale them to \[0, 1\]"),
        (np.full((8, 8), -0.1), r"floats in \[-0.1, -0.1\]"),
        (np.full((8, 8), np.nan), r"floats in \[nan, nan\]"),
    ],
)
def test_other_arrays_are_refused(array: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(PhotoError, match=words):
        open_photo(array)


def test_the_photo_shares_no_memory_with_its_source() -> None:
    for array in (noise(), noise()[..., 0].copy(), noise(channels=4)):
        photo = open_photo(array)
        before = pixels(photo).copy()
        array[:] = 0
        np.testing.assert_array_equal(pixels(photo), before)
    image = Image.new("RGB", (2, 2), RED)
    photo = open_photo(image)
    image.paste(BLUE, (0, 0, 2, 2))
    assert photo.rgb.getpixel((0, 0)) == RED
    photo.rgb.paste((0, 255, 0), (0, 0, 2, 2))
    assert image.getpixel((0, 0)) == BLUE
