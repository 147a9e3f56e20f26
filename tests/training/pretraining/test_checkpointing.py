"""Checkpoints: whole or not there, verified, the newest kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_builds import fill_disk, small_disk

from gair.errors import StorageError, TrainingError
from training.pretraining.checkpointing import (
    Checkpoint,
    newest_step,
    prune,
    read_checkpoint,
    steps_of,
    write_checkpoint,
)


def checkpoint(step: int, size: int = 4) -> Checkpoint:
    weights = torch.arange(size * size, dtype=torch.float32).reshape(size, size) + step
    state = {"queue": torch.tensor([torch.nan, 1.0]).double(), "best": {"error": float("inf")}}
    tensors = {"model": {"a": weights, "b": weights.T}, "ema": {"a": -weights}}
    return Checkpoint(step, tensors, {**state, "names": ["x", 1, None]})


def nothing(_: str) -> None:
    raise AssertionError("there was nothing to say")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, checkpoint(12))
    assert folder == tmp_path / "checkpoints" / "step-000012"
    restored = read_checkpoint(tmp_path, 12)
    assert restored.step == 12
    assert restored.tensors.keys() == {"model", "ema"}
    for group, tensors in checkpoint(12).tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(restored.tensors[group][name], tensor)
    assert restored.state["queue"].isnan().tolist() == [True, False]
    assert restored.state["best"] == {"error": float("inf")}
    assert restored.state["names"] == ["x", 1, None]


def test_the_newest_is_found_and_none_is_none(tmp_path: Path) -> None:
    assert newest_step(tmp_path, nothing) is None
    for step in (9, 1_000_000, 10):
        write_checkpoint(tmp_path, checkpoint(step))
    assert steps_of(tmp_path) == [9, 10, 1_000_000]
    assert newest_step(tmp_path, nothing) == 1_000_000


@pytest.mark.parametrize("file", ["model.safetensors", "ema.safetensors", "state.pt"])
@pytest.mark.parametrize("damage", ["one byte", "cut short", "gone"])
def test_a_damaged_file_is_named_and_the_one_before_is_used(
    tmp_path: Path, file: str, damage: str
) -> None:
    write_checkpoint(tmp_path, checkpoint(1))
    path = write_checkpoint(tmp_path, checkpoint(2)) / file
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[-3] ^= 1
        path.write_bytes(content[:-1] if damage == "cut short" else content)
    with pytest.raises(TrainingError, match=f"step-000002 is damaged: {file} is not what"):
        read_checkpoint(tmp_path, 2)
    said: list[str] = []
    assert newest_step(tmp_path, said.append) == 1
    assert len(said) == 1
    assert "step-000002" in said[0]


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"format": 1, "step": 2}', '{"format": 2, "step": 2, "files": {}}'],
)
def test_a_damaged_record_is_passed_over_too(tmp_path: Path, record: str) -> None:
    write_checkpoint(tmp_path, checkpoint(1))
    folder = write_checkpoint(tmp_path, checkpoint(2))
    (folder / "checkpoint.json").write_text(record)
    said: list[str] = []
    assert newest_step(tmp_path, said.append) == 1
    assert len(said) == 1
    (tmp_path / "checkpoints" / "step-000001" / "checkpoint.json").unlink()
    with pytest.raises(TrainingError, match="all checkpoints .* are damaged"):
        newest_step(tmp_path, said.append)


def test_a_record_of_another_step_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(3)).rename(tmp_path / "checkpoints" / "step-000004")
    with pytest.raises(TrainingError, match="says format 1, step 3; .* expects step 4"):
        read_checkpoint(tmp_path, 4)


def test_a_pickle_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "touched"),)

    hidden = Checkpoint(1, checkpoint(1).tensors, {"optimizer": Touch()})
    write_checkpoint(tmp_path, hidden)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_checkpoint(tmp_path, 1)
    assert not (tmp_path / "touched").exists()


def test_writing_fails_at_any_point_and_leaves_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, checkpoint(1))
    before = {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    real = os.fsync
    for allowed in range(5):  # four files and the folder
        left = iter(range(allowed))

        def failing(handle: int, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            real(handle)

        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(tmp_path, checkpoint(2))
        assert {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()} == before
        assert steps_of(tmp_path) == [1]
    monkeypatch.undo()
    write_checkpoint(tmp_path, checkpoint(2))
    assert newest_step(tmp_path, nothing) == 2


def test_what_a_killed_writer_left_is_ignored_and_removed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(1))
    leftover = tmp_path / "checkpoints" / ".writing-step-000002"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    assert newest_step(tmp_path, nothing) == 1
    write_checkpoint(tmp_path, checkpoint(3))
    assert not leftover.exists()


def test_a_step_that_is_there_already_is_replaced(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, checkpoint(2))
    (folder / "state.pt").write_bytes(b"damaged")
    write_checkpoint(tmp_path, checkpoint(2))
    assert newest_step(tmp_path, nothing) == 2


def test_the_newest_and_the_protected_are_kept(tmp_path: Path) -> None:
    for step in range(1, 8):
        write_checkpoint(tmp_path, checkpoint(step))
    prune(tmp_path, newest=6, keep=2, protect=[3])
    assert steps_of(tmp_path) == [3, 5, 6, 7]  # 7 is of a future that was given up
    prune(tmp_path, newest=7, keep=1)
    assert steps_of(tmp_path) == [7]


@pytest.mark.process
def test_a_full_disk_is_said_and_leaves_the_old_ones(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        write_checkpoint(disk, checkpoint(1))
        filler = fill_disk(disk, leave_bytes=100_000)
        with pytest.raises(StorageError, match="no space left .* free some"):
            write_checkpoint(disk, checkpoint(2, size=300))
        assert newest_step(disk, nothing) == 1
        assert [f.name for f in (disk / "checkpoints").iterdir()] == ["step-000001"]
        filler.unlink()
        write_checkpoint(disk, checkpoint(2, size=300))
        assert newest_step(disk, nothing) == 2


def test_the_record_names_every_file_with_its_size(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path, checkpoint(1))
    record = json.loads((folder / "checkpoint.json").read_bytes())
    written = {f.name: f.stat().st_size for f in folder.iterdir() if f.name != "checkpoint.json"}
    assert {name: facts["size_bytes"] for name, facts in record["files"].items()} == written
