"""Index folders on a real disk: whole builds or none, and never a worse index than before."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_builds import build_box, serving_build, snapshot

from gair.errors import IndexCorruptError, IndexNotFoundError, StorageError, UsageError
from indexer.index.index import open_index
from indexer.index.storage import (
    building,
    check_name,
    file_records,
    index_names,
    new_build_id,
    publish,
    read_current,
    require_space,
)


@pytest.mark.parametrize("name", ["a", "London-2", "9.b_c", "x" * 64])
def test_names_that_are_safe(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "é", "a\n", "x" * 65, "a\0"]
)
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(UsageError, match="must be 1 to 64 letters.*choose another"):
        check_name(name)


def test_build_ids_are_names_and_differ() -> None:
    ids = {new_build_id() for _ in range(50)}
    assert len(ids) > 45
    assert all(check_name(build) == build for build in ids)


def finish(index_folder: Path, build: str, content: bytes = b"rows") -> Path:
    with building(index_folder, build) as folder:
        (folder / "data").write_bytes(content)
        return publish(folder, build, b"{}")


def test_a_published_build_serves_and_the_old_one_stays(tmp_path: Path) -> None:
    index = tmp_path / "deep" / "toy"
    first, second = finish(index, "b1"), finish(index, "b2", b"more")
    assert read_current(index)[0] == "b2"
    assert (first / "data").read_bytes() == b"rows"
    assert second == index / "b2"
    assert sorted(p.name for p in index.iterdir()) == [".lock", "CURRENT", "b1", "b2"]
    assert sorted(p.name for p in second.iterdir()) == ["data", "manifest.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_whatever_goes_wrong_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    finish(tmp_path / "toy", "b1")
    before = snapshot(tmp_path)

    def fail() -> None:
        with building(tmp_path / "toy", "b2") as folder:
            (folder / "data").write_bytes(b"half")
            raise error("not about the lock")

    with pytest.raises(error, match="not about the lock"):  # the same error, not one of the lock
        fail()
    assert snapshot(tmp_path) == before
    assert not list((tmp_path / "toy").glob(".building-*"))


def test_leftovers_of_dead_builds_are_cleared(tmp_path: Path) -> None:
    index = tmp_path / "toy"
    finish(index, "b1")
    (index / ".building-dead").mkdir()
    (index / ".building-dead" / "rs.faiss").write_bytes(bytes(1000))
    (index / ".CURRENT.4711.tmp").write_bytes(b"{")
    finish(index, "b2")
    assert sorted(p.name for p in index.iterdir()) == [".lock", "CURRENT", "b1", "b2"]


def test_one_build_at_a_time(tmp_path: Path) -> None:
    with building(tmp_path / "toy", "b1") as first:
        with (
            pytest.raises(StorageError, match="another build of 'toy' is running: wait for it"),
            building(tmp_path / "toy", "b2"),
        ):
            pytest.fail("two builds at once")
        assert first.is_dir()  # the second one did not clear it away
        with building(tmp_path / "other", "b2"):
            pass
    finish(tmp_path / "toy", "b3")


def test_a_pointer_that_cannot_change_leaves_no_build(tmp_path: Path) -> None:
    index = tmp_path / "toy"
    (index / "CURRENT").mkdir(parents=True)  # a folder cannot be replaced by a file
    with pytest.raises(StorageError, match="cannot write .*CURRENT"):
        finish(index, "b1")
    assert sorted(p.name for p in index.iterdir()) == [".lock", "CURRENT"]


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write .*file/toy: Not a directory"):
        finish(tmp_path / "file" / "toy", "b1")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no JSON": lambda _: b"london",
    "not UTF-8": lambda _: b"\xff\xfe\x00",
    "a list": lambda _: b"[]",
    "no hash": lambda _: b'{"build": "b1"}',
    "a number": lambda _: b'{"build": 1, "manifest_sha256": "x"}',
    "a path": lambda _: b'{"build": "../../etc", "manifest_sha256": "x"}',
    "cut off": lambda text: text[:-5],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_pointer_is_named(tmp_path: Path, damage: str) -> None:
    finish(tmp_path / "toy", "b1")
    pointer = tmp_path / "toy" / "CURRENT"
    pointer.write_bytes(DAMAGE[damage](pointer.read_bytes()))
    with pytest.raises(IndexCorruptError, match="CURRENT is damaged: rebuild the index"):
        read_current(tmp_path / "toy")


def test_no_pointer_means_no_finished_build(tmp_path: Path) -> None:
    (tmp_path / "toy" / ".building-b1").mkdir(parents=True)
    with pytest.raises(IndexNotFoundError, match="toy has no finished build: run python -m"):
        read_current(tmp_path / "toy")
    (tmp_path / "odd" / "CURRENT").mkdir(parents=True)
    with pytest.raises(IndexCorruptError, match="cannot read .*CURRENT: Is a directory"):
        read_current(tmp_path / "odd")


def test_only_finished_indexes_are_listed(tmp_path: Path) -> None:
    assert index_names(tmp_path / "none") == []
    finish(tmp_path / "b", "b1")
    finish(tmp_path / "a", "b1")
    (tmp_path / "half").mkdir()
    (tmp_path / "file").write_bytes(b"")
    assert index_names(tmp_path) == ["a", "b"]


def test_records_of_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    record = file_records(tmp_path)["x"]
    assert record.size_bytes == 3
    assert record.sha256.startswith("ba7816bf8f01cfea")  # of FIPS 180-2, appendix B.1


def test_too_little_space_is_said_before_the_work(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "there" / "yet", 1)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(StorageError, match=r"MB free and the index needs about [\d,]+ MB: free"):
        require_space(tmp_path / "not" / "there" / "yet", 10 * free)
    assert not (tmp_path / "not").exists()


def test_another_user_is_told_what_is_not_permitted(city_tif: Path, tmp_path: Path) -> None:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs root, to become somebody who may not read or write")
    index = build_box(city_tif, tmp_path / "indexes").path.parent
    for folder in (index, *index.parents):
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o005:
            folder.chmod(0o755)
    with nobody(), pytest.raises(StorageError, match="permission denied: choose a folder you may"):
        finish(index, "b2")
    with nobody(), pytest.raises(StorageError, match="permission denied: choose a folder you may"):
        finish(tmp_path / "indexes" / "new", "b1")
    open_index(index)
    for file in (*serving_build(index).iterdir(), index / "CURRENT"):
        mode = file.stat().st_mode
        file.chmod(0o600)
        with nobody(), pytest.raises(IndexCorruptError) as caught:
            open_index(index)
        assert f"cannot read {file}: Permission denied: make it readable" in str(caught.value)
        file.chmod(mode)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As a user without rights."""
    import filelock  # noqa: F401  (nobody may not be allowed to read Python's own files)

    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_current_is_plain_json(tmp_path: Path) -> None:
    path = finish(tmp_path / "toy", "b1")
    pointer = json.loads((tmp_path / "toy" / "CURRENT").read_bytes())
    assert pointer == {
        "build": "b1",
        "manifest_sha256": file_records(path)["manifest.json"].sha256,
    }
