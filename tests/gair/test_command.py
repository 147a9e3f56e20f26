"""How command lines fail and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from repository import REPOSITORY

from gair.command import complain
from gair.interrupts import kills_as_ctrl_c
from indexer.commands.cli import main


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain(ValueError("no file\nof that name"))
    assert capsys.readouterr().err == "error: no file of that name\n"


@pytest.mark.process
def test_sigterm_is_ctrl_c_inside_and_itself_again_outside() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), kills_as_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_runs_in_a_thread_that_may_not_handle_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(main, ["info", "--indexes", str(tmp_path)]).result() == 0
    assert "no index in" in capsys.readouterr().out


def shell(line: str, **env: str) -> tuple[int, str, str]:
    """Status, output and errors of a command line, which has the interpreter as ``$PYTHON``."""
    env = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY), **env}
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ('"$PYTHON" -m indexer info --indexes none >&-', 0),
        ('"$PYTHON" -m indexer info --index gone --indexes none 2>&-', 1),
        ('"$PYTHON" -m indexer info --index gone --indexes none <&- >&- 2>&-', 1),
        ('"$PYTHON" -m indexer search --help >&-', 0),
        ('"$PYTHON" -m indexer search --nonsense 2>&-', 2),
    ],
)
def test_closed_streams_change_no_status_and_say_nothing_elsewhere(line: str, status: int) -> None:
    assert shell(line) == (status, "", "")


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_a_reader_of_help_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "indexer", "search", "--help"],
            cwd=REPOSITORY,
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.process
def test_help_is_printed_in_an_ascii_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--help"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"--tiles-attribution" in done.stdout


@pytest.mark.process
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
def test_the_end_of_the_terminal_is_ctrl_c_unless_the_program_outlives_it() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt), kills_as_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        with kills_as_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
