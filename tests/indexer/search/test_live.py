"""A new build takes over while requests run: none fails, none sees half of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from reference_samples import give_references, reference_photos
from small_builds import build_box, flip_byte, grow_tokens, serving_build, tiny_model
from toy_city import photo

from gair.errors import IndexCorruptError, IndexNotFoundError
from gair.model import Gair
from indexer.ground.remove import remove_photos
from indexer.index import later_checks
from indexer.search import live as live_module
from indexer.search.answer import Answer
from indexer.search.geolocator import Geolocator
from indexer.search.live import LiveGeolocator

OTHER_BOX = (-0.1060, 51.5030, -0.0960, 51.5090)


@pytest.fixture
def indexes(city_tif: Path, tmp_path: Path) -> Path:
    build_box(city_tif, tmp_path)
    return tmp_path


@pytest.fixture
def live(indexes: Path) -> LiveGeolocator:
    return LiveGeolocator("box", indexes_dir=indexes, model=tiny_model())


def until(true: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it never happened")


def test_searches_go_on_through_rebuilds(
    city_tif: Path, indexes: Path, live: LiveGeolocator
) -> None:
    errors: list[Exception] = []
    answers: list[Answer] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(live.current().search(photo(), k=3))
            except Exception as error:  # noqa: BLE001 (whatever it is, it counts)
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    builds = [serving_build(indexes / "box").name]
    for box_wsen_deg in (OTHER_BOX, (-0.1080, 51.5030, -0.0990, 51.5080)):
        report = build_box(city_tif, indexes, bbox_wsen_deg=box_wsen_deg)
        builds.append(report.path.name)
        until(lambda name=report.path.name: bool(answers) and answers[-1].build == name)  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {a.build for a in answers} == set(builds)
    wanted = {
        name: Geolocator.open(indexes / "box", model=tiny_model()).search(photo(), k=3).candidates
        for name in builds[-1:]
    }
    for build in builds:
        distinct = {a.candidates for a in answers if a.build == build}
        assert len(distinct) == 1, "one build has one answer"
        assert wanted.get(build, *distinct) == next(iter(distinct))
    assert live.problem == ""


def test_a_request_under_way_ends_on_its_build(
    city_tif: Path, indexes: Path, live: LiveGeolocator
) -> None:
    early = live.current()
    before = early.search(photo())
    report = build_box(city_tif, indexes, bbox_wsen_deg=OTHER_BOX)
    assert live.newest().index.path == report.path
    assert early.search(photo()).candidates == before.candidates
    assert live.current().index.path == report.path
    assert live.current().model is early.model


def test_reference_photos_are_followed(indexes: Path, live: LiveGeolocator) -> None:
    old = live.current()
    assert old.space.ground is None
    centres = old.index.cells.lonlat_deg
    s = old.index.rs.vectors(np.arange(len(centres)))
    give_references(indexes / "box", reference_photos(centres), s)
    new = live.newest()
    assert new.space.ground is not None
    assert new.index is old.index
    remove_photos(indexes / "box", everything=True)
    assert live.newest().space.ground is None


def test_current_never_waits(
    city_tif: Path, indexes: Path, live: LiveGeolocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    real = live_module.open_index

    def slow(folder: Path) -> object:
        go_on.wait(20)
        return real(folder)

    monkeypatch.setattr(live_module, "open_index", slow)
    old = live.current()
    report = build_box(city_tif, indexes, bbox_wsen_deg=OTHER_BOX)
    for _ in range(50):
        assert live.current() is old
    go_on.set()
    assert live.newest().index.path == report.path


def test_a_broken_build_leaves_the_old_one_serving(
    city_tif: Path, indexes: Path, live: LiveGeolocator
) -> None:
    old = live.current()
    before = old.search(photo()).candidates
    broken = build_box(city_tif, indexes, bbox_wsen_deg=OTHER_BOX).path
    content = (broken / "rs.faiss").read_bytes()
    (broken / "rs.faiss").write_bytes(content[:-1] + b"?")
    assert live.newest() is old
    assert f"build {old.index.manifest.build} goes on serving: " in live.problem
    assert f"{broken}/rs.faiss differs from what was built" in live.problem
    assert live.current().search(photo()).candidates == before
    assert live._failed is not None
    worker = live._worker
    live.current()
    assert live._worker is worker, "what is broken is not tried over and over"
    sound = build_box(city_tif, indexes).path
    assert live.newest().index.path == sound
    assert live.problem == ""


def test_a_pointer_that_vanishes_or_lies(indexes: Path, live: LiveGeolocator) -> None:
    old, pointer = live.current(), indexes / "box" / "CURRENT"
    content = pointer.read_bytes()
    pointer.unlink()
    assert live.newest() is old
    assert "no finished build" in live.problem
    pointer.write_text(json.dumps({"build": "gone", "manifest_sha256": "0"}))
    assert live.newest() is old
    assert "gone" in live.problem
    pointer.write_bytes(content)
    assert live.newest().index.path == old.index.path
    assert live.problem == ""


def test_another_calibration_takes_over(indexes: Path, live: LiveGeolocator) -> None:
    old = live.current()
    assert not old.search(photo()).calibrated
    calibrate_by_hand(indexes / "box")
    new = live.newest()
    assert new.search(photo()).calibrated
    assert new.index is old.index
    until(lambda: live.current() is new)


def test_another_model_is_loaded(city_tif: Path, indexes: Path, live: LiveGeolocator) -> None:
    other = Gair.untrained("tiny", seed=3).save_pretrained(indexes / "other-model")
    model = Gair.from_pretrained(other)
    build_box(city_tif, indexes, model=model, model_source=str(other))
    new = live.newest()
    assert live.problem == ""
    assert new.model.fingerprint() == model.fingerprint()


def test_what_cannot_be_opened_at_first_is_an_error(indexes: Path) -> None:
    with pytest.raises(IndexNotFoundError, match="no index 'nowhere'"):
        LiveGeolocator("nowhere", indexes_dir=indexes)
    (serving_build(indexes / "box") / "rs.faiss").unlink()
    with pytest.raises(IndexCorruptError, match=r"rs\.faiss is missing"):
        LiveGeolocator("box", indexes_dir=indexes, model=tiny_model())


def test_it_answers_while_large_files_are_verified(indexes: Path) -> None:
    grow_tokens(indexes / "box")
    wanted = LiveGeolocator("box", indexes_dir=indexes, model=tiny_model()).current()
    live = LiveGeolocator("box", indexes_dir=indexes, model=tiny_model(), verify="later")
    assert live.verification == "verifying"
    answer = live.current().search(photo())
    assert live.verification == "verifying", "it answered before"
    assert answer.candidates == wanted.search(photo()).candidates
    later = live.current().index.later
    assert later is not None
    assert later.wait(120) == live.verification == "verified"
    assert live.current().search(photo()).candidates == answer.candidates
    assert live.problem == ""


@pytest.fixture
def damaged(indexes: Path, monkeypatch: pytest.MonkeyPatch) -> LiveGeolocator:
    """A live index that was found to be damaged after it had answered."""
    monkeypatch.setattr(later_checks, "LARGE_BYTES", 0)
    flip_byte(serving_build(indexes / "box") / "location.faiss")
    live = LiveGeolocator("box", indexes_dir=indexes, model=tiny_model(), verify="later")
    assert live.serving().search(photo()).candidates
    later = live.serving().index.later
    assert later is not None
    assert later.wait(60) == live.verification == "damaged"
    return live


DAMAGE = r"no more answers: .*location\.faiss differs from what was built: rebuild the index 'box'"


def test_damage_that_is_found_ends_the_answers(damaged: LiveGeolocator) -> None:
    for _ in range(3):
        with pytest.raises(IndexCorruptError, match=DAMAGE):
            damaged.current()
    with pytest.raises(IndexCorruptError, match=DAMAGE):
        damaged.newest()
    assert damaged._worker is None, "the same file is not tried over and over"
    assert "no more answers: " in damaged.problem
    assert "goes on serving" not in damaged.problem


def test_a_damaged_file_is_copied_again(indexes: Path, damaged: LiveGeolocator) -> None:
    file = serving_build(indexes / "box") / "location.faiss"
    flip_byte(file)  # back to what it was
    new = damaged.newest()
    assert damaged.current() is new
    assert new.index.later is None, "it was verified first"
    assert (damaged.verification, damaged.problem) == ("verified", "")


def test_a_new_build_takes_over_from_a_damaged_one(
    city_tif: Path, indexes: Path, damaged: LiveGeolocator
) -> None:
    report = build_box(city_tif, indexes, bbox_wsen_deg=OTHER_BOX)
    assert damaged.newest().index.path == report.path
    assert (damaged.verification, damaged.problem) == ("verified", "")
    assert damaged.current().search(photo()).candidates


def test_a_new_build_that_is_damaged_too_is_told(
    city_tif: Path, indexes: Path, damaged: LiveGeolocator
) -> None:
    report = build_box(city_tif, indexes, bbox_wsen_deg=OTHER_BOX)
    flip_byte(report.path / "rs.faiss")
    with pytest.raises(IndexCorruptError, match=DAMAGE):
        damaged.newest()
    assert "; the newest build: " in damaged.problem
    assert str(report.path / "rs.faiss") in damaged.problem


def test_verification_ends_with_the_server(indexes: Path) -> None:
    grow_tokens(indexes / "box", 8 << 30, sound=False)
    live = LiveGeolocator("box", indexes_dir=indexes, model=tiny_model(), verify="later")
    later = live.current().index.later
    assert later is not None
    live.close()
    assert later.wait(5) == "verifying"
    assert live.current().search(photo()).candidates
