"""Builds that are stopped at any moment, and builds that meet: the old index always serves."""

from __future__ import annotations

import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from resumable import finished_units, start, wait_for_units
from small_builds import BOX_WSEN_DEG, build_box, serving_build, snapshot, tiny_model
from toy_city import photo

from gair.files import sha256_of
from indexer.commands.cli import main
from indexer.index.prune import prune_index
from indexer.index.storage import building, work_folders
from indexer.search.geolocator import Geolocator


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

    @property
    def serving(self) -> dict[str, str]:
        """Every file now, but for what unfinished builds left."""
        return {f: h for f, h in snapshot(self.indexes).items() if "/." not in f}


HELD_BUILD = """
import contextlib, sys, threading
from indexer.build import engine
from indexer.commands.cli import main

embed_units = engine.embed_units

def one_unit(*args, **options):
    with contextlib.closing(embed_units(*args, **options)) as units:
        yield next(units)
        threading.Event().wait()

engine.embed_units = one_unit
sys.exit(main())
"""
"""The command line, but a build waits for its signal once it has computed one unit: however busy
the machine is, it is never done before that comes."""
SIGNALS = {
    "Ctrl-C": signal.SIGINT,
    "kill": signal.SIGTERM,
    "hang up": signal.SIGHUP,
    "kill -9": signal.SIGKILL,
}


@pytest.fixture(scope="module")
def stopped(
    boxes: Path, city_tif: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Stopped]:
    """Real rebuilds of a served index, stopped in the middle by each signal; side by side."""
    started = {}
    # They may be ignored here, and inherited.
    handlers = {n: signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGHUP)}
    try:
        for name in SIGNALS:
            indexes = tmp_path_factory.mktemp("stopped") / "indexes"
            shutil.copytree(boxes, indexes)
            argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny"]
            argv += ["--resolution", "11", "--unit-frames", "3"]
            argv += ["--name", "box", "--out", str(indexes)]
            started[name] = (indexes, start(argv, program=("-c", HELD_BUILD)))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for name, (indexes, process) in started.items():
        wait_for_units(indexes / "box", 1, process)
        process.send_signal(SIGNALS[name])
    builds = {}
    for name, (indexes, process) in started.items():
        out, err = process.communicate(timeout=60)
        builds[name] = Stopped(indexes, snapshot(boxes), process.returncode, out, err)
    return builds


@pytest.mark.process
@pytest.mark.parametrize("how", ["Ctrl-C", "kill", "hang up"])
def test_a_stopped_build_changes_nothing_that_serves_and_says_what_it_keeps(
    stopped: dict[str, Stopped], how: str
) -> None:
    build = stopped[how]
    assert build.status == 130
    assert build.out == ""
    region, *estimate, last = build.err.splitlines()
    assert region.startswith("region city: 16.0 km2, 8,293 cells")
    assert [line.partition(":")[0] for line in estimate[-2:]] == ["disk", "time"]
    done = len(finished_units(build.indexes / "box"))
    assert done == 1
    said = rf"interrupted: the index was not changed; {done} of \d+ units are done and kept: the "
    assert re.match(said + "same command goes on from them$", last)
    assert build.serving == build.before
    assert not list((build.indexes / "box").glob(".building-*"))


@pytest.mark.process
@pytest.mark.parametrize("how", SIGNALS)
def test_the_index_of_a_stopped_rebuild_still_answers(
    stopped: dict[str, Stopped], how: str
) -> None:
    geolocator = Geolocator.open("box", indexes_dir=stopped[how].indexes, model=tiny_model())
    assert geolocator.search(photo()).cells_searched == 23


@pytest.mark.process
def test_what_a_killed_build_leaves_is_cleared_by_the_next(
    stopped: dict[str, Stopped], city_tif: Path
) -> None:
    build = stopped["kill -9"]
    assert build.status == -signal.SIGKILL
    box = build.indexes / "box"
    old = serving_build(box)
    assert len(list(box.glob(".building-*"))) == 1
    assert sha256_of(box / "CURRENT") == build.before["box/CURRENT"]
    (work,) = work_folders(box)  # of the whole city, which the box does not go on from
    report = build_box(city_tif, build.indexes)
    assert sorted(p.name for p in box.iterdir()) == sorted(
        [".lock", work.name, "CURRENT", old.name, report.path.name]
    )


KILLED_BEFORE_IT_SERVES = """
import os, signal, sys
from indexer.commands.cli import main
from indexer.index import storage

write_whole = storage.write_whole

def killed(path, content):
    if path.name == "CURRENT":
        os.kill(os.getpid(), signal.SIGKILL)
    write_whole(path, content)

storage.write_whole = killed
sys.exit(main())
"""


@pytest.mark.process
def test_a_finished_build_that_never_served_is_removed_by_the_next(
    boxes: Path, city_tif: Path, tmp_path: Path
) -> None:
    indexes = Path(shutil.copytree(boxes, tmp_path / "indexes"))
    box, old = indexes / "box", serving_build(indexes / "box")
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--name", "box"]
    argv += ["--bbox=" + ",".join(map(str, BOX_WSEN_DEG)), "--out", str(indexes)]
    process = start(argv, program=("-c", KILLED_BEFORE_IT_SERVES))
    process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL
    assert serving_build(box) == old
    (orphan,) = {f for f in box.iterdir() if (f / "manifest.json").exists()} - {old}
    pruned = prune_index(box, keep=2, dry_run=True)
    assert ["unfinished build"] == [one.what for one in pruned if orphan in one.paths]
    report = build_box(city_tif, indexes)
    assert report.manifest.computed["units_resumed"] == report.manifest.computed["units"]
    assert sorted(p.name for p in box.iterdir()) == sorted(
        [".lock", "CURRENT", old.name, report.path.name]
    )
    assert not list(report.path.glob(".*"))


def test_before_anything_is_done_there_is_nothing_to_keep(
    boxes: Path, city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    indexes = Path(shutil.copytree(boxes, tmp_path / "indexes"))
    before = snapshot(indexes)
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", "--name", "box"]
    with pytest.MonkeyPatch.context() as patch:

        def press_ctrl_c(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("indexer.build.build.unfinished", press_ctrl_c)
        assert main([*argv, "--out", str(indexes), "--quiet"]) == 130
    assert capsys.readouterr().err.splitlines() == ["interrupted: nothing was changed"]
    assert snapshot(indexes) == before
    assert not work_folders(indexes / "box")
