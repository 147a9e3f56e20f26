"""Weights of a search: whose they are, from the model's folder to the answer and the evaluation."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from hand_calibration import WEIGHTS, calibrate_by_hand
from model_city import listed
from small_builds import build_box, rewrite_manifest, serving_build, tiny_model
from toy_city import photo

from gair.model import Gair
from indexer.commands.cli import main
from indexer.commands.search import answer_lines
from indexer.evaluate.evaluate import evaluate
from indexer.evaluate.options import EvaluateOptions
from indexer.index.index import open_index
from indexer.merge.merge import merge_indexes
from indexer.search.answer import BY_IMAGERY_ALONE
from indexer.search.geolocator import Geolocator
from indexer.search.query import Query, QueryFields

CARD_WEIGHT = 0.25
SHARES = (0.8, 0.2)
"""Of 1 and CARD_WEIGHT."""


@pytest.fixture(scope="module")
def cards(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes whose one, ``box``, is of a model with a weight in its card."""
    folder = tmp_path_factory.mktemp("cards")
    model = tiny_model().save_pretrained(folder / "model")
    (model / "training.json").write_text(f'{{"location_weight": {CARD_WEIGHT}}}')
    loaded = Gair.from_pretrained(model)
    build_box(city_tif, folder / "indexes", model=loaded, model_source=str(model))
    return folder / "indexes"


@pytest.fixture(scope="module")
def carded(cards: Path) -> Geolocator:
    return Geolocator.open("box", indexes_dir=cards)


@pytest.fixture(scope="module")
def silent(cards: Path, tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    """The same index, of a model whose card says nothing."""
    folder = tmp_path_factory.mktemp("silent") / "box"
    shutil.copytree(cards / "box", folder)
    record = open_index(folder).manifest.model
    model = dataclasses.asdict(record)
    del model["location_weight"]
    rewrite_manifest(folder, model=model, schema_version=3)
    return Geolocator.open(folder, model=tiny_model())


def test_an_index_records_what_the_models_card_says_and_is_searched_so(carded: Geolocator) -> None:
    assert carded.index.manifest.model.location_weight == CARD_WEIGHT
    answer = carded.search(photo(1), k=3)
    assert (answer.rs_weight, answer.location_weight) == pytest.approx(SHARES)
    assert answer.weights_by == "model card"
    assert BY_IMAGERY_ALONE not in answer.warnings
    for place in answer.candidates:
        fused = SHARES[0] * place.rs_score + SHARES[1] * place.location_score
        assert place.score == pytest.approx(fused, abs=1e-6)
    told = answer_lines(answer)
    assert "  weights: imagery 0.8, location 0.2 (by the model's card)" in told


def test_without_a_word_of_the_card_imagery_alone_ranks_and_the_answer_says_so(
    silent: Geolocator,
) -> None:
    answer = silent.search(photo(1), k=3)
    assert (answer.rs_weight, answer.location_weight, answer.weights_by) == (1, 0, "default")
    assert BY_IMAGERY_ALONE in answer.warnings
    assert [c.score for c in answer.candidates] == [c.rs_score for c in answer.candidates]


def test_a_calibration_outweighs_the_card(cards: Path, tmp_path: Path) -> None:
    shutil.copytree(cards / "box", tmp_path / "box")
    calibrate_by_hand(tmp_path / "box")
    answer = Geolocator.open("box", indexes_dir=tmp_path).search(photo(1))
    assert (answer.rs_weight, answer.location_weight) == WEIGHTS.shares
    assert answer.weights_by == "calibration"


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"rs_weight": 0.4}, (0.4, 0.0)),
        ({"location_weight": 0.9}, (1.0, 0.9)),
        ({"rs_weight": 0.0, "location_weight": 2.0}, (0.0, 2.0)),
        ({"rs_weight": 3.0, "location_weight": 0.5}, (3.0, 0.5)),
    ],
)
def test_weights_of_your_own_win(
    carded: Geolocator, silent: Geolocator, own: QueryFields, wanted: tuple[float, float]
) -> None:
    for geolocator in (carded, silent):
        answer = geolocator.search(photo(1), **own)
        assert (answer.rs_weight, answer.location_weight) == pytest.approx(wanted)
        assert answer.weights_by == "you"
        assert BY_IMAGERY_ALONE not in answer.warnings


def test_a_claim_and_a_heat_map_are_weighed_as_a_search_is(
    carded: Geolocator, silent: Geolocator
) -> None:
    weights = carded.space.weights
    assert weights.shares == pytest.approx(SHARES)
    assert silent.space.weights.shares == (1, 0)
    scored = carded.every_cell(carded.seen([photo(1)])[0])
    wanted = SHARES[0] * scored.rs[0] + SHARES[1] * scored.location[0]
    np.testing.assert_allclose(carded.heatmap(photo(1)).values, wanted, atol=1e-6)
    np.testing.assert_array_equal(silent.heatmap(photo(1)).values, scored.rs[0])


def test_an_evaluation_uses_the_weights_of_a_search(carded: Geolocator, silent: Geolocator) -> None:
    rng = np.random.default_rng(0)
    s = rng.normal(size=(6, carded.index.rs.dim)).astype(np.float32)
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    photos = listed(s, carded.index.cells.lonlat_deg[:6])
    options = EvaluateOptions(quiet=True, resamples=50)
    for geolocator in (carded, silent):
        report = evaluate(geolocator.space, photos, options)
        rs, location, source, _ = Query().weights(geolocator.space)
        told = report["search"]
        assert (told["rs_weight"], told["location_weight"], told["weights_by"]) == (
            (rs, location, source)
        )
        own = dataclasses.replace(options, rs_weight=rs, location_weight=location)
        again = evaluate(geolocator.space, photos, own)
        assert again["methods"] == report["methods"]
        assert again["search"]["weights_by"] == "you"
        assert (BY_IMAGERY_ALONE in report["notes"]) is (source == "default")


def test_info_says_the_weights_and_whose_they_are(
    cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--index", "box", "--indexes"]
    assert main(["info", *where, str(cards)]) == 0
    told = capsys.readouterr().out
    assert "  weights  imagery 0.8, location 0.2 (by the model's card)\n" in told
    shutil.copytree(cards / "box", tmp_path / "box")
    calibrate_by_hand(tmp_path / "box")
    assert main(["info", *where, str(tmp_path)]) == 0
    assert "(by calibration)\n" in capsys.readouterr().out


def test_a_merge_keeps_the_weight_of_the_part_that_wrote_it_down(
    silent: Geolocator, cards: Path, tmp_path: Path
) -> None:
    merged = merge_indexes([silent.index.path.parent, cards / "box"], "both", tmp_path, quiet=True)
    assert merged.manifest.model.location_weight == CARD_WEIGHT
    assert serving_build(tmp_path / "both").is_dir()
