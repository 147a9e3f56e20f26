"""Photos as a data set keeps them: upright, small, telling nothing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from packing_samples import exif_at, save_photo
from photo_samples import LONDON_GPS, UPRIGHT, encode, exif_with, gps_jpeg
from PIL import Image, PngImagePlugin
from toy_city import photo

from gair.errors import PhotoError
from gair.photos.photo import open_photo
from training.dataset.pack import photo_bytes as module
from training.dataset.pack.photo_bytes import photo_bytes

XMP = b"<x:xmpmeta exif:GPSLatitude='51,30.0N'/>"


def kept(content: bytes, folder: Path, max_px: int = 1024) -> bytes:
    """What becomes of a file; checked to be a JPEG without metadata."""
    path = folder / "photo.bin"
    path.write_bytes(content)
    jpeg = photo_bytes(path, "photo", max_px).jpeg
    assert_bare(jpeg)
    return jpeg


def assert_bare(jpeg: bytes) -> None:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        harmless = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
        harmless |= {"adobe", "adobe_transform", "progressive", "progression"}
        assert set(image.info) <= harmless
        assert not image.getexif()
    for trace in (b"Exif", b"GPS", b"http:", b"Photoshop", b"ICC_PROFILE", b"MPF"):
        assert trace not in jpeg


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(open_photo(content).rgb)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 97}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_jpeg_stays_as_it_is(tmp_path: Path, options: dict[str, object], mode: str) -> None:
    content = encode(photo().convert(mode), "JPEG", **options)
    assert kept(content, tmp_path) == content


def test_metadata_is_cut_out_around_the_pixels(tmp_path: Path) -> None:
    image = photo()
    plain = encode(image, "JPEG", progressive=True)
    marked = encode(
        image,
        "JPEG",
        progressive=True,
        exif=exif_at((-0.1, 51.5)),
        comment=b"GPS 51.5",
        icc_profile=b"ICC_PROFILE" + bytes(100_000),
        xmp=XMP,
    )
    assert XMP in marked
    assert marked.count(b"GPS") == 2
    assert kept(marked, tmp_path) == plain


def test_what_follows_the_picture_goes(tmp_path: Path) -> None:
    content = encode(photo(), "JPEG")
    assert kept(content + gps_jpeg(LONDON_GPS) + b"motion photo", tmp_path) == content


def test_a_second_picture_goes(tmp_path: Path) -> None:
    first, second = photo(1), photo(2)
    both = encode(first, "MPO", save_all=True, append_images=[second])
    jpeg = kept(both, tmp_path)
    assert len(jpeg) < 0.7 * len(both)
    assert np.array_equal(pixels(jpeg), pixels(both))


def test_fill_bytes_and_restart_markers_are_part_of_a_jpeg(tmp_path: Path) -> None:
    content = encode(photo(), "JPEG", restart_marker_blocks=1)
    assert b"\xff\xd3" in content
    assert kept(content, tmp_path) == content
    filled = content[:2] + b"\xff\xff" + content[2:]
    assert np.array_equal(pixels(kept(filled, tmp_path)), pixels(content))


def test_place_in_the_tags_is_reported(tmp_path: Path) -> None:
    path = save_photo(tmp_path / "a.jpg", exif=exif_at((-0.5, 51.25)))
    assert photo_bytes(path, "a", 1024).gps_lonlat_deg == (-0.5, 51.25)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_upright(tmp_path: Path, orientation: int) -> None:
    image = photo(size=(64, 40))
    content = encode(image, "JPEG", quality=95, exif=exif_with({0x0112: orientation}))
    expected = UPRIGHT[orientation](np.asarray(image).astype(float))
    packed = pixels(kept(content, tmp_path)).astype(float)
    assert packed.shape == expected.shape
    assert np.abs(packed - expected).mean() < 12
    assert kept(content, tmp_path) == kept(content, tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "CMYK"])
def test_other_formats_become_jpeg(tmp_path: Path, kind: str) -> None:
    image = photo()
    info = PngImagePlugin.PngInfo()
    info.add_text("GPS", "51.5")
    if kind == "CMYK":
        content = encode(image.convert("CMYK"), "JPEG")
    else:
        content = encode(image, kind, **({"pnginfo": info} if kind == "PNG" else {}))
    packed = pixels(kept(content, tmp_path)).astype(float)
    assert np.abs(packed - np.asarray(image).astype(float)).mean() < 12


@pytest.mark.parametrize(
    ("size", "max_px", "expected"),
    [
        ((320, 200), 320, (320, 200)),
        ((320, 200), 160, (160, 100)),
        ((200, 321), 160, (100, 160)),
        ((3000, 2), 100, (100, 1)),
    ],
)
def test_large_photos_shrink(
    tmp_path: Path, size: tuple[int, int], max_px: int, expected: tuple[int, int]
) -> None:
    content = encode(photo(size=size), "JPEG")
    jpeg = kept(content, tmp_path, max_px)
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.size == expected
    assert (jpeg == content) == (size == expected)


@pytest.mark.parametrize("content", [b"", b"text", encode(photo(), "JPEG")[:2000]])
def test_what_is_no_photo_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=r"^a/x\.jpg "):
        photo_bytes(path, "a/x.jpg", 1024)


def test_a_missing_file_and_one_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PhotoError, match=r"cannot read a/x\.jpg: No such file"):
        photo_bytes(tmp_path / "x.jpg", "a/x.jpg", 1024)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 100)
    with pytest.raises(PhotoError, match=r"a/x\.jpg has more than"):
        photo_bytes(save_photo(tmp_path / "x.jpg"), "a/x.jpg", 1024)


def test_an_odd_jpeg_is_written_anew(tmp_path: Path) -> None:
    content = encode(photo(), "JPEG")
    endless = content[:-2]  # Pillow can do without the end marker
    assert np.abs(pixels(kept(content, tmp_path)) - pixels(content)).max() == 0
    assert module._without_metadata(endless) is None
    assert module._without_metadata(b"\xff\xd8" + b"\xff" * 10) is None
    assert module._without_metadata(b"\xff\xd8\xff\xe1\x00\x01") is None
    assert module._without_metadata(b"\xff\xd8\xff\xe1\xff\xff") is None


@pytest.mark.shared
def test_real_photos(shared_dir: Path) -> None:
    files = sorted((shared_dir / "data" / "photos").glob("*.jp*g"))
    assert len(files) == 54
    unchanged = 0
    for file in files:
        content = file.read_bytes()
        packed = photo_bytes(file, file.name, 1024)
        assert_bare(packed.jpeg)
        opened = open_photo(content)
        assert packed.gps_lonlat_deg == opened.gps_lonlat_deg
        if max(opened.rgb.size) <= 1024:
            unchanged += 1
            assert np.array_equal(pixels(packed.jpeg), np.asarray(opened.rgb)), file.name
    assert unchanged >= 20
