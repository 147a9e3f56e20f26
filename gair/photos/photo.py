"""Photos read safely: upright, RGB, without metadata, and refused before they can do harm.

A photo comes from a file, bytes, a Pillow image, an array or a tensor
(:mod:`gair.photos.sources`)::

    photo = open_photo("street.jpg")
    photo.rgb                 # PIL image, mode RGB, upright
    photo.gps_lonlat_deg      # what EXIF gives away; never used for a score

What becomes of unusual pixels: transparency is laid over white; of several frames or pages the
first counts (of a Pillow image, the current one); 16-bit grey and [0, 1] floats are scaled to 8
bits; 16-bit colour keeps its upper 8 bits. An embedded ICC profile is ignored, because the GAIR
release feeds its model plain ``convert("RGB")`` pixels, and that is what the weights know.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from gair.arrays import Bytes
from gair.errors import PhotoError, PhotoSizeError, PhotoTypeError
from gair.files import open_file
from gair.photos.addresses import path_of, shortened
from gair.photos.conditions import Conditions, measure
from gair.photos.cut import Cut
from gair.photos.disclosed import disclosed_place, is_equirectangular, xmp_of
from gair.photos.end_marker import END, with_end_marker
from gair.photos.exif import captured_at, upright_transpose
from gair.photos.heif import INSTALL, can_read_heif, is_heif
from gair.photos.notes import Note
from gair.photos.quiet_decoders import quiet_decoders
from gair.photos.sources import PhotoSource as PhotoSource
from gair.photos.sources import plain_source

MAX_PIXELS = 100_000_000
"""Most pixels a photo may have, by its header. Cameras in common use write up to 61 megapixels,
360-degree ones 72, phones 50 (200 only in a special mode). A PNG of 20 kB can claim 169 megapixels
and more."""

WHOLE_PIXELS = 25_000_000
"""Photos of more pixels are read at half their scale, or a quarter: a JPEG by its decoder, others
averaged. The model looks at 224 x 224; decoded whole, turned and converted, one of 100 megapixels
takes 1.2 GB."""
_BAND_PX = 256

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM", "HEIF")
"""Pillow's names. Others are refused: some start programs (EPS runs Ghostscript), none is of a
camera. HEIF is pillow-heif's (:mod:`gair.photos.heif`)."""

_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_KEYED = ("1", "L", "P", "RGB")  # a colour of these may stand for "transparent"
_WITH_ALPHA = ("LA", "PA", "RGBA")


@dataclass(frozen=True)
class Photo:
    """A ground photo, ready for the model; shares no memory with what it was made from."""

    rgb: Image.Image
    """Upright, mode RGB, no metadata at all in ``info``."""
    name: str
    """The path as it was given; "photo" for bytes, images and arrays."""
    gps_lonlat_deg: tuple[float, float] | None
    """Longitude, latitude in degrees that the tags disclose; never used for scoring."""
    content: str = ""
    """What :func:`content_of` says, where the pixels are not kept; empty: the pixels say it."""
    conditions: Conditions | None = None
    """What :func:`conditions_of` says; None: the pixels say it."""
    sha256: str = ""
    """Of the bytes of the file, hexadecimal; empty for what was given as pixels."""
    notes: tuple[Note, ...] = ()
    """What was odd about the file, its tags or the picture."""
    captured_at: str | None = None
    """When, as :func:`gair.photos.exif.captured_at` says; None where the tags do not."""


_WHOLE = Cut()


@dataclass(frozen=True)
class UnreadPhoto:
    """A photo that is read when it is needed, and how."""

    source: PhotoSource
    name: str
    heading_deg: float | None = None
    cut_bars: bool = False

    def read(self) -> Photo:
        """The photo: :func:`open_photo`."""
        return open_photo(
            self.source, name=self.name, heading_deg=self.heading_deg, cut_bars=self.cut_bars
        )


def open_photo(
    source: PhotoSource,
    *,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    heading_deg: float | None = None,
    cut_bars: bool = False,
) -> Photo:
    """Read a photo and turn it upright.

    Args:
        source: A path, also as a ``file:`` address; an open file; the bytes of an image file; a
            Pillow image; or an array or a tensor (H, W), (H, W, C) or (C, H, W) of 1, 3 or 4
            channels, of uint8, uint16 or floats in [0, 1]. It is never modified.
            :mod:`gair.photos.sources` has the rules.
        max_pixels: Refuse more than this, before any pixel is decoded.
        name: What to call the photo instead of its path.
        heading_deg: Cut the view in this direction out of an equirectangular panorama, degrees to
            the right of its middle.
        cut_bars: Cut black bars off.

    Raises:
        PhotoError: The source is missing, no image (:class:`PhotoTypeError`), broken, truncated or
            too large (:class:`PhotoSizeError`).
    """
    source, name = plain_source(source, name)
    cut = Cut(heading_deg, cut_bars)
    if isinstance(source, Image.Image):
        return _photo(source, name or "photo", max_pixels, cut)
    if isinstance(source, np.ndarray):
        name = name or "photo"
        return _photo(image_of_array(source, name), name, max_pixels, cut)
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), name or "photo", max_pixels, cut)
    with _open_file(path_of(source)) as file:
        return _read(file, name or os.fsdecode(source), max_pixels, cut)


def content_of(photo: Photo) -> str:
    """A hash of the pixels: equal for copies of a photo, whatever they are called."""
    if photo.content:
        return photo.content
    size = "{} {} ".format(*photo.rgb.size).encode()
    return hashlib.blake2b(size + photo.rgb.tobytes(), digest_size=32).hexdigest()


def conditions_of(photo: Photo) -> Conditions:
    """What the photo was taken under, and whether there is anything to see in it."""
    return measure(photo.rgb) if photo.conditions is None else photo.conditions


def _open_file(named: str) -> io.BufferedReader:
    path = Path(named)
    try:
        if path.is_dir():
            raise PhotoError(f"{path} is a folder; name one photo in it")
        return open_file(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(
            f"cannot read {shortened(named)}: {reason}; name a photo you may read"
        ) from error


def _read(file: io.BufferedReader | io.BytesIO, name: str, max_pixels: int, cut: Cut) -> Photo:
    """Decode an image file from its beginning."""
    start = file.read(12)
    if not start:
        raise PhotoError(f"{name} is empty (0 bytes); copy or download it again")
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    try:
        photo = _decoded(file, start, name, max_pixels, cut)
    except (PhotoSizeError, PhotoTypeError):
        raise
    except PhotoError:
        mended = _with_end(file)
        if mended is None:
            raise
        photo = _decoded(io.BytesIO(mended), start, name, max_pixels, cut)
    else:
        mended = _with_end(file)
    if mended is not None:
        said = "its file lacks the end marker of a JPEG and nothing else: all the picture is there"
        photo = replace(photo, notes=(Note("photo_end_missing", said), *photo.notes))
    return replace(photo, sha256=sha256)


def _with_end(file: BinaryIO) -> bytes | None:
    """The content of a JPEG file with the end marker that it lacks; None for any other file."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return None
    file.seek(-2, os.SEEK_END)
    if file.read(2) == END:
        return None
    file.seek(0)
    with _quiet_pillow():
        return with_end_marker(file.read())


def _decoded(file: BinaryIO, start: bytes, name: str, max_pixels: int, cut: Cut) -> Photo:
    with _quiet_pillow():
        Image.init()  # registers all formats
        if is_heif(start):
            can_read_heif()
        try:
            image = Image.open(file, formats=[f for f in _FORMATS if f in Image.OPEN])
        except Image.DecompressionBombError as error:
            raise PhotoSizeError(_too_large(name, str(error), max_pixels)) from error
        except UnidentifiedImageError as error:
            raise PhotoTypeError(_unknown(name, start)) from error
        except Exception as error:  # Pillow raises a dozen kinds over broken headers
            raise PhotoError(
                f"{name} has a broken header ({_reason(error)}); export it again"
            ) from error
        with image:
            return _photo(image, name, max_pixels, cut, own=True)


def _photo(
    image: Image.Image, name: str, max_pixels: int, cut: Cut = _WHOLE, *, own: bool = False
) -> Photo:
    """Check the size, then load, turn upright and strip.

    Args:
        image: not changed, unless it is ``own``: opened here, and closed when this is done.
        name: what to call it.
        max_pixels: refuse more.
        cut: what of it counts.
        own: whether a JPEG may be read at a smaller scale.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise PhotoError(f"{name} is {width} x {height} pixels: there is nothing to see in it")
    if width * height > max_pixels:
        size = f"{width} x {height} = {width * height:,} pixels"
        raise PhotoSizeError(_too_large(name, size, max_pixels))
    scale = 2 ** halvings_of(image.size)
    with _quiet_pillow():
        try:
            if own and scale > 1:
                image.draft(None, (width // scale, height // scale))  # a JPEG; others stay
                scale = round(scale * image.size[0] / width)
            image.load()
        except Exception as error:  # Pillow raises a dozen kinds over broken data
            raise PhotoError(
                f"{name} is truncated or damaged ({_reason(error)}); copy or download it again"
            ) from error
        transpose = upright_transpose(image)
        gps, notes = disclosed_place(image)
        equirectangular = is_equirectangular(xmp_of(image))
        rgb = _smaller_rgb(image, name, scale)
        if transpose is not None:
            rgb = rgb.transpose(transpose)
        notes += tuple(cut.notes(rgb, equirectangular=equirectangular))
        rgb = cut.of(rgb, name)
        conditions = measure(rgb, image)
    rgb.info = {}
    taken_at = captured_at(image)
    return Photo(rgb, name, gps, notes=notes, conditions=conditions, captured_at=taken_at)


def halvings_of(size_px: tuple[int, int]) -> int:
    """How often the sides of a photo are halved before it counts as small enough to be read."""
    halvings = 0
    while size_px[0] * size_px[1] > WHOLE_PIXELS * 4**halvings:
        halvings += 1
    return halvings


def _smaller_rgb(image: Image.Image, name: str, scale: int) -> Image.Image:
    """A loaded image in RGB, each ``scale`` x ``scale`` pixels averaged to one.

    It goes by bands, so that the whole image is never there in a second mode.
    """
    if scale == 1:
        return to_rgb(image, name)
    width, height = image.size
    rgb = Image.new("RGB", (-(-width // scale), -(-height // scale)))
    for top in range(0, height, _BAND_PX * scale):
        band = image.crop((0, top, width, min(height, top + _BAND_PX * scale)))
        rgb.paste(to_rgb(band, name).reduce(scale), (0, top // scale))
    return rgb


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings to itself: size is checked here, and broken EXIF counts as none.

    Filters belong to the process: other threads see this one, and where several open photos at
    once it may outlive them. It touches nothing but warnings that Pillow itself issues.
    """
    quiet_decoders()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _too_large(name: str, size: str, max_pixels: int) -> str:
    return f"{name} is too large to decode safely ({size}); shrink it to {max_pixels:,} or fewer"


def _unknown(name: str, start: bytes) -> str:
    if is_heif(start) and not can_read_heif():
        return f"{name} is a HEIC/HEIF photo: to read those, {INSTALL}; or export it as JPEG"
    formats = "JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF, HEIC"
    return f"{name} is not a photo in a known format ({formats}), or is cut off; export it again"


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
            "pass one of (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels"
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
