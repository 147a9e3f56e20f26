"""DuckDB files where the file system has no locks, and where another program writes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from repository import REPOSITORY

from gair.errors import IndexInUseError
from indexer.commands.cli import main
from indexer.index.duckdb_files import new_database, open_database
from indexer.index.storage import TABLE_FILE

NO_LOCKS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
int flock(int fd, int operation) { errno = ENOTSUP; return -1; }
static int unlocked(int fd, int command, void *argument) {
  static int (*real)(int, int, ...);
  if (!real) real = dlsym(RTLD_NEXT, "fcntl64");
  if (command == F_SETLK || command == F_SETLKW) { errno = ENOTSUP; return -1; }
  return real(fd, command, argument);
}
#define TAKEN va_list all; va_start(all, command); void *argument = va_arg(all, void *); va_end(all)
int fcntl(int fd, int command, ...) { TAKEN; return unlocked(fd, command, argument); }
int fcntl64(int fd, int command, ...) { TAKEN; return unlocked(fd, command, argument); }
"""
"""A library that takes the place of the system's locks: as on some network file systems."""

WORK = """
import sys
from pathlib import Path
from gair.files import can_lock, exclusive
from indexer.index.duckdb_files import new_database, open_database
from indexer.index.storage import hold

folder = Path(sys.argv[1])
assert not can_lock(folder)
with exclusive(folder / ".lock", "refused"), new_database(folder / "it's.duckdb") as connection:
    connection.execute("CREATE TABLE out.cells AS SELECT range AS row FROM range(300000)")
with open_database(folder / "it's.duckdb") as connection:
    assert connection.execute("SELECT sum(row) FROM cells").fetchall() == [(44999850000,)]
"""


@pytest.mark.process
def test_without_locks_the_work_goes_on_with_a_note(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and LD_PRELOAD to take the locks away")
    source, library = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text(NO_LOCKS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (note,) = done.stderr.splitlines()
    assert note.startswith(f"note: the file system of {tmp_path} has no locks")
    with duckdb.connect(str(tmp_path / "it's.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM cells").fetchall() == [(300000,)]


def test_a_file_that_is_open_elsewhere_is_in_use_and_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "cells.duckdb"
    with new_database(path) as connection:
        connection.execute("CREATE TABLE out.cells AS SELECT 1 AS row")
    with duckdb.connect(str(path)):
        with pytest.raises(IndexInUseError, match=r"is in use: this process has it open to write"):
            with open_database(path):
                pass
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(IndexInUseError, match=f"in use: process {other.pid} has it open"):
            with open_database(path):
                pass
        other.communicate("\n")
    with open_database(path) as connection:
        assert connection.execute("SELECT row FROM cells").fetchall() == [(1,)]


def test_an_index_in_use_is_told_from_a_damaged_one(
    tiny_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    (table,) = tmp_path.glob(f"toy/*/{TABLE_FILE}")
    with duckdb.connect(str(table)):
        assert main(["verify-index", "--indexes", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "DAMAGED" not in told.out + told.err
    assert "\nIN USE" in told.out
    assert "cells.duckdb is in use: this process has it open to write" in told.err
