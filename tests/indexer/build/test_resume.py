"""Builds that end early, in whatever way, and go on: the same index, and no work done twice."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from resumable import (
    build_argv,
    build_city,
    content,
    finished_units,
    start,
    wait_for_units,
)
from small_builds import small_disk, snapshot

from gair.errors import ImageryError, ResourceError, StorageError, UnfinishedError, UsageError
from indexer.build.build import BuildReport
from indexer.commands.cli import main
from indexer.index.index import open_index
from indexer.index.storage import work_folders

Built = tuple[BuildReport, int]


@pytest.fixture(scope="module")
def whole(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The build that nothing disturbed, its units kept, and how many frames it read."""
    return build_city(city_tif, tmp_path_factory.mktemp("whole"), keep_units=True)


def units_of(whole: Built) -> int:
    return int(whole[0].manifest.computed["units"])


def test_there_are_enough_units_to_be_interrupted_between(whole: Built) -> None:
    report, frames = whole
    assert units_of(whole) >= 5
    assert frames == report.manifest.frames["count"]  # each is read once
    assert len(finished_units(report.path.parent)) == units_of(whole)
    assert report.manifest.computed["units_resumed"] == 0
    assert set(report.manifest.missing) == {"outside the imagery"}


def failing(error: Exception, at: int) -> Callable[[int], None]:
    def before_read(reads: int) -> None:
        if reads == at:
            raise error

    return before_read


@pytest.mark.parametrize(
    ("error", "arrives"),
    [
        (ImageryError("the server is gone"), ImageryError),
        (MemoryError(), ResourceError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_ended_a_build_arrives_and_the_next_one_goes_on(
    whole: Built, city_tif: Path, tmp_path: Path, error: BaseException, arrives: type[Exception]
) -> None:
    frames = whole[1]
    with pytest.raises(arrives) as caught:
        build_city(city_tif, tmp_path, before_read=failing(error, frames - 2))  # type: ignore[arg-type]
    done = len(finished_units(tmp_path / "city"))
    assert 0 < done < units_of(whole)
    assert f"{done} of {units_of(whole)} units are done and kept" in caught.value.__notes__[0]
    assert not (tmp_path / "city" / "CURRENT").exists()
    assert not list((tmp_path / "city").glob(".building-*"))
    report, read = build_city(city_tif, tmp_path)
    assert 0 < read < frames
    assert report.manifest.computed["units_resumed"] == done
    assert content(report) == content(whole[0])
    assert not work_folders(tmp_path / "city")
    assert f"({done} of {units_of(whole)} units were there)" in report.summary[1]


@pytest.mark.process
def test_killed_at_random_moments_and_resumed(
    whole: Built, city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kill -9: while units are computed, while the index is put together, at any time between."""
    rng = random.Random(20261124)
    index_folder = tmp_path / "city"
    argv = build_argv(city_tif, tmp_path)
    seen = []
    for share in (0.3, 1.0):
        process = start(argv)
        wait_for_units(index_folder, round(share * units_of(whole)), process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 0.05))
        process.kill()
        _, err = process.communicate()
        seen.append((process.returncode, err))
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    assert seen[0][0] == -signal.SIGKILL
    assert len([err for _, err in seen if "resuming: " in err]) == len(seen) - 1
    if seen[-1][0]:
        assert main(argv) == 0
        err = capsys.readouterr().err
        assert f"of {units_of(whole)} units are there" in err
    index = open_index(index_folder)
    report = BuildReport(index.path, index.manifest)
    assert content(report) == content(whole[0])
    assert not work_folders(index_folder)
    assert sorted(p.name for p in index_folder.iterdir()) == [".lock", index.path.name, "CURRENT"]


def test_limit_leaves_a_build_to_go_on_with(
    whole: Built, city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv, count = build_argv(city_tif, tmp_path), units_of(whole)
    for done in (2, 4):
        assert main([*argv, "--limit", "2"]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        last = f"stopped after 2 new units, as limit asks: {done} of {count} units are done and"
        assert err.splitlines()[-1].startswith(last)
        assert len(finished_units(tmp_path / "city")) == done
    assert f"resuming: 2 of {count} units are there" in err
    assert main([*argv, "--limit", str(count)]) == 0
    index = open_index(tmp_path / "city")
    assert content(BuildReport(index.path, index.manifest)) == content(whole[0])
    with pytest.raises(UsageError, match="`limit` 0 is not 1 or more"):
        build_city(city_tif, tmp_path, limit=0)


def test_force_starts_over(whole: Built, city_tif: Path, tmp_path: Path) -> None:
    for resolution in (9, 8):  # the units of another build go, too
        with pytest.raises(UnfinishedError):
            build_city(city_tif, tmp_path, limit=1, resolution=resolution)
    assert len(work_folders(tmp_path / "city")) == 2
    report, read = build_city(city_tif, tmp_path, force=True)
    assert read == whole[1]
    assert report.manifest.computed["units_resumed"] == 0
    assert not work_folders(tmp_path / "city")
    assert content(report) == content(whole[0])


def spoil_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def spoil_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def spoil_gone(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("spoil", [spoil_half, spoil_bit, spoil_gone])
@pytest.mark.parametrize("kind", ["parquet", "tokens.npy", "json"])
def test_a_damaged_unit_is_noticed_and_done_again(
    whole: Built,
    city_tif: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    spoil: Callable[[Path], None],
) -> None:
    shutil.copytree(whole[0].path.parent, tmp_path / "city")
    victim = finished_units(tmp_path / "city")[1]
    spoil(victim.with_suffix(f".{kind}"))
    report, read = build_city(city_tif, tmp_path, quiet=False)
    err = capsys.readouterr().err
    count = units_of(whole)
    if kind == "json" and spoil is spoil_gone:  # it never was finished
        assert "damaged" not in err
    else:
        assert f"unit {victim.stem} is damaged and is done again" in err
    assert f"resuming: {count - 1} of {count} units are there" in err
    assert 0 < read < whole[1]
    assert content(report) == content(whole[0])


def test_units_of_another_build_are_not_taken(
    whole: Built, city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole[0].path.parent, tmp_path / "city")
    for options in ({"query_mode": "mean"}, {"inner_share": 0.7}, {"precision": "bfloat16"}):
        report, read = build_city(city_tif, tmp_path, quiet=False, **options)
        assert report.manifest.computed["units_resumed"] == 0
        assert read == report.manifest.frames["count"]
        assert "1 unfinished build with other settings or imagery: " in capsys.readouterr().err
    other = tmp_path / "other.tif"
    shutil.copy(city_tif, other)
    with rasterio.open(other, "r+") as raster:
        raster.write(raster.read(1) + 1, 1)
    report, _ = build_city(other, tmp_path)
    assert report.manifest.computed["units_resumed"] == 0
    _, read = build_city(city_tif, tmp_path)  # and one's own are still there
    assert read == 0


def test_a_record_of_another_build_is_not_believed(
    whole: Built, city_tif: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole[0].path.parent, tmp_path / "city")
    record = finished_units(tmp_path / "city")[0]
    values = json.loads(record.read_text())
    record.write_text(json.dumps({**values, "fingerprint": "0" * 64}))
    report, read = build_city(city_tif, tmp_path)
    assert report.manifest.computed["units_resumed"] == units_of(whole) - 1
    assert 0 < read < whole[1]


def test_a_resumed_build_keeps_its_recipe(
    city_tif: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.build.plan.choose_frames_at_once", lambda _: 3)
    whole, _ = build_city(city_tif, tmp_path / "whole")
    with pytest.raises(UnfinishedError):
        build_city(city_tif, tmp_path, limit=1)
    monkeypatch.setattr("indexer.build.plan.choose_frames_at_once", lambda _: 8)
    monkeypatch.setattr("indexer.build.plan.choose_precision", lambda *_: "bfloat16")
    report, _ = build_city(city_tif, tmp_path)
    assert report.manifest.computed["frames_at_once"] == 3
    assert report.manifest.computed["precision"] == "float32"
    assert content(report) == content(whole)


@pytest.mark.process
def test_a_full_disk_leaves_what_was_done(whole: Built, city_tif: Path, tmp_path: Path) -> None:
    units = sum(f.stat().st_size for f in work_folders(whole[0].path.parent)[0].rglob("*.*"))
    with small_disk(tmp_path / "disk", f"{units * 6 // 10 // 1024}k") as disk:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("indexer.build.build.require_space", lambda *_: None)
            with pytest.raises(StorageError, match="no space left on the device: free") as caught:
                build_city(city_tif, disk)
        done = len(finished_units(disk / "city"))
        assert 0 < done < units_of(whole)
        assert f"{done} of {units_of(whole)} units are done and kept" in caught.value.__notes__[0]
        assert not list(disk.rglob("*.tmp"))
        shutil.copytree(disk / "city", tmp_path / "city")  # to a larger one
    report, read = build_city(city_tif, tmp_path)
    assert report.manifest.computed["units_resumed"] == done
    assert 0 < read < whole[1]
    assert content(report) == content(whole[0])


def test_nothing_done_leaves_nothing(city_tif: Path, tmp_path: Path) -> None:
    report, _ = build_city(city_tif, tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(ImageryError) as caught:
        build_city(city_tif, tmp_path, before_read=failing(ImageryError("gone"), 0))
    assert not getattr(caught.value, "__notes__", [])
    assert snapshot(tmp_path) == before
    assert open_index(tmp_path / "city").path == report.path
