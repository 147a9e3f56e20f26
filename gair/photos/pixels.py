"""Any pixels to 8-bit RGB: Pillow's modes, and arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from gair.arrays import Bytes
from gair.errors import PhotoError

_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_KEYED = ("1", "L", "P", "RGB")  # a colour of these may stand for "transparent"
_WITH_ALPHA = ("LA", "PA", "RGBA")


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """A new image of mode RGB; transparency is laid over white.

    Args:
        image: Any mode but LAB. Modes of 16 bits (I;16 and its kin, and I, into which Pillow reads
            some 16-bit files) are scaled by 1/257, mode F from [0, 1].
        name: What to call the photo in errors.

    Raises:
        PhotoError: The values are out of the range of their mode, or it has no way to RGB.
    """
    if image.mode.startswith("I"):
        return Image.fromarray(_from_wide(np.asarray(image), name)).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_from_float(np.asarray(image), name)).convert("RGB")
    if image.mode in ("La", "RGBa"):  # alpha multiplied into the colours
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.mode in _WITH_ALPHA or (image.mode in _KEYED and image.has_transparency_data):
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    if image.mode not in _PLAIN:
        raise PhotoError(f"{name} has pixels of mode {image.mode}; save it as an RGB JPEG or PNG")
    return image.convert("RGB")  # of CMYK: Pillow has undone the inversion of Adobe's JPEGs


def image_of_array(array: npt.NDArray[np.generic], name: str) -> Image.Image:
    """An 8-bit image of mode L, RGB or RGBA; it may share the memory of the array.

    Args:
        array: (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 (scaled by 1/257), or floats in [0, 1].
        name: What to call the photo in errors.

    Raises:
        PhotoError: The shape, the type or the range is another.
    """
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise PhotoError(
            f"{name}: an array of shape {array.shape} is no photo; "
            "pass (H, W), (H, W, 3) or (H, W, 4), channels last"
        )
    if 0 in array.shape:
        raise PhotoError(f"{name}: an array of shape {array.shape} has no pixels; pass some")
    if array.dtype == np.uint8:
        return Image.fromarray(np.asarray(array, dtype=np.uint8))
    if array.dtype == np.uint16:
        return Image.fromarray(_from_wide(array, name))
    if np.issubdtype(array.dtype, np.floating):
        return Image.fromarray(_from_float(array, name))
    raise PhotoError(
        f"{name}: an array of {array.dtype} is no photo; pass uint8, uint16 or floats in [0, 1]"
    )


def _from_wide(values: npt.NDArray[np.generic], name: str) -> Bytes:
    """Integers in 0..65535 to 0..255, rounded; of any shape."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise PhotoError(
            f"{name} has values {low}..{high}, beyond 16 bits; scale them to 0..65535 or to 0..255"
        )
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _from_float(values: npt.NDArray[np.generic], name: str) -> Bytes:
    """Floats in [0, 1] to 0..255, rounded; of any shape."""
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # nan fails both
        raise PhotoError(
            f"{name} has floats in [{low:g}, {high:g}]; scale them to [0, 1], or pass uint8"
        )
    return np.asarray(np.rint(values.astype(np.float32) * 255), dtype=np.uint8)
