"""HEIC photos: read through the extra, which is named where it is missing."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo_samples import GPS_TAG, LONDON_GPS, encode, exif_with, noise
from PIL import Image, ImageFilter

from gair.errors import PhotoTypeError
from gair.photos.exif import read_tags
from gair.photos.heif import can_read_heif
from gair.photos.photo import open_photo

SMOOTH = Image.fromarray(noise(60, 80)).filter(ImageFilter.GaussianBlur(4))


@pytest.fixture(scope="module")
def heic() -> bytes:
    assert can_read_heif()
    exif = exif_with({GPS_TAG: LONDON_GPS, 0x0112: 6})
    return encode(SMOOTH, "HEIF", quality=95, exif=exif.tobytes())


def test_a_photo_of_a_phone_is_read_upright_with_what_it_discloses(
    heic: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(heic)
    photo = open_photo(path)
    assert photo.rgb.size == (60, 80)
    turned = np.asarray(SMOOTH.transpose(Image.Transpose.ROTATE_270), dtype=np.int16)
    assert np.abs(np.asarray(photo.rgb) - turned).mean() < 3
    assert photo.gps_lonlat_deg == pytest.approx((-0.12776, 51.50735), abs=1e-4)
    tags = read_tags(path)
    assert tags is not None
    assert tags.lonlat_deg == photo.gps_lonlat_deg


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where the extra was not installed."""
    real = builtins.__import__

    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pillow_heif":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    can_read_heif.cache_clear()
    opener = Image.OPEN.pop("HEIF", None)
    monkeypatch.setattr(builtins, "__import__", importing)
    yield
    can_read_heif.cache_clear()
    if opener is not None:
        Image.OPEN["HEIF"] = opener


@pytest.mark.usefixtures("no_extra")
def test_without_the_extra_its_name_is_said(heic: bytes) -> None:
    for content in (heic, b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100)):
        with pytest.raises(PhotoTypeError, match=r"gair-geolocator\[heif\]'; or export it as JPEG"):
            open_photo(content, name="IMG_1.HEIC")
