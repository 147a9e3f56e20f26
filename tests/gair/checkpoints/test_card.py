"""Model cards: what they say, and what is added to them stays with the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import SMALL, small_model

import gair.checkpoints.checkpoint
from gair.checkpoints.card import model_card, sections_of
from gair.checkpoints.checkpoint import Checkpoint
from gair.cli import main
from gair.errors import ModelError, UsageError
from gair.model import Gair

ABOUT = "## Training\n\n- **Data:** made up\n\n| metric | model |\n|---|---|\n| recall | 0.5 |\n"


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A trained model's folder, with everything such a folder has."""
    folder = small_model(trained=True).save_pretrained(tmp_path / "told", about=ABOUT)
    (folder / "training.json").write_text('{"seed": 7}')
    return folder


def test_sections_stand_at_the_end_and_can_be_read_back() -> None:
    info = small_model().info
    plain, card = model_card(SMALL, info), model_card(SMALL, info, about=ABOUT)
    assert card == f"{plain}\n{ABOUT}"
    assert plain.count("```") == 2
    assert sections_of(card) == ABOUT
    assert sections_of(plain) == ""
    assert sections_of(model_card(SMALL, info, half=True, about=ABOUT)) == ABOUT


@pytest.mark.parametrize("about", ["Trained on a cat.", "\n## Training", "### Training"])
def test_sections_without_a_heading_are_refused(tmp_path: Path, about: str) -> None:
    with pytest.raises(UsageError, match="begin with a heading, such as '## Training'"):
        small_model().save_pretrained(tmp_path / "model", about=about)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("half", [False, True])
def test_convert_keeps_what_is_told_of_the_training(told: Path, tmp_path: Path, half: bool) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(told), str(out), *["--half"] * half]) == 0
    assert {f.name for f in out.iterdir()} == {f.name for f in told.iterdir()}
    assert (out / "README.md").read_text().endswith(f"```\n\n{ABOUT}")
    assert (out / "training.json").read_text() == '{"seed": 7}'
    assert Gair.from_pretrained(out).info == Gair.from_pretrained(told).info


def test_convert_in_place_keeps_it_too(told: Path) -> None:
    before = (told / "README.md").read_text()
    assert main(["convert", str(told), str(told)]) == 0
    assert (told / "README.md").read_text() == before
    assert (told / "training.json").is_file()


def test_what_others_wrote_beside_their_weights_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release's own loader needs the full-size model, so a small one stands in for it."""
    model = small_model()
    stand_in = Checkpoint(model.config, model.info, lambda _: model.state_dict())
    monkeypatch.setattr(gair.checkpoints.checkpoint, "_open_release", lambda *_: stand_in)
    source = tmp_path / "release"
    source.mkdir()
    (source / "checkpoint.pth").touch()
    (source / "README.md").write_text("# GAIR\n\n## Usage\n\nTheir text.\n")
    (source / "training.json").write_text("{}")
    assert main(["convert", str(source), str(tmp_path / "out")]) == 0
    assert "Their text" not in (tmp_path / "out" / "README.md").read_text()
    assert not (tmp_path / "out" / "training.json").exists()


def test_a_model_without_a_card_converts(told: Path, tmp_path: Path) -> None:
    (told / "README.md").unlink()
    assert main(["convert", str(told), str(tmp_path / "out")]) == 0
    assert "## " not in (tmp_path / "out" / "README.md").read_text()


def test_the_weight_of_the_location_is_read_from_the_facts_and_stays_with_the_weights(
    told: Path, tmp_path: Path
) -> None:
    assert Gair.from_pretrained(told).info.location_weight is None
    (told / "training.json").write_text('{"seed": 7, "location_weight": 0.15}')
    model = Gair.from_pretrained(told)
    assert model.info.location_weight == 0.15
    again = Gair.from_pretrained(model.save_pretrained(tmp_path / "again"))
    assert again.info == model.info
    assert "location_weight" not in (tmp_path / "again" / "config.json").read_text()
    small_model().save_pretrained(tmp_path / "again")
    assert Gair.from_pretrained(tmp_path / "again").info.location_weight is None


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ('{"location_weight": 1.5}', "location_weight is 1.5: it must be a number from 0 to 1"),
        ('{"location_weight": true}', "location_weight is True: it must be a number from 0 to 1"),
        ('{"location_weight": NaN}', "location_weight is nan: it must be a number from 0 to 1"),
        ("[]", "training.json is no JSON object"),
        ("{", "training.json is no JSON:"),
    ],
)
def test_facts_that_make_no_sense_are_refused(told: Path, facts: str, words: str) -> None:
    (told / "training.json").write_text(facts)
    with pytest.raises(ModelError, match=words):
        Gair.from_pretrained(told)
