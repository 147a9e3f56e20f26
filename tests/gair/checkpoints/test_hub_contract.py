"""Hub contract of models: pushed and loaded by revision, token and cache, as others are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, hub_asked

from gair.cli import main
from gair.errors import ModelError
from gair.model import Gair

pytestmark = pytest.mark.filterwarnings("ignore:Use .content:DeprecationWarning")
"""Of the hub's own client."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_asked(monkeypatch) as hub:
        yield hub


def test_a_pushed_model_comes_back_by_its_revision(hub: Hub, tmp_path: Path) -> None:
    first, second = Gair.untrained("tiny", seed=1), Gair.untrained("tiny", seed=2)
    first.push_to_hub("acme/tiny", token="secret", private=True)
    repository = hub.repositories["models/acme/tiny"]
    assert repository.private
    assert set(repository.commits[-1]) == {"README.md", "config.json", "model.safetensors"}
    card = repository.commits[-1]["README.md"].decode()
    assert "library_name: gair-geolocator" in card
    assert "pipeline_tag: image-feature-extraction" in card
    old = repository.sha
    second.push_to_hub("acme/tiny", token="secret")
    words = {"token": "secret", "cache_dir": tmp_path / "cache"}
    assert Gair.from_pretrained("acme/tiny", **words).fingerprint() == second.fingerprint()
    of_old = Gair.from_pretrained("acme/tiny", revision=old, **words)
    assert of_old.fingerprint() == first.fingerprint()
    assert (tmp_path / "cache" / "models--acme--tiny").is_dir()
    with pytest.raises(ModelError, match="no revision 'v9'"):
        Gair.from_pretrained("acme/tiny", revision="v9", **words)


def test_training_facts_go_along_on_the_command_line(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    folder = Gair.untrained("tiny", seed=1).save_pretrained(
        tmp_path / "model", about="## Training\n\nNone.\n"
    )
    (folder / "training.json").write_text('{"location_weight": 0.3}')
    assert main(["push", str(folder), "acme/tiny", "--half"]) == 0
    files = hub.repositories["models/acme/tiny"].commits[-1]
    assert b"location_weight" in files["training.json"]
    assert files["README.md"].decode().endswith("## Training\n\nNone.\n")
    assert "acme/tiny/commit/" in capsys.readouterr().out


def test_a_wrong_token_is_one_line(hub: Hub) -> None:
    with pytest.raises(ModelError, match="cannot push to 'acme/tiny' on the Hugging Face hub"):
        Gair.untrained("tiny").push_to_hub("acme/tiny", token="wrong")


def test_a_revision_is_of_the_hub_only(tmp_path: Path) -> None:
    Gair.untrained("tiny").save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="`revision` 'v1' is of a model on the hub"):
        Gair.from_pretrained(tmp_path / "model", revision="v1")
