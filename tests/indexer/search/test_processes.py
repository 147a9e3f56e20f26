"""Answers and geolocators in other processes: forked, pickled, copied, and indexes that share."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hand_calibration import calibrate_by_hand
from repository import REPOSITORY
from small_builds import tiny_model
from toy_city import photo

from gair.errors import UsageError
from indexer.photos.models import MODELS
from indexer.probability.cautions import Caution
from indexer.search import by_name
from indexer.search.geolocator import Geolocator
from indexer.search.live import LiveGeolocator
from indexer.search.query import Query
from indexer.search.shortlist import Part, _in_full_rows

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(scope="module")
def indexes(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three indexes of one model, one of them calibrated."""
    folder = tmp_path_factory.mktemp("three")
    for name in ("one", "two", "three"):
        shutil.copytree(tiny_index / "toy", folder / name)
    calibrate_by_hand(folder / "one")
    return folder


@pytest.fixture(scope="module")
def one(indexes: Path) -> Geolocator:
    return Geolocator.open("one", indexes_dir=indexes)


@pytest.mark.parametrize("kind", COPIES)
def test_an_answer_is_the_same_in_another_process(one: Geolocator, kind: str) -> None:
    answer = one.search(photo(1), max_error_rate=None)
    made = COPIES[kind](answer)
    assert made == answer
    np.testing.assert_array_equal(made.posterior, answer.posterior)
    for level in (0.3, 0.9):
        region, wanted = made.region(level), answer.region(level)
        assert region.summary() == wanted.summary()
        np.testing.assert_array_equal(region.rows, wanted.rows)
        np.testing.assert_array_equal(region.h3, wanted.h3)
    codes = [w.code for w in made.warnings if isinstance(w, Caution)]
    assert codes == [w.code for w in answer.warnings if isinstance(w, Caution)]
    assert codes
    assert made.to_dict() == answer.to_dict()
    for thing in (one.verify(photo(1), -0.1, 51.5), one.heatmap(photo(1)), answer.region(0.5)):
        assert type(COPIES[kind](thing)) is type(thing)
    assert dataclasses.asdict(answer)["candidates"]


def test_an_answer_of_a_part_keeps_the_rows_of_the_whole(one: Geolocator) -> None:
    rows = np.arange(0, 100, 2)
    part = one.space.part(rows, np.ones(len(rows)), "some of it")
    scored = one.every_cell(one.seen([photo(1)])[0])
    few = dataclasses.replace(scored, rs=scored.rs[:, rows], location=scored.location[:, rows])
    from indexer.search.ranking import draft_of

    answer = draft_of(part, few, Query(refine=False)).answer
    full = _in_full_rows(answer, Part(rows, few.rs, few.location, np.ones(len(rows))))
    made = COPIES["pickle"](full)
    np.testing.assert_array_equal(made.region(0.5).rows, rows[answer.region(0.5).rows])


def test_an_answer_without_its_posterior_is_small(one: Geolocator) -> None:
    answer = one.search(photo(1))
    small = answer.without_posterior()
    assert small == answer
    assert len(pickle.dumps(small)) < len(pickle.dumps(answer)) - 8 * 171
    with pytest.raises(UsageError, match="kept without its posterior"):
        small.region(0.9)


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("given", [False, True])
def test_a_geolocator_opens_again_by_its_path(indexes: Path, kind: str, given: bool) -> None:
    model = tiny_model() if given else None
    geolocator = Geolocator.open("one", indexes_dir=indexes, model=model)
    made = COPIES[kind](geolocator)
    assert made is not geolocator
    assert made.search(photo(2)) == geolocator.search(photo(2))
    # What was loaded from a source is loaded from there; what was handed over goes along.
    assert (made.model is geolocator.model) == (not given)
    assert len(pickle.dumps(geolocator)) < 1000 or given


def test_a_live_geolocator_opens_again_by_its_path(indexes: Path) -> None:
    live = LiveGeolocator("one", indexes_dir=indexes)
    made = COPIES["pickle"](live)
    assert made.current().search(photo(2)) == live.current().search(photo(2))


def test_indexes_of_one_model_share_it_and_none_is_opened_twice(indexes: Path) -> None:
    first = [by_name.opened(name, indexes) for name in ("one", "two", "three")]
    again = [by_name.opened(name, indexes) for name in ("one", "two", "three")]
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert len({id(geolocator.model) for geolocator in first}) == 1
    assert Geolocator.open("two", indexes_dir=indexes).model is first[0].model


def test_only_so_many_indexes_stay_open(indexes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_name, "MOST_OPEN", 2)
    opened = by_name._OpenIndexes()
    one, two, three = (indexes / name for name in ("one", "two", "three"))
    kept = opened.get(one), opened.get(two)
    assert (opened.get(one), opened.get(two)) == kept
    opened.get(three)
    assert opened.get(two) is kept[1]
    assert opened.get(one) is not kept[0]


def test_a_model_that_was_trained_on_is_not_shared(indexes: Path) -> None:
    mine = Geolocator.open("two", indexes_dir=indexes, model="untrained:tiny:0").model
    fingerprint = mine.fingerprint()
    assert MODELS.get("untrained:tiny:0", fingerprint) is mine
    with torch.no_grad():
        next(mine.location.parameters()).view(-1)[0] += 1e-3
    fresh = MODELS.get("untrained:tiny:0", fingerprint)
    assert fresh is not mine
    assert fresh.fingerprint() == fingerprint


FORKS = """
import multiprocessing, sys
from indexer import LiveGeolocator, search
from indexer.search.geolocator import Geolocator

def rows(path):
    return [c.row for c in search(path, index="one", indexes_dir=INDEXES).candidates]

def live_rows(path):
    return [c.row for c in LIVE.newest().search(path).candidates]

INDEXES, PHOTO = sys.argv[1:]
LIVE = LiveGeolocator("one", indexes_dir=INDEXES)
wanted = rows(PHOTO)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(rows, [PHOTO] * 2).get(60) == [wanted] * 2
    assert pool.apply_async(live_rows, [PHOTO]).get(60) == wanted
assert rows(PHOTO) == wanted
print("same")
"""


PATIENT = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
"""Threads that wait without spinning: on two busy cores they are many times quicker."""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_is_forked_after_opening_answers(indexes: Path, tmp_path: Path) -> None:
    """As under ``gunicorn --preload``; with threads of torch in the parent, it hung for ever."""
    photo(3).save(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(indexes), str(tmp_path / "a.png")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "2", **PATIENT},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr[-2000:]
