"""The engine behind page and API: the numbers of the index, many questions at once, limits."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from app_pages import wait_for
from list_builds import wide_build, with_lists
from photo_samples import encode, png
from PIL import Image
from toy_city import photo

from app.engine.engine import Engine, _seen_batch
from app.engine.indexes import Indexes
from app.engine.limits import MOST_PHOTOS, Limits
from app.engine.uploads import Upload, Uploads, photo_kind, plain_name
from gair.errors import (
    BusyError,
    IndexCorruptError,
    IndexNotFoundError,
    PhotoError,
    PhotoSizeError,
    PhotoTypeError,
    UnavailableError,
    UsageError,
)
from gair.photos.heif import can_read_heif
from gair.photos.photo import open_photo
from gair.processes.threads import torch_threads
from indexer.search.geolocator import Geolocator


@pytest.fixture(scope="module")
def engine(tiny_index: Path) -> Iterator[Engine]:
    engine = Engine.open(tiny_index)
    yield engine
    engine.close()


def jpeg(seed: int) -> bytes:
    return encode(photo(seed=seed), "JPEG")


def slowly(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[int]]:
    """Hold the encoder until the event is set; the list gets the size of each batch."""
    geo, go, sizes = engine.indexes.get("toy"), threading.Event(), []
    seen = geo.seen

    def wait_and_score(photos: Any) -> Any:
        sizes.append(len(photos))
        assert go.wait(20)
        return seen(photos)

    monkeypatch.setattr(geo, "seen", wait_and_score)
    return go, sizes


def test_answers_are_those_of_the_index(engine: Engine, tiny_index: Path) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    one, two = jpeg(1), jpeg(2)
    answer = engine.search("toy", [Upload("a.jpg", one)], k=3, rs_weight=0.25)
    assert answer.photo == "a.jpg"
    expected = geo.search(one, k=3, rs_weight=0.25)
    assert [c.row for c in answer.candidates] == [c.row for c in expected.candidates]
    assert answer.candidates[0].score == pytest.approx(expected.candidates[0].score, abs=1e-6)
    both = engine.search("toy", [one, two])
    assert both.photos == ("photo", "photo")
    together = geo.search([one, two], same_place=True)
    assert [c.row for c in both.candidates] == [c.row for c in together.candidates]
    assert both.candidates[0].score == pytest.approx(together.candidates[0].score, abs=1e-6)
    assert engine.verify("toy", [one], 0.1, 51.5) == geo.verify(one, 0.1, 51.5)
    assert engine.heatmap("toy", [one], "imagery").values.tolist() == pytest.approx(
        geo.heatmap(one, of="imagery").values.tolist(), abs=1e-6
    )
    assert engine.compare("toy", one, one).cosine == pytest.approx(1, abs=1e-5)
    s = geo.seen([one, two])
    assert engine.compare("toy", one, two).cosine == pytest.approx(
        (s[0].s @ s[1].s.T).item(), abs=1e-5
    )
    assert engine.indexes.names() == ["toy"]


def test_photos_that_wait_pass_the_encoder_together(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [engine.search("toy", [Upload(f"{n}.jpg", jpeg(n))]) for n in range(10, 16)]
    engine._cache = type(engine._cache)(0)  # nothing is remembered
    go, sizes = slowly(engine, monkeypatch)
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(engine.search, "toy", [Upload("10.jpg", jpeg(10))])]
        wait_for(lambda: sizes)
        for n in range(11, 16):
            futures.append(pool.submit(engine.search, "toy", [Upload(f"{n}.jpg", jpeg(n))]))
        wait_for(lambda: len(engine.encoder._waiting) == 5)
        go.set()
        together = [future.result() for future in futures]
    assert sizes == [1, 5]
    for a, b in zip(alone, together, strict=True):
        assert a.photo == b.photo
        assert [c.row for c in a.candidates] == [c.row for c in b.candidates]
        assert a.candidates[0].score == pytest.approx(b.candidates[0].score, abs=1e-5)
        for one, other in zip(a.candidates, b.candidates, strict=True):
            assert one.refined_lonlat_deg == pytest.approx(other.refined_lonlat_deg, abs=1e-6)


def test_a_photo_is_encoded_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    content = jpeg(30)
    monkeypatch.setattr(engine, "_cache", type(engine._cache)(1e6))
    go, sizes = slowly(engine, monkeypatch)
    go.set()
    for name in ("a.jpg", "b.jpg"):
        assert engine.search("toy", [Upload(name, content)]).photo == name
    engine.heatmap("toy", [content])
    assert engine.search("toy", [content, content, jpeg(31)]).photos == ("photo",) * 3
    assert sizes == [1, 1]


def test_a_narrow_model_computes_with_one_thread_and_a_wide_one_with_all(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    geo, threads = engine.indexes.get("toy"), []
    seen = geo.seen

    def counted(photos: Any) -> Any:
        threads.append(torch.get_num_threads())
        return seen(photos)

    monkeypatch.setattr(geo, "seen", counted)
    for narrow, at_hand in ((512, 3), (1, 3)):
        monkeypatch.setattr("gair.processes.threads.NARROW", narrow)
        with torch_threads(at_hand):
            _seen_batch(geo, [open_photo(jpeg(30 + narrow))])
            assert torch.get_num_threads() == at_hand
    assert threads == [1, 3]


def test_an_index_with_shortlists_is_searched_by_them(
    city_tif: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lists(wide_build(city_tif, tmp_path), tmp_path / "lists", "ivf-sq8", 400)
    engine = Engine.open(tmp_path)
    geo, one = engine.indexes.get("lists"), jpeg(1)
    expected = geo.search(one)
    scored: list[int] = []
    scores = type(geo.index.rs).scores
    monkeypatch.setattr(
        type(geo.index.rs), "scores", lambda store, s: scored.append(len(s)) or scores(store, s)
    )
    answer = engine.search("lists", [one])
    assert scored == []  # no cell but those of the shortlist
    assert any("searched by shortlist" in warning for warning in answer.warnings)
    for a, b in zip(answer.candidates, expected.candidates, strict=True):
        assert (a.row, a.score) == (b.row, pytest.approx(b.score, abs=1e-6))
        assert a.refined_lonlat_deg == pytest.approx(b.refined_lonlat_deg, abs=1e-6)
    values = engine.heatmap("lists", [one], "imagery").values  # of every cell
    assert len(values) == len(geo.index.cells)
    assert values.tolist() == pytest.approx(geo.heatmap(one, of="imagery").values.tolist())
    before = len(scored)
    engine.verify("lists", [one], *geo.index.cells.lonlat_deg[0].tolist())
    assert len(scored) == before  # they are remembered
    assert [c.row for c in engine.search("lists", [one]).candidates] == [
        c.row for c in expected.candidates
    ]
    engine.close()


def test_too_many_questions_and_too_much_time_are_refused(
    tiny_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(Indexes(tiny_index), Limits(max_waiting=2, timeout_s=1))
    go, _ = slowly(engine, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(engine.search, "toy", [jpeg(n)]) for n in (40, 41)]
        wait_for(lambda: engine.admission.load.inside == 2)
        with pytest.raises(BusyError, match="2 questions wait already"):
            engine.search("toy", [jpeg(42)])
        for future in futures:
            with pytest.raises(UnavailableError, match="within 1 s"):
                future.result()
    go.set()
    engine.admission._timeout_s = 20
    assert engine.search("toy", [jpeg(42)]).candidates
    load = engine.admission.load
    assert (load.inside, load.answered, load.refused) == (0, 1, 1)
    engine.close()
    with pytest.raises(UnavailableError, match="stopping"):
        engine.search("toy", [jpeg(42)])


def test_what_is_being_answered_when_the_server_stops_is_finished(
    tiny_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny_index)
    go, _ = slowly(engine, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        future = pool.submit(engine.search, "toy", [jpeg(43)])
        wait_for(lambda: engine.admission.load.inside == 1)
        closing = pool.submit(engine.close)
        wait_for(lambda: engine.admission.closed)
        go.set()
        assert future.result().candidates
        closing.result()


def test_questions_that_make_no_sense_are_refused(engine: Engine) -> None:
    one = jpeg(1)
    with pytest.raises(UsageError, match="k is 101"):
        engine.search("toy", [one], k=101)
    with pytest.raises(UsageError, match="0 photos"):
        engine.search("toy", [])
    with pytest.raises(UsageError, match="9 photos"):
        engine.search("toy", [one] * (MOST_PHOTOS + 1))
    with pytest.raises(UsageError, match="each by itself"):
        engine.search("toy", [one, one], same_place=False)
    with pytest.raises(UsageError, match="latitude"):
        engine.verify("toy", [one], 0.0, 91.0)
    for name in ("../toy", "toy/..", "", "atlantis", "toy/../toy"):
        with pytest.raises(IndexNotFoundError, match="there are: toy"):
            engine.search(name, [one])


def test_a_photo_of_a_phone_is_read_or_its_extra_is_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_read_heif()
    heic = encode(Image.new("RGB", (64, 48), "red"), "HEIF")
    answer = engine.search("toy", [Upload("IMG_1.HEIC", heic)])
    assert (answer.photo, len(answer.photo_sha256[0])) == ("IMG_1.HEIC", 64)
    monkeypatch.setattr("app.engine.uploads.can_read_heif", lambda: False)
    with pytest.raises(PhotoTypeError, match=r"ask who runs this page for pip install 'gair-geo"):
        engine.search("toy", [Upload("IMG_2.HEIC", heic)])


def test_what_is_no_photo_is_refused_by_its_content(engine: Engine) -> None:
    for content in (b"<svg/>", b"<!doctype html>", b"%!PS-Adobe", b"\x00" * 99, b"P6 1 1 255 abc"):
        with pytest.raises(PhotoTypeError, match=r"a\.jpg is not a photo in a known format"):
            engine.search("toy", [Upload("a.jpg", content)])
    with pytest.raises(PhotoError, match="HEIC"):
        engine.search("toy", [b"\x00\x00\x00\x18ftypheic" + bytes(99)])
    with pytest.raises(PhotoError, match="empty"):
        engine.search("toy", [b""])
    with pytest.raises(PhotoSizeError, match=r"20\.1 MB; send 20 MB or less"):
        engine.search("toy", [jpeg(1) + bytes(20_100_000)])
    with pytest.raises(PhotoSizeError, match="169,000,000 pixels"):
        engine.search("toy", [png(13_000, 13_000, 1, 0, bytes(13_000 * (1 + 13_000 // 8)))])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"])
def test_every_kind_is_known_by_its_content(kind: str) -> None:
    assert photo_kind(encode(photo(), kind)) == f"image/{kind.lower()}"


def test_names_are_made_harmless() -> None:
    assert plain_name("../../etc/passwd") == "passwd"
    assert plain_name("C:\\photos\\a.jpg") == "a.jpg"
    assert plain_name("a\r\n\x00\x1b[31m.jpg\u202e") == "a[31m.jpg"
    assert plain_name(None) == plain_name("///") == "photo"
    assert len(plain_name("x" * 5000 + ".jpeg")) == 80


def test_uploads_leave_the_disk_at_once_and_memory_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    folder = tmp_path / "uploads"
    folder.mkdir()
    uploads = Uploads(folder, Limits(kept_mb=0.001), kept_s=60, clock=lambda: now[0])
    paths = [folder / f"{name}.jpg" for name in "abc"]
    for path in paths:
        path.write_bytes(b"\xff\xd8\xff" + bytes(400))
    assert uploads.take(paths[0]).name == "a.jpg"
    assert not paths[0].exists()
    now[0] = 59
    assert len(uploads.take(str(paths[0])).content) == 403
    paths[0].write_bytes(b"\xff\xd8\xff" + bytes(400))  # the same photo, uploaded again
    uploads.take(paths[0])
    assert not paths[0].exists()
    now[0] = 118
    uploads.sweep()
    assert uploads.take(paths[0])
    uploads.take(paths[1])
    uploads.take(paths[2])  # one more than there is memory for
    assert uploads.peek(str(paths[0])) is None
    now[0] = 179
    uploads.sweep()
    assert uploads.kept == 0
    with pytest.raises(PhotoError, match="deleted"):
        uploads.take(paths[1])
    paths[1].write_bytes(b"x")
    uploads.forget(paths[1])
    assert not paths[1].exists()
    os.utime(_written(paths[2]), (1, 1))  # never asked about
    uploads.sweep()
    assert not paths[2].exists()


def test_a_photo_that_two_people_sent_is_there_until_both_let_it_go(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits())
    first, second = (uploads.write("a.jpg", io.BytesIO(b"\xff\xd8\xff photo")) for _ in range(2))
    assert first != second
    uploads.take(first)
    uploads.forget(first)
    assert uploads.take(second).name == "a.jpg"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    shared = tmp_path / "same" / "b.jpg"
    for _ in range(2):
        shared.parent.mkdir()
        shared.write_bytes(b"\xff\xd8\xff photo")
        uploads.take(shared)
    uploads.forget(shared)
    assert uploads.take(shared).name == "b.jpg"
    uploads.forget(shared)
    with pytest.raises(PhotoError, match="choose it again"):
        uploads.take(shared)


def test_folders_that_go_while_they_are_looked_through_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(tmp_path, Limits())
    for _ in range(3):
        uploads.write("a.jpg", io.BytesIO(b"\xff\xd8\xff photo"))
    scandir = os.scandir

    def too_late(path: Any) -> Any:
        if Path(path) != tmp_path:
            os.rename(path, f"{path}-gone")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", too_late)
    assert uploads.on_disk() == 0


def _written(path: Path) -> Path:
    path.write_bytes(b"x")
    return path


def test_paths_lead_nowhere_but_to_uploads(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(secret)
    uploads = Uploads(folder, Limits())
    tricks = [secret, folder / "link.jpg", folder / ".." / "secret.jpg", folder, "/dev/zero"]
    for path in [*tricks, "a\x00b", "x" * 5000, "", "file:///etc/passwd", "http://127.0.0.1/a"]:
        with pytest.raises(PhotoError, match="choose it again"):
            uploads.take(path)
    assert secret.read_bytes() == b"secret"


def test_a_newer_build_takes_over_and_one_model_serves_both(
    tiny_index: Path, tmp_path: Path, city_tif: Path
) -> None:
    from indexer.commands.cli import main

    shutil.copytree(tiny_index, tmp_path / "indexes")
    shutil.copytree(tiny_index / "toy", tmp_path / "indexes" / "twin")
    indexes = Indexes(tmp_path / "indexes")
    before = indexes.get("toy")
    assert indexes.get("toy") is before
    assert indexes.get("twin").model is before.model
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--resolution", "8"]
    argv += ["--name", "toy", "--out", str(tmp_path / "indexes"), "--quiet"]
    assert main(argv) == 0
    after = newest(indexes)
    assert after is not before
    assert indexes.get("toy") is after
    assert len(after.index.cells) < len(before.index.cells)
    assert after.model is before.model
    assert set(indexes.open_now()) == {"toy", "twin"}


def test_a_newer_build_that_is_damaged_leaves_the_old_one_serving(
    tiny_index: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_index / "toy", tmp_path / "toy"))
    indexes = Indexes(tmp_path)
    before = indexes.get("toy")
    (folder / "CURRENT").write_text("{")
    assert newest(indexes) is before
    assert "CURRENT is damaged" in indexes.open_now()["toy"].problem
    with pytest.raises(IndexCorruptError, match="CURRENT is damaged"):
        Indexes(tmp_path).get("toy")


def newest(indexes: Indexes) -> Geolocator:
    """The index ``toy`` when what is newer was looked at."""
    indexes.get("toy")
    return indexes.open_now()["toy"].newest()
