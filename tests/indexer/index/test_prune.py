"""``prune``: old builds go; what serves, what is open and what can be gone on with stays."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from hand_calibration import calibrate_by_hand
from refusals import refusal
from repository import REPOSITORY
from small_builds import build_box, serving_build, snapshot, tiny_model
from toy_city import photo
from warm_processes import WarmProcess

from gair.errors import StorageError
from indexer.commands.cli import main
from indexer.index.index import open_index
from indexer.index.prune import prune_index
from indexer.index.storage import building
from indexer.probability.calibration import calibration_path
from indexer.search.geolocator import Geolocator

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def box(city_tif: Path, tmp_path: Path) -> Path:
    """An index of three builds; the first was calibrated."""
    for number in range(3):
        build_box(city_tif, tmp_path)
        if not number:
            calibrate_by_hand(tmp_path / "box")
    return tmp_path / "box"


def builds(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def age(folder: Path) -> None:
    """Give builds that were made within one second an order."""
    serving = serving_build(folder).name
    others = [name for name in builds(folder) if name != serving]
    for number, name in enumerate(others):
        later = f"20200101T00000{number}Z-{name[-4:]}"
        (folder / name).rename(folder / later)
        if calibration_path(folder, name).exists():
            calibration_path(folder, name).rename(calibration_path(folder, later))


@pytest.mark.process
def test_old_builds_go_with_their_calibrations(box: Path, capsys: Capture) -> None:
    age(box)
    old, middle, new = builds(box)
    sizes = {name: sum(f.stat().st_size for f in (box / name).iterdir()) for name in (old, middle)}
    calibrations = sum(f.stat().st_size for f in box.glob("calibration-*"))
    before = snapshot(box)
    assert main(["prune", "box", "--indexes", str(box.parent), "--dry-run"]) == 0
    told = capsys.readouterr().out
    total = sum(sizes.values()) + calibrations
    assert f"{total:,} bytes would be freed" in told
    assert f"would go: old build {box / old}" in told
    assert snapshot(box) == before
    assert main(["prune", "box", "--indexes", str(box.parent)]) == 0
    assert f"{total:,} bytes freed" in capsys.readouterr().out
    assert builds(box) == [new]
    assert not list(box.glob("calibration-*"))
    open_index(box)


@pytest.mark.process
def test_some_can_be_kept(box: Path) -> None:
    age(box)
    _, middle, new = builds(box)
    found = prune_index(box, keep=2)
    assert [leftover.what for leftover in found] == ["old build"]
    assert builds(box) == [middle, new]
    assert prune_index(box, keep=2) == []


@pytest.mark.process
def test_the_serving_build_stays_though_it_is_the_oldest(box: Path) -> None:
    age(box)
    names = builds(box)
    current = box / "CURRENT"
    current.write_text(current.read_text().replace(names[-1], names[0]))
    prune_index(box)
    assert builds(box) == [names[0]]


def test_an_open_build_stays(city_tif: Path, box: Path, capsys: Capture) -> None:
    geolocator = Geolocator.open(box, model=tiny_model())
    name = geolocator.index.path.name
    build_box(city_tif, box.parent)
    assert main(["prune", str(box)]) == 0
    assert f"stays: a process has it open: old build {box / name}" in capsys.readouterr().out
    assert name in builds(box)
    geolocator.search(photo())
    del geolocator
    gc.collect()
    prune_index(box)
    assert builds(box) == [serving_build(box).name]


@pytest.mark.process
def test_a_build_that_another_process_has_open_stays(city_tif: Path, box: Path) -> None:
    name = serving_build(box).name
    script = "import sys; from indexer.index.index import open_index; i = open_index(sys.argv[1]); "
    script += "print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(box)]
    root = REPOSITORY
    with WarmProcess(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "open\n"
        build_box(city_tif, box.parent)
        prune_index(box)
        assert builds(box) == sorted([name, serving_build(box).name])
        reader.stdin.close()
        reader.wait(20)
    prune_index(box)
    assert builds(box) == [serving_build(box).name]


def test_what_dead_builds_left_goes_and_units_only_when_asked(box: Path, capsys: Capture) -> None:
    (box / ".building-20200101T000000Z-dead").mkdir()
    (box / ".building-20200101T000000Z-dead" / "rs.faiss").write_bytes(bytes(1000))
    (box / ".CURRENT.123.tmp").write_bytes(b"x")
    (box / ".work-0123").mkdir()
    (box / ".work-0123" / "unit").write_bytes(bytes(500))
    (box.parent / ".adding-box").mkdir()
    found = prune_index(box, keep=9)
    assert [leftover.what for leftover in found if not leftover.kept_because] == [
        "unfinished build",
        "unfinished pointer",
    ]
    assert (box / ".work-0123" / "unit").exists()
    assert not list(box.glob(".building-*"))
    assert main(["prune", str(box), "--keep", "9", "--units"]) == 0
    assert "500 bytes freed" in capsys.readouterr().out
    assert not (box / ".work-0123").exists()
    assert not (box.parent / ".adding-box").exists()


def test_a_running_build_is_not_disturbed(box: Path) -> None:
    before = snapshot(box)
    with building(box, "20260101T000000Z-abcd"), pytest.raises(StorageError, match="is running"):
        prune_index(box)
    assert snapshot(box) == before


def test_wrong_usage(box: Path, capsys: Capture) -> None:
    message = refusal(["prune", str(box), "--keep", "0"], capsys, status=2)
    assert message == "--keep 0: the build that serves stays, so keep 1 or more"
    assert "no index 'nowhere'" in refusal(["prune", "nowhere"], capsys)
