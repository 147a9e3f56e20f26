"""How command lines fail and stop."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gair.command import complain
from gair.interrupts import sigterm_as_ctrl_c
from indexer.commands.cli import main


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain(ValueError("no file\nof that name"))
    assert capsys.readouterr().err == "error: no file of that name\n"


@pytest.mark.process
def test_sigterm_is_ctrl_c_inside_and_itself_again_outside() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_runs_in_a_thread_that_may_not_handle_signals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(main, ["info", "--indexes", str(tmp_path)]).result() == 0
    assert "no index in" in capsys.readouterr().out
