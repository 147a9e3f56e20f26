"""What programs hold: open files, buffers, arrays and tensors of both orders."""

from __future__ import annotations

import asyncio
import io
import mmap
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photo_samples import encode, noise, pixels
from PIL import Image

from gair.errors import PhotoError, PhotoSizeError
from gair.photos import sources
from gair.photos.photo import open_photo

PNG = encode(Image.fromarray(noise(5, 7)), "PNG")


class Drip(io.RawIOBase):
    """A stream that cannot be moved and gives a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        given, self._left = self._left[:9], self._left[9:]
        return given


def test_buffers_are_image_files() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(PNG)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for source in (bytearray(PNG), memoryview(PNG), memoryview(PNG)[:], mapped):
                np.testing.assert_array_equal(pixels(open_photo(source)), noise(5, 7))
    view = memoryview(noise(5, 7))
    np.testing.assert_array_equal(pixels(open_photo(view)), noise(5, 7))


def test_an_open_file_is_read_from_its_beginning_and_left_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        file.seek(20)
        for _ in range(2):
            photo = open_photo(file)
            np.testing.assert_array_equal(pixels(photo), noise(5, 7))
            assert file.tell() == 20
    assert photo.name.endswith("a.png")
    written = io.BytesIO()
    written.write(PNG)  # and it stands at its end
    with tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(PNG)
        for source in (written, Drip(PNG), spooled):
            photo = open_photo(source)
            np.testing.assert_array_equal(pixels(photo), noise(5, 7))
            assert photo.name == "photo"


class Upload:
    """As web frameworks hand them over."""

    async def read(self, size: int = -1) -> bytes:
        return PNG


def test_files_that_cannot_be_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.BytesIO(PNG)
    closed.close()
    cases: list[tuple[Any, str]] = [
        (io.StringIO("text"), "open it in binary mode"),
        (closed, "closed file; open it again"),
        (io.BytesIO(), "is empty"),
        (Upload(), r"await its read\(\) and pass the bytes"),
    ]
    for source, words in cases:
        with pytest.raises(PhotoError, match=words):
            open_photo(source)
    np.testing.assert_array_equal(pixels(open_photo(asyncio.run(Upload().read()))), noise(5, 7))
    monkeypatch.setattr(sources, "MOST_FILE_BYTES", 100)
    with pytest.raises(PhotoSizeError, match="more than 100 bytes"):
        open_photo(io.BytesIO(PNG))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_may_come_first_or_last(channels: int) -> None:
    last = noise(5, 7, channels=4)[..., :channels].copy()
    if channels == 4:
        last[..., 3] = 255
    want = np.broadcast_to(last[..., :3], (5, 7, 3))
    first = np.ascontiguousarray(last.transpose(2, 0, 1))
    for array in (last, first):
        np.testing.assert_array_equal(pixels(open_photo(array)), want)
        np.testing.assert_array_equal(pixels(open_photo(torch.from_numpy(array))), want)


def test_where_both_ends_could_be_channels_libraries_have_their_own_order() -> None:
    array = noise(3, 3)
    np.testing.assert_array_equal(pixels(open_photo(array)), array)
    as_tensor = pixels(open_photo(torch.from_numpy(array)))
    np.testing.assert_array_equal(as_tensor, array.transpose(1, 2, 0))


def test_tensors_of_any_kind_are_read_and_batches_refused() -> None:
    image = torch.from_numpy(noise(5, 7)).permute(2, 0, 1)
    floats = (image.float() / 255).requires_grad_()
    np.testing.assert_array_equal(pixels(open_photo(floats)), noise(5, 7))
    rounded = pixels(open_photo(floats.to(torch.bfloat16))).astype(int)
    assert np.abs(rounded - noise(5, 7)).max() <= 1
    with pytest.raises(PhotoError, match=r"shape \(1, 3, 5, 7\) is no photo"):
        open_photo(image[None])
    with pytest.raises(PhotoError, match=r"floats in .*; scale them to \[0, 1\]"):
        open_photo(floats * 4 - 2)  # as models take them, not as photos are


def test_what_numpy_makes_an_array_of_is_one() -> None:
    class Held:
        def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
            return noise(5, 7)

    np.testing.assert_array_equal(pixels(open_photo(Held())), noise(5, 7))
