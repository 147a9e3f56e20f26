"""Photos are decoded within a budget of memory, each known by its header."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from app_pages import wait_for
from photo_samples import encode, png

from app.engine.admission import Budget
from app.engine.decoding import Decoder, check_costs, cost_of
from app.engine.engine import Engine
from app.engine.limits import Limits
from app.engine.uploads import Upload
from gair.errors import PhotoSizeError
from gair.photos.photo import Photo
from gair.photos.prepared import PreparedPhoto


def sent(kind: str, size_px: tuple[int, int] = (60, 40), **options: Any) -> Upload:
    return Upload("a", encode(PIL.Image.new("RGB", size_px), kind, **options))


@contextmanager
def free_seat(_: float) -> Iterator[None]:
    yield


def test_what_decoding_takes_is_known_from_the_header() -> None:
    def bytes_a_pixel(upload: Upload) -> float:
        return cost_of(upload, Limits()).memory_bytes / 2400

    assert bytes_a_pixel(sent("PNG")) == 12
    assert bytes_a_pixel(sent("JPEG")) == 12
    assert bytes_a_pixel(sent("WEBP")) == 24
    # A progressive one is kept whole as coefficients of two bytes; 4:2:0 has half as many.
    assert bytes_a_pixel(sent("JPEG", progressive=True, subsampling=0)) == 18
    assert bytes_a_pixel(sent("JPEG", progressive=True, subsampling=2)) == 15
    large = cost_of(Upload("a", png(10_000, 10_000, 1, 0, b"")), Limits())
    assert (large.pixels, large.memory_bytes) == (100_000_000, 600_000_000)
    beyond = cost_of(Upload("a", png(10_001, 10_000, 1, 0, b"")), Limits())
    assert beyond.memory_bytes == 0  # nobody decodes it
    assert cost_of(Upload("a", b"\x89PNG\r\n\x1a\nbroken"), Limits()).pixels == 0


def test_photos_that_are_too_large_alone_or_together_are_refused() -> None:
    one = sent("PNG")
    with pytest.raises(PhotoSizeError, match="the 3 photos have 7,200 pixels together: send fewer"):
        check_costs([one] * 3, Limits(question_pixels=7_199))
    check_costs([one] * 3, Limits(question_pixels=7_200))
    with pytest.raises(PhotoSizeError, match=r"takes 0 MB to decode \(2,400 pixels\), 0 MB are"):
        check_costs([one], Limits(decoding_mb=0.0287))
    check_costs([one], Limits(decoding_mb=0.0288))


def test_no_more_is_decoded_at_once_than_there_is_room_for() -> None:
    decoder = Decoder(Limits(decoding_mb=0.06), free_seat)  # two of 28,800 bytes
    lock, inside, most = threading.Lock(), 0, 0

    def look(photo: Photo) -> tuple[int, int]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        with lock:
            inside -= 1
        return photo.rgb.size

    with ThreadPoolExecutor(8) as pool:
        until = time.monotonic() + 20
        sizes = list(pool.map(lambda _: decoder.made(sent("PNG"), look, until), range(8)))
    assert sizes == [(60, 40)] * 8
    assert most == 2


def test_much_is_not_cut_to_what_there_is_and_does_not_wait_for_ever() -> None:
    budget = Budget(10)
    with pytest.raises(ValueError, match="11 of 10"), budget.holding(11, 1):
        pass
    order: list[str] = []

    def hold(amount: float, name: str) -> None:
        with budget.holding(amount, 20):
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with budget.holding(5, 1):
            much = pool.submit(hold, 10, "much")
            wait_for(lambda: len(budget._waiting) == 1)
            little = pool.submit(hold, 1, "little")  # there is room for it, but it came later
            wait_for(lambda: len(budget._waiting) == 2)
            with pytest.raises(TimeoutError), budget.holding(1, 0.05):
                pass
            assert order == []
        much.result()
        little.result()
    assert order == ["much", "little"]


def test_only_what_the_encoder_takes_is_kept_of_a_photo(
    tiny_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny_index)
    geo, waiting = engine.indexes.get("toy"), list[Photo]()
    seen = geo.seen
    monkeypatch.setattr(geo, "seen", lambda photos: waiting.extend(photos) or seen(photos))
    first, second = (sent("JPEG", (side, 30)) for side in (40, 50))
    engine.search("toy", [first, second])
    for photo in waiting:
        assert isinstance(photo, PreparedPhoto)
        assert photo.rgb.size == (1, 1)
    kept = [scored for _, scored in engine._cache._scores.items()]
    assert [getattr(one.photos[0], "pixels", None) for one in kept] == [None, None]
    engine.close()


def test_a_picture_to_look_at_passes_the_same_gate(tiny_index: Path) -> None:
    engine = Engine.open(tiny_index, limits=Limits(decoding_mb=0.01))
    with pytest.raises(PhotoSizeError, match="MB to decode"):
        engine.picture(sent("PNG"), lambda photo: photo.rgb.size)
    engine.close()
    engine = Engine.open(tiny_index)
    assert engine.picture(sent("PNG"), lambda photo: photo.rgb.size) == (60, 40)
    engine.close()


def test_a_header_is_read_without_a_pixel_of_the_file() -> None:
    whole = sent("PNG", (300, 200)).content
    assert cost_of(Upload("a", whole[:60]), Limits()).pixels == 60_000
    assert PIL.Image.open(io.BytesIO(whole)).size == (300, 200)
