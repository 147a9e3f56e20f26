"""Ctrl-C in the middle of SQL is Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading

import duckdb
import pytest

from indexer.interrupts import interruptible_sql

ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(100000) b"


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_ctrl_c_while_duckdb_works_arrives_as_itself() -> None:
    thread = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    thread.start()
    with (
        pytest.raises(KeyboardInterrupt),
        interruptible_sql(),
        duckdb.connect() as connection,
    ):
        connection.execute(ENDLESS)
    thread.join()


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="unrelated"), interruptible_sql():
        raise RuntimeError("unrelated")
    with pytest.raises(duckdb.ParserException), interruptible_sql(), duckdb.connect() as connection:
        connection.execute("SELEC 1")
