"""What tags disclose of a place: zeroed, without letters, in XMP."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from photo_samples import GPS_TAG, LONDON_GPS, encode, exif_with, gps_jpeg
from PIL import Image, PngImagePlugin

from gair.photos.photo import open_photo

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" {}</x:xmpmeta>'
)
ATTRIBUTES = 'exif:GPSLatitude="51,30.441N" exif:GPSLongitude="0,7,39.936W"/></rdf:RDF>'
ELEMENTS = (
    "><exif:GPSLatitude>51,30.441N</exif:GPSLatitude>"
    "<exif:GPSLongitude>0,7.6656W</exif:GPSLongitude></rdf:Description></rdf:RDF>"
)
DJI = 'drone-dji:GpsLatitude="+51.50735" drone-dji:GpsLongtitude="-0.12776"/></rdf:RDF>'
PLACE = (-0.12776, 51.50735)


def codes(source: bytes) -> list[str]:
    return [note.code for note in open_photo(source).notes]


@pytest.mark.parametrize("fields", [ATTRIBUTES, ELEMENTS, DJI])
def test_coordinates_in_xmp_are_told(fields: str) -> None:
    packet = XMP.format(fields)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet)
    image = Image.new("RGB", (8, 8), "red")
    for content in (
        encode(image, "JPEG", xmp=packet.encode()),
        encode(image, "PNG", pnginfo=info),
        encode(image, "WEBP", xmp=packet.encode()),
        encode(image, "TIFF", tiffinfo={700: packet.encode()}),
    ):
        photo = open_photo(content)
        assert photo.gps_lonlat_deg == pytest.approx(PLACE, abs=1e-7)
        assert [note.code for note in photo.notes] == ["photo_gps_xmp"]
        assert "in XMP, not in EXIF" in photo.notes[0].text


def test_exif_comes_first_and_a_place_elsewhere_in_xmp_is_told() -> None:
    def photo(fields: str) -> bytes:
        exif = exif_with({GPS_TAG: LONDON_GPS})
        packet = XMP.format(fields).encode()
        return encode(Image.new("RGB", (8, 8)), "JPEG", exif=exif, xmp=packet)

    assert codes(photo(ATTRIBUTES)) == []
    changed = open_photo(photo(ATTRIBUTES.replace("51,", "48,")))
    assert changed.gps_lonlat_deg == pytest.approx(PLACE, abs=1e-4)
    assert [note.code for note in changed.notes] == ["photo_gps_xmp"]
    assert "334 km apart: one was changed" in changed.notes[0].text


def test_zeroed_coordinates_are_told_and_are_no_place() -> None:
    zeroed = open_photo(gps_jpeg({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}))
    assert zeroed.gps_lonlat_deg is None
    assert [note.code for note in zeroed.notes] == ["photo_gps_zeroed"]
    on_the_equator = open_photo(gps_jpeg({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (9.0, 0.0, 0.0)}))
    assert (on_the_equator.gps_lonlat_deg, on_the_equator.notes) == ((9.0, 0.0), ())


@pytest.mark.parametrize("left_out", [[1], [3], [1, 3]])
def test_coordinates_without_letters_are_told_and_are_no_place(left_out: list[int]) -> None:
    gps: dict[int, Any] = {tag: value for tag, value in LONDON_GPS.items() if tag not in left_out}
    half = open_photo(gps_jpeg(gps))
    assert half.gps_lonlat_deg is None
    assert [note.code for note in half.notes] == ["photo_gps_half"]
    assert (
        "latitude 51.50736, longitude 0.12776 without saying north or south" in half.notes[0].text
    )


def test_nothing_is_told_of_photos_without_coordinates() -> None:
    assert codes(encode(Image.new("RGB", (8, 8)), "JPEG")) == []
    assert codes(gps_jpeg({1: "N", 2: (51.0,), 3: "W", 4: (0.0,)})) == []


def test_the_hash_of_the_file_is_that_of_sha256sum(tmp_path: Path) -> None:
    content = gps_jpeg(LONDON_GPS)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert open_photo(path).sha256 == open_photo(content).sha256 == expected
    assert open_photo(content[:-2]).sha256 == hashlib.sha256(content[:-2]).hexdigest()
    with path.open("rb") as file:
        assert open_photo(file).sha256 == expected
    assert open_photo(Image.new("RGB", (8, 8))).sha256 == ""
