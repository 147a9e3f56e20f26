"""Ctrl-C in the middle of SQL is Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys

import duckdb
import pytest

from gair.interrupts import interruptible_sql

# One thread: where others do the work, DuckDB may look for signals only when they are done.
SCRIPT = """
import signal
import duckdb
from gair.interrupts import interruptible_sql
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 1.0)  # well after the query began
try:
    with interruptible_sql(), duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 1")
except KeyboardInterrupt as error:
    print("stopped by", repr(error.__cause__))
"""


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_while_duckdb_works_arrives_as_itself() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "stopped by RuntimeError('Query interrupted')\n"


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="unrelated"), interruptible_sql():
        raise RuntimeError("unrelated")
    with pytest.raises(duckdb.ParserException), interruptible_sql(), duckdb.connect() as connection:
        connection.execute("SELEC 1")
