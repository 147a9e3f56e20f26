"""A real disk that fills up while a build writes: one line, nothing left, the old index intact."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from resumable import finished_units
from small_builds import build_box, fill_disk, small_disk, snapshot

import indexer.build.build
import indexer.build.write_index
from gair.errors import StorageError
from gair.geo import Footprint
from indexer.commands.cli import main
from indexer.imagery import FramePixels, LocalImagery, open_imagery
from indexer.index.index import open_index
from indexer.index.storage import work_folders

pytestmark = pytest.mark.process


def test_a_build_that_cannot_fit_is_refused_before_it_starts(
    city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = "--bbox=-0.10,51.50,-0.09,51.51"  # 18,000 cells of resolution 13: 15 MB
    with small_disk(tmp_path / "disk", "1m") as disk:
        argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", box]
        assert main([*argv, "--resolution", "13", "--out", str(disk / "out"), "--quiet"]) == 1
        assert not list(disk.iterdir())
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "MB free and the index needs about" in error


class FillingImagery:
    """Real imagery that fills the disk when its first frame is read."""

    def __init__(self, inner: LocalImagery, disk: Path, leave_bytes: int | None) -> None:
        self._inner = inner
        self._disk = disk
        self._leave_bytes = leave_bytes
        self.coverage = inner.coverage
        self.resolution_m = inner.resolution_m
        self.warnings = inner.warnings
        self.describe = inner.describe
        self.by_day = inner.by_day

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        if self._leave_bytes is not None:
            fill_disk(self._disk, self._leave_bytes)
        return self._inner.read(footprint, shape)


def and_fill(function: Callable[..., Any], disk: Path, leave_bytes: int) -> Callable[..., Any]:
    """A function after which the disk is full."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        found = function(*arguments, **keywords)
        fill_disk(disk, leave_bytes)
        return found

    return call


Outcome = tuple[str, int, str | None]


@pytest.fixture(scope="module")
def outcomes(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Builds onto a disk that fills up: when it did, with what left, and the error."""
    found: list[Outcome] = []
    page = 4096
    moments = [("read", n * page) for n in (0, 9, 20, 24, 30, 35)]  # around a unit
    moments += [("gather_outcome", n * page) for n in (0, 4, 9, 20, 130)]
    moments += [("write_table", 0)]
    moments += [("content_sha256", n * page) for n in (0, 2, 3)]
    with small_disk(tmp_path_factory.mktemp("storage") / "disk") as disk:
        build_box(city_tif, disk)
        for moment, leave in moments:
            before = snapshot(disk)
            with open_imagery(city_tif) as imagery, pytest.MonkeyPatch.context() as patch:
                if moment != "read":
                    home = (
                        indexer.build.build
                        if moment == "gather_outcome"
                        else indexer.build.write_index
                    )
                    patch.setattr(home, moment, and_fill(getattr(home, moment), disk, leave))
                leave_bytes = leave if moment == "read" else None
                try:
                    build_box(FillingImagery(imagery, disk, leave_bytes), disk)
                    error = None
                except StorageError as caught:
                    error = str(caught)
            (disk / "filler").unlink()
            open_index(disk / "box")
            if error is not None:
                kept = bool(finished_units(disk / "box"))
                assert kept or moment == "read", (moment, leave)
                assert kept == bool(work_folders(disk / "box"))  # one unit, or nothing
                for folder in work_folders(disk / "box"):
                    shutil.rmtree(folder)
                assert snapshot(disk) == before, (moment, leave)
                assert not list((disk / "box").glob(".*building*"))
                assert not list((disk / "box").glob("*.tmp"))
            found.append((moment, leave, error))
    return found


def test_no_space_left_is_one_line_and_leaves_the_old_index(outcomes: list[Outcome]) -> None:
    failures = [error for _, _, error in outcomes if error is not None]
    for error in failures:
        assert "\n" not in error
        assert error.startswith("cannot write ")
    assert len(failures) >= 8


@pytest.mark.parametrize(
    "file",
    [
        ".parquet",
        "units/.*.tokens.npy",
        "ffff.json",
        "/tokens.npy",
        "/picture.tif",
        "rs.faiss",
        "cells.duckdb",
        "region.geojson",
        "manifest.json",
        "CURRENT",
    ],
)
def test_the_disk_filled_up_at_every_file(outcomes: list[Outcome], file: str) -> None:
    errors = [error for _, _, error in outcomes if error and re.search(file, error)]
    assert errors, outcomes
    assert all("no space left on the device: free some" in error for error in errors)
