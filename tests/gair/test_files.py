"""Files are opened if they are files; nothing waits for a pipe or reads a device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY
from special_files import make_special

from gair.files import (
    NotAFileError,
    check_is_file,
    dead_temporaries,
    open_file,
    open_text,
    read_file,
    sha256_of,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="pipes, devices and sockets by path")


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"hello\r\n\xc3\xa9")
    link.symlink_to(file)
    for path in (file, link, str(file)):
        check_is_file(path)
        with open_file(path) as opened, open_text(path) as text:
            assert opened.read() == file.read_bytes()
            assert text.read() == "hello\r\n\u00e9"
        assert read_file(path) == file.read_bytes()
    assert read_file(file, most_bytes=9) == file.read_bytes()
    with pytest.raises(OSError, match="more than 8 bytes"):
        read_file(file, most_bytes=8)


@linux
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("kind", "words"),
    [("pipe", "a named pipe"), ("endless", "a device"), ("socket", "a socket")],
)
def test_what_is_no_file_is_refused_by_name_at_once(tmp_path: Path, kind: str, words: str) -> None:
    path = make_special(kind, tmp_path / "odd")
    for read in (check_is_file, open_file, open_text, read_file, sha256_of):
        with pytest.raises(NotAFileError, match=f"{words}, not a file.*odd"):
            read(path)


def test_folders_and_gaps_are_refused_as_ever(tmp_path: Path) -> None:
    for read in (check_is_file, open_file, read_file):
        with pytest.raises(IsADirectoryError):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "gone")


HELD_WRITE = """
import os, sys, time
from pathlib import Path
from gair.files import write_whole

def wait(handle):
    print("writing", flush=True)
    time.sleep(60)

os.fsync = wait
write_whole(Path(sys.argv[1]), b"content")
"""


@pytest.mark.process
@linux
def test_what_a_killed_writer_left_is_told_from_what_is_being_written(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", HELD_WRITE, str(tmp_path / name)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        for name in ("a-1", "a-2", "b-1")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
    assert dead_temporaries(tmp_path, "a-*") == []
    for writer in writers[1:]:
        writer.kill()
        writer.communicate()
    assert dead_temporaries(tmp_path, "a-*") == [tmp_path / f".a-2.{writers[1].pid}.tmp"]
    writers[0].kill()
    writers[0].communicate()
    assert len(dead_temporaries(tmp_path, "*")) == 3
