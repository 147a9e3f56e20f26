"""Models that come with the package, by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_builds import BOX_WSEN_DEG, build_box

import gair.checkpoints.checkpoint
from gair.checkpoints.checkpoint import shipped_folder, shipped_names
from gair.cli import main as gair_main
from gair.errors import CheckpointError, ModelError
from gair.model import Gair
from indexer.commands.cli import main as indexer_main
from indexer.search.geolocator import Geolocator

MOST_MB = 25


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships one model: the demo's structure with random weights."""
    model = Gair.untrained("demo", seed=4)
    folder = model.save_pretrained(tmp_path / "data" / "demo", half=True, about="## Made for\n\nx")
    (folder / "training.json").write_text("{}")
    (tmp_path / "data" / "notes").mkdir()
    monkeypatch.setattr(gair.checkpoints.checkpoint, "_shipped_home", lambda: tmp_path / "data")
    return folder


def test_a_shipped_model_loads_and_says_where_it_came_from(stand_in: Path) -> None:
    model = Gair.from_pretrained("shipped:demo")
    assert model.fingerprint() == Gair.from_pretrained(stand_in).fingerprint()
    assert model.info.source == "shipped:demo"
    assert shipped_names() == ["demo"]


@pytest.mark.parametrize("name", ["x", "", "notes", "../data/demo", "demo/", "Demo"])
def test_an_unknown_name_lists_those_there_are(stand_in: Path, name: str) -> None:
    told = rf"no model 'shipped:{name}' was shipped; there are: shipped:demo$"
    with pytest.raises(ModelError, match=told):
        Gair.from_pretrained(f"shipped:{name}")


def test_an_installation_without_models_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gair.checkpoints.checkpoint, "_shipped_home", lambda: tmp_path / "none")
    with pytest.raises(ModelError, match="there are: none in this installation"):
        Gair.from_pretrained("shipped:demo")


def test_a_shipped_model_without_weights_is_refused(stand_in: Path) -> None:
    (stand_in / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"cannot read .*model\.safetensors"):
        Gair.from_pretrained("shipped:demo")


def test_a_shipped_model_converts_with_its_card(stand_in: Path, tmp_path: Path) -> None:
    assert gair_main(["convert", "shipped:demo", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "README.md").read_text().endswith("## Made for\n\nx\n")
    assert (tmp_path / "out" / "training.json").is_file()
    converted = Gair.from_pretrained(tmp_path / "out")
    assert converted.fingerprint() == Gair.from_pretrained("shipped:demo").fingerprint()


def test_an_index_built_with_it_names_it_and_opens_again(
    stand_in: Path, city_tif: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = "--bbox={},{},{},{}".format(*BOX_WSEN_DEG)
    argv = ["build", "--imagery", str(city_tif), "--model", "shipped:demo", box, "--quiet"]
    indexes = tmp_path / "indexes"
    assert indexer_main([*argv, "--resolution=9", "--name=a", "--out", str(indexes)]) == 0
    build_box(city_tif, indexes, name="b", model=Gair.from_pretrained("shipped:demo"))
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        opened = Geolocator.open(name, indexes_dir=indexes)
        assert opened.index.manifest.model.source == "shipped:demo"
        assert opened.model.fingerprint() == opened.index.manifest.model.fingerprint


@pytest.mark.skipif("demo" not in shipped_names(), reason="no demo model was trained and copied")
def test_the_demo_model_is_trained_small_and_told_of() -> None:
    folder = shipped_folder("shipped:demo")
    model = Gair.from_pretrained("shipped:demo")
    assert model.info.trained
    assert model.info.name == "gair-demo (synthetic cities)"
    assert model.info.licence == "Apache-2.0"
    assert all(bool(torch.isfinite(t).all()) for t in model.state_dict().values())
    assert sum(f.stat().st_size for f in folder.iterdir()) < MOST_MB * 1e6
    facts = json.loads((folder / "training.json").read_text())
    card = (folder / "README.md").read_text()
    for told in (facts["commit"], facts["data"]["sha256"], f"seed {facts['seed']}", "synthetic"):
        assert told in card
    assert facts["validation"]["recall@10_200m"] > facts["validation"]["chance_recall@10_200m"]
    assert "| recall@10_200m |" in card
