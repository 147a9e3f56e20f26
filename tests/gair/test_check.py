"""``python -m gair check``: which variant of a model reproduces published scores."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from release_names import final_norm_shapes, made_up_state, release_shapes
from toy_city import photo, write_city

from gair.check.pairs import PAIRS, PUBLISHED, Pair, compare, comparison_lines, load_pairs
from gair.checkpoints.release import convert_release
from gair.cli import main
from gair.config import preset
from gair.errors import UsageError
from gair.geo import Footprint
from gair.model import Gair
from gair.preprocess import remote_sensing_pixels, street_view_pixels


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three chips and photos in the public layout."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for seed, name in enumerate(PAIRS):
        write_city(folder / f"{name}_rs.tif", side_px=180 + 20 * seed, seed=seed)
        photo(seed).save(folder / f"{name}_sv.jpg")
        footprint = chip_footprint(180 + 20 * seed)
        lon, lat = footprint.lonlat_deg([[0.3, -0.4]])[0]
        rows.append([name, f"{name}_rs.tif", f"{name}_sv.jpg", lon, lat])
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "rs_image", "sv_image", "lon", "lat"], *rows])
    return folder


def chip_footprint(side_px: int) -> Footprint:
    west, north = 699_000.0, 5_712_000.0
    bounds = (west, north - 10 * side_px, west + 10 * side_px, north)
    return Footprint("EPSG:32630", bounds)


@pytest.fixture(scope="module")
def model() -> Gair:
    """A made-up checkpoint that has the final norm."""
    config = dataclasses.replace(preset("tiny"), rs_final_norm=True)
    shapes = release_shapes(config) | final_norm_shapes(config)
    model = Gair(config, Gair.untrained("tiny").info).eval()
    state = made_up_state(shapes)
    stem = "rs_encoder.s2_encoder.transformer.norm_out.weight"
    state[stem] = torch.linspace(-3, 3, config.dim)  # a norm that changes directions
    model.load_state_dict(convert_release(state, model.state_dict()))
    return model


def scores_by_hand(model: Gair, pairs: list[Pair], *, norm: bool) -> np.ndarray:
    """The nine cosines one by one, by the general form of NILI."""
    scores = np.zeros((3, 3))
    with torch.no_grad():
        for i, chip in enumerate(pairs):
            tokens = model.remote_sensing.before_norm(remote_sensing_pixels(chip.dn[None]))
            tokens = model.remote_sensing.norm(tokens) if norm else tokens
            xy = torch.tensor([[[0.3, -0.4]]])
            z = model.localize(tokens, xy, form="general", normalize=False)[0, 0].numpy()
            for j, pair in enumerate(pairs):
                pixels = street_view_pixels([pair.photo])
                s = model.encode_street_view(pixels, normalize=False)[0].numpy()
                scores[i, j] = z @ s / np.linalg.norm(z) / np.linalg.norm(s)
    return scores


@pytest.mark.parametrize("norm", [True, False])
def test_the_variant_that_made_the_scores_is_found(
    model: Gair, pairs_folder: Path, norm: bool
) -> None:
    pairs = load_pairs(pairs_folder)
    truth = scores_by_hand(model, pairs, norm=norm)
    comparisons = {c.variant: c for c in compare(model, pairs, truth)}
    right, wrong = ("with", "without") if norm else ("without", "with")
    assert comparisons[f"{right} the final norm"].difference < 1e-5
    assert not comparisons[f"{wrong} the final norm"].reproduces
    last = comparison_lines(list(comparisons.values()), truth)[-1]
    assert last == f"reproduces the published scores {right} the final norm"


def test_a_model_without_the_norm_has_one_variant(pairs_folder: Path) -> None:
    comparisons = compare(Gair.untrained("tiny"), load_pairs(pairs_folder))
    assert [c.variant for c in comparisons] == ["without the final norm"]
    assert PUBLISHED[0, 0] == 0.8335


def test_the_command_exits_1_for_made_up_weights(
    pairs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "untrained:tiny", "--pairs", str(pairs_folder)]) == 1
    out = capsys.readouterr().out
    assert "0.8335" in out
    assert "does not reproduce the published scores" in out


def test_missing_pairs_are_explained(
    tmp_path: Path, pairs_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "untrained:tiny", "--pairs", str(tmp_path)]) == 2
    assert "has no pairs.csv" in capsys.readouterr().err
    text = (pairs_folder / "pairs.csv").read_text()
    (tmp_path / "pairs.csv").write_text("".join(text.splitlines(keepends=True)[:2]))
    with pytest.raises(UsageError, match="lacks the pairs sacramento, tokyo"):
        load_pairs(tmp_path)


@pytest.mark.shared
def test_the_public_pairs_load(shared_dir: Path) -> None:
    pairs = load_pairs(shared_dir / "data" / "gair_pairs")
    assert [p.name for p in pairs] == list(PAIRS)
    assert pairs[0].dn.shape == (10, 181, 246)
    x, y = pairs[0].footprint.frame_xy([pairs[0].lonlat_deg])[0]
    assert abs(x) < 1
    assert abs(y) < 1
