"""Addresses given as photos: those of files are read, others answered in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from photo_samples import encode, noise
from PIL import Image

from gair.errors import PhotoError
from gair.photos.photo import open_photo


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rue 50% é.png"
    path.write_bytes(encode(Image.fromarray(noise()), "PNG"))
    return path


def test_the_address_of_a_file_is_its_path(path: Path) -> None:
    address = path.as_uri()
    assert "%25" in address
    photo = open_photo(address)
    assert photo.rgb.size == (9, 6)
    assert photo.name == address
    assert open_photo(address.replace("file://", "file://localhost")).rgb.size == (9, 6)
    with pytest.raises(PhotoError, match="none.png: No such file"):
        open_photo("file:///nowhere/none.png")
    with pytest.raises(PhotoError, match="is on another machine"):
        open_photo("file://elsewhere/photo.png")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("https://example.org/a.jpg", "is an address, and photos are not fetched: download it"),
        ("HTTP://example.org/a.jpg", "are not fetched"),
        (Path("https://example.org/a.jpg"), "are not fetched"),
        ("s3://bucket/a.jpg", "are not fetched"),
        ("https://example.org/" + "a" * 5000, "are not fetched"),
        ("data:image/png;base64," + "A" * 100_000, "100,022 characters is no path: decode it"),
        ("x" * 5000, "too long"),
    ],
)
def test_other_addresses_are_answered_in_a_short_line(source: str | Path, told: str) -> None:
    with pytest.raises(PhotoError, match=told) as caught:
        open_photo(source)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_a_file_that_is_called_like_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shots:").mkdir()
    (tmp_path / "shots:" / "a.png").write_bytes(path.read_bytes())
    assert open_photo("shots:/a.png").rgb.size == (9, 6)
