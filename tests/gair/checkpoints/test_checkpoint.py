"""Models on disk: round trips, and one clear error for each thing that can be wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from gair.cli import main
from gair.errors import CheckpointError, ModelError, StorageError
from gair.model import Gair


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Gair.untrained("tiny", seed=3).save_pretrained(tmp_path_factory.mktemp("model"))


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_a_saved_model_comes_back_equal(saved: Path) -> None:
    model = Gair.from_pretrained(saved)
    assert model.fingerprint() == Gair.untrained("tiny", seed=3).fingerprint()
    assert not model.training
    assert not model.info.trained
    pixels = torch.rand(1, 10, 96, 96)
    with torch.no_grad():
        expected = Gair.untrained("tiny", seed=3).encode_remote_sensing(pixels)
        torch.testing.assert_close(model.encode_remote_sensing(pixels), expected)


def test_the_card_says_that_weights_are_untrained(saved: Path) -> None:
    card = (saved / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: gair-geolocator\n")
    assert "Untrained" in card
    assert not list(saved.glob(".*")), "temporary files are left behind"


def test_untrained_by_name() -> None:
    assert Gair.from_pretrained("untrained:tiny:5").info.source == "untrained:tiny:5"
    with pytest.raises(ModelError, match="unknown model preset 'medium'"):
        Gair.from_pretrained("untrained:medium")
    for seed in ("x", "²", "9" * 30, "1:2"):
        with pytest.raises(ModelError, match="not untrained:PRESET"):
            Gair.from_pretrained(f"untrained:tiny:{seed}")


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at '/no/such/path'"):
        Gair.from_pretrained("/no/such/path")
    with pytest.raises(ModelError, match="holds no model: expected config.json"):
        Gair.from_pretrained(tmp_path)


def test_the_hub_out_of_reach_is_said_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"cannot get 'PingL/GAIR-absent'.*download its checkpoint"
    ):
        Gair.from_pretrained("PingL/GAIR-absent")


def test_a_truncated_weight_file_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = copy_of(saved, tmp_path / "m")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"cannot read .*model\.safetensors"):
        Gair.from_pretrained(folder)


def test_weights_of_another_shape_are_refused(saved: Path, tmp_path: Path) -> None:
    folder = copy_of(saved, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config["gair"]["location_hidden"] = 128
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="tensor location.capsules.* has shape"):
        Gair.from_pretrained(folder)
    config["gair"]["sv_depth"] = 5
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="unknown or missing tensors"):
        Gair.from_pretrained(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"gair": {}, "info": {}}', "\xff"])
def test_a_broken_config_is_refused(saved: Path, tmp_path: Path, text: str) -> None:
    folder = copy_of(saved, tmp_path / "m")
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError):
        Gair.from_pretrained(folder)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("code from a checkpoint ran",))


@pytest.mark.parametrize("content", ["pickle", "text", "empty", "other"])
def test_a_checkpoint_that_is_none_is_refused_and_runs_no_code(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checkpoint.pth"
    if content == "pickle":
        torch.save({"model": _Evil()}, path)
    elif content == "text":
        path.write_text("hello")
    elif content == "empty":
        path.write_bytes(b"")
    else:
        torch.save({"model": {"conv.weight": torch.zeros(3)}}, path)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pth"):
        Gair.from_pretrained(path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("key", [0, 1.5, None, (1, 2), b"sv_encoder.", True])
def test_keys_that_are_no_names_are_refused(tmp_path: Path, key: object) -> None:
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": {key: torch.zeros(3), "sv_encoder.x": torch.zeros(3)}}, path)
    with pytest.raises(CheckpointError, match="where the name of a tensor is needed"):
        Gair.from_pretrained(path)


def test_the_advice_to_run_code_from_a_file_is_not_passed_on(tmp_path: Path) -> None:
    """Torch names a flag that turns its safety off to whoever opens a file with code in it."""
    paths = [tmp_path / name for name in ("evil.pth", "text.pth", "list.pth", "old.pth")]
    torch.save({"model": _Evil()}, paths[0])
    paths[1].write_text("hello")
    paths[2].write_bytes(pickle.dumps([1, 2]))
    paths[3].write_bytes(pickle.dumps(_Evil(), protocol=0))
    for path in paths:
        with pytest.raises(CheckpointError) as refused:
            Gair.from_pretrained(path)
        text = str(refused.value)
        assert str(path) in text
        assert not [word for word in ("weights_only", "trust", "allowlist", "http") if word in text]
    with pytest.raises(CheckpointError, match=r"needs the Python code of \S*print"):
        Gair.from_pretrained(paths[0])


def test_pickled_lists_are_no_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    with path.open("wb") as file:
        pickle.dump([1, 2], file)
    with pytest.raises(CheckpointError):
        Gair.from_pretrained(path)


def test_saving_where_a_file_stands_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="cannot write .*taken: File exists"):
        Gair.untrained("tiny").save_pretrained(tmp_path / "taken")


def test_convert_writes_a_folder_and_errors_are_one_line(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(saved), str(tmp_path / "out")]) == 0
    assert Gair.from_pretrained(tmp_path / "out").info.name == "untrained-tiny"
    assert main(["convert", "nowhere:at-all", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: no model at")
    assert error.count("\n") == 1
