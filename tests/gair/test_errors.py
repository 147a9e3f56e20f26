"""Errors are one line of bounded length, whatever they are about."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gair.command import complain
from gair.errors import MOST_CHARACTERS, GairError, StorageError, UsageError
from indexer.commands.build import _ended_early
from indexer.commands.cli import main
from indexer.photos.listing import read_photos


def test_short_messages_are_left_as_they_are() -> None:
    error = UsageError("`k` is 0: give 1 or more")
    assert str(error) == "`k` is 0: give 1 or more"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_long_messages_keep_their_beginning_and_their_remedy() -> None:
    text = str(GairError(f"cannot read {'x' * 10**6}\nof\r\nthat name: choose another"))
    assert len(text) <= MOST_CHARACTERS
    assert text.startswith("cannot read xxx")
    assert text.endswith("xxx of that name: choose another")
    assert " [...] " in text


def test_a_table_of_many_columns_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its columns were listed, all 50,000 of them."""
    table = tmp_path / "photos.csv"
    table.write_text(",".join(f"column_{number}" for number in range(50_000)) + "\n")
    with pytest.raises(UsageError, match="has no column file or path") as refused:
        read_photos(table)
    assert len(str(refused.value)) <= MOST_CHARACTERS
    assert main(["info", "--indexes", str(tmp_path), "--index", "x" * 100_000]) != 0
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert len(err) < 1.1 * MOST_CHARACTERS


def test_a_full_disk_and_what_it_leaves_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = StorageError("cannot write x: no space left on the device: free some")
    error.add_note("3 of 9 units are done and kept: the same command goes on from them")
    with pytest.raises(StorageError) as passed_on:
        _ended_early(error)
    assert capsys.readouterr().err == ""
    assert str(passed_on.value) == f"{error.args[0]}"
    assert "free some; 3 of 9 units are done and kept" in str(passed_on.value)


def test_errors_of_the_system_are_bounded_too(capsys: pytest.CaptureFixture[str]) -> None:
    complain(OSError("no\n" * 10**5))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) < 1.1 * MOST_CHARACTERS
