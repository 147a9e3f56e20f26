"""Builds that are stopped at any moment, and builds that meet: the old index always serves."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_builds import build_box, serving_build, snapshot, tiny_model
from toy_city import photo

from gair.files import sha256_of
from indexer.cli import main
from indexer.geolocate import Geolocator
from indexer.storage import building

REPOSITORY = Path(__file__).resolve().parents[1]


def test_a_second_build_of_the_same_index_is_refused(
    boxes: Path, city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    indexes = Path(shutil.copytree(boxes, tmp_path / "indexes"))
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--name", "box"]
    argv += ["--bbox=-0.1080,51.5030,-0.1000,51.5080", "--out", str(indexes), "--quiet"]
    with building(indexes / "box", "somebody-elses"):
        assert main(argv) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: another build of 'box' is running: wait for it")
    assert main(argv) == 0


@dataclass(frozen=True)
class Stopped:
    """A rebuild that was stopped."""

    indexes: Path
    before: dict[str, str]
    status: int
    out: str
    err: str


SIGNALS = {"Ctrl-C": signal.SIGINT, "kill": signal.SIGTERM, "kill -9": signal.SIGKILL}


@pytest.fixture(scope="module")
def stopped(
    boxes: Path, city_tif: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Stopped]:
    """Real rebuilds of a served index, stopped in the middle by each signal; side by side."""
    started = {}
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)  # it may be ignored here, and inherited
    try:
        for name in SIGNALS:
            indexes = tmp_path_factory.mktemp("stopped") / "indexes"
            shutil.copytree(boxes, indexes)
            argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny"]
            argv += ["--resolution", "11", "--name", "box", "--out", str(indexes)]
            started[name] = (
                indexes,
                subprocess.Popen(
                    [sys.executable, "-m", "indexer", *argv],
                    cwd=REPOSITORY,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                ),
            )
    finally:
        signal.signal(signal.SIGINT, handler)
    deadline = time.monotonic() + 120
    waiting = set(started)
    while waiting and time.monotonic() < deadline:
        for name in sorted(waiting):
            indexes, process = started[name]
            if process.poll() is not None or list((indexes / "box").glob(".building-*")):
                process.send_signal(SIGNALS[name])
                waiting.discard(name)
        time.sleep(0.005)
    found = {}
    for name, (indexes, process) in started.items():
        out, err = process.communicate(timeout=60)
        found[name] = Stopped(indexes, snapshot(boxes), process.returncode, out, err)
    return found


@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_a_stopped_build_changes_nothing_and_says_so(stopped: dict[str, Stopped], how: str) -> None:
    build = stopped[how]
    assert build.status == 130
    assert build.out == ""
    assert build.err.splitlines() == [
        "region city: 16.0 km2",
        "interrupted: nothing was changed",
    ]
    assert snapshot(build.indexes) == build.before
    assert sorted(p.name for p in (build.indexes / "box").iterdir()) == sorted(
        [".lock", "CURRENT", serving_build(build.indexes / "box").name]
    )


@pytest.mark.parametrize("how", SIGNALS)
def test_the_index_of_a_stopped_rebuild_still_answers(
    stopped: dict[str, Stopped], how: str
) -> None:
    geolocator = Geolocator.open("box", indexes_dir=stopped[how].indexes, model=tiny_model())
    assert geolocator.search(photo()).cells_searched == 23


def test_what_a_killed_build_leaves_is_cleared_by_the_next(
    stopped: dict[str, Stopped], city_tif: Path
) -> None:
    build = stopped["kill -9"]
    assert build.status == -signal.SIGKILL
    box = build.indexes / "box"
    old = serving_build(box)
    assert len(list(box.glob(".building-*"))) == 1
    assert sha256_of(box / "CURRENT") == build.before["box/CURRENT"]
    report = build_box(city_tif, build.indexes)
    assert sorted(p.name for p in box.iterdir()) == sorted(
        [".lock", "CURRENT", old.name, report.path.name]
    )
