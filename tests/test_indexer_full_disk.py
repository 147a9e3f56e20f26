"""A real disk that fills up while a build writes: one line, nothing left, the old index intact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_builds import build_box, fill_disk, small_disk, snapshot

from gair.errors import StorageError
from gair.geo import Footprint
from indexer.cli import main
from indexer.imagery import FramePixels, LocalImagery, open_imagery
from indexer.index import open_index
from indexer.table import write_table


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
    """Real imagery that fills the disk at a chosen moment of the build."""

    def __init__(self, inner: LocalImagery, disk: Path, moment: str, leave_bytes: int) -> None:
        self._inner = inner
        self._disk = disk
        self._moment = moment
        self._leave_bytes = leave_bytes

    @property
    def coverage(self) -> Any:
        return self._inner.coverage

    @property
    def resolution_m(self) -> float:
        return self._inner.resolution_m

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._inner.warnings

    def _reached(self, moment: str) -> None:
        if moment == self._moment:
            fill_disk(self._disk, self._leave_bytes)

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        self._reached("read")
        return self._inner.read(footprint, shape)

    def describe(self) -> dict[str, Any]:
        self._reached("describe")
        return self._inner.describe()


def write_table_and_fill(disk: Path) -> Callable[..., None]:
    def write(*arguments: Any) -> None:
        write_table(*arguments)
        fill_disk(disk, 0)

    return write


@pytest.fixture(scope="module")
def outcomes(
    city_tif: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, int, str | None]]:
    """Builds onto a disk that fills up: when it did, with what left, and the error."""
    found: list[tuple[str, int, str | None]] = []
    page = 4096
    moments = [("read", n * page) for n in (0, 3, 14, 40)]  # token maps take 14 pages
    moments += [("table", 0)]
    moments += [("describe", n * page) for n in range(3)]
    with small_disk(tmp_path_factory.mktemp("storage") / "disk") as disk:
        build_box(city_tif, disk)
        for moment, leave in moments:
            before = snapshot(disk)
            with open_imagery(city_tif) as imagery, pytest.MonkeyPatch.context() as patch:
                if moment == "table":
                    patch.setattr("indexer.build.write_table", write_table_and_fill(disk))
                try:
                    build_box(FillingImagery(imagery, disk, moment, leave), disk)
                    error = None
                except StorageError as caught:
                    error = str(caught)
            (disk / "filler").unlink()
            open_index(disk / "box")
            if error is not None:
                assert snapshot(disk) == before, (moment, leave)
                assert not list((disk / "box").glob(".*building*"))
                assert not list((disk / "box").glob("*.tmp"))
            found.append((moment, leave, error))
    return found


def test_no_space_left_is_one_line_and_leaves_the_old_index(
    outcomes: list[tuple[str, int, str | None]],
) -> None:
    failures = [error for _, _, error in outcomes if error is not None]
    for error in failures:
        assert "\n" not in error
        assert error.startswith("cannot write ")
    assert len(failures) >= 5


@pytest.mark.parametrize(
    "file", ["tokens.npy", "rs.faiss", "cells.duckdb", "region.geojson", "manifest.json", "CURRENT"]
)
def test_the_disk_filled_up_at_every_file(
    outcomes: list[tuple[str, int, str | None]], file: str
) -> None:
    errors = [error for _, _, error in outcomes if error and file in error]
    assert errors, outcomes
    assert all("no space left on the device: free some" in error for error in errors)
