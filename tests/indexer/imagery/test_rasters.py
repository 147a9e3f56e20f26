"""Open files are lent to one reader at a time, reused, bounded in number, and closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_rasters import FLAT, write_bands

from gair.errors import ImageryError
from indexer.imagery.rasters import FilePool, OpenFiles


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_bands(tmp_path, "s2_{}.tif", FLAT)


def test_two_readers_never_share_a_dataset(paths: list[Path]) -> None:
    pool = FilePool()
    with pool.borrowed() as first, pool.borrowed() as other:
        assert first.dataset(paths[0]) is first.dataset(paths[0])
        assert first.dataset(paths[0]) is not other.dataset(paths[0])
    pool.close()


def test_a_set_is_lent_again_with_its_files_open(paths: list[Path]) -> None:
    pool = FilePool()
    with pool.borrowed() as files:
        dataset = files.dataset(paths[0])
    with pool.borrowed() as files:
        assert files.dataset(paths[0]) is dataset
    pool.close()
    assert dataset.closed


def test_a_set_that_failed_is_not_lent_again(paths: list[Path]) -> None:
    pool = FilePool()
    lent = []

    def fail() -> None:
        with pool.borrowed() as files:
            lent.append(files.dataset(paths[0]))
            raise ImageryError("half read")

    with pytest.raises(ImageryError, match="half read"):
        fail()
    assert lent[0].closed
    with pool.borrowed() as files:
        assert files.dataset(paths[0]) is not lent[0]
    pool.close()


def test_a_set_that_is_out_is_closed_when_it_comes_back(paths: list[Path]) -> None:
    pool = FilePool()
    with pool.borrowed() as files:
        dataset = files.dataset(paths[0])
        pool.close()
        assert not dataset.closed
    assert dataset.closed
    with pytest.raises(ImageryError, match="open it again"), pool.borrowed():
        pass


def test_the_file_unused_the_longest_is_closed_first(paths: list[Path]) -> None:
    files = OpenFiles(max_open=2)
    first, second = files.dataset(paths[0]), files.dataset(paths[1])
    files.dataset(paths[0])
    files.dataset(paths[2])
    assert second.closed
    assert not first.closed
    files.close()
    assert first.closed
