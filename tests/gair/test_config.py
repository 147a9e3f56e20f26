"""Configurations of saved models: each field made wrong, and one clear refusal for each."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from item_mutations import mutations
from tiny_run import small_model

from gair.checkpoints.checkpoint import open_checkpoint
from gair.config import PRESETS, GairConfig
from gair.errors import ModelError
from gair.model import Gair

HUGE = (10**9, 10**400, -(10**400), 1e308, -math.inf, math.inf, 2**31, "9" * 5000)
"""What no field may hold, whatever its type."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model().save_pretrained(tmp_path_factory.mktemp("model"))


def numbers_in(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each number of a configuration, with what to put it in place of."""
    for name, value in config.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value
        elif isinstance(value, list):
            yield name, value


def written(folder: Path, described: object, target: Path) -> Path:
    target.mkdir(exist_ok=True)
    if not (target / "model.safetensors").exists():
        (target / "model.safetensors").hardlink_to(folder / "model.safetensors")
    (target / "config.json").write_text(json.dumps(described))
    return target


@pytest.mark.timeout(60)
def test_every_odd_member_of_a_config_is_refused_or_stands_for_the_same_model(
    saved: Path, tmp_path: Path
) -> None:
    """Of wrong types, signs, shapes, names; missing, nested, not finite: no traceback, no hang."""
    described = json.loads((saved / "config.json").read_text())
    described["gair"] |= {"stem": "patch", "inr_hidden": []}  # those that may be left out, too
    refused: list[str] = []
    accepted = 0
    for path, odd, changed in mutations(described):
        try:
            folder = written(saved, changed, tmp_path / "m")
            opened = open_checkpoint(folder)
            if path[0] == "gair":
                Gair.from_pretrained(folder)
        except ModelError as error:
            refused.append(str(error))
        else:  # texts for people may be any; some numbers are possible, and shape no tensor
            accepted += 1
            told = path[0] == "info" or path[-1] in ("rs_final_norm", "inr_hidden", "stem")
            free = path[-1] in ("sv_norm_eps", "footprint_mercator_m", "temperature")
            assert told or free, (path, odd)
            assert opened.config.dim == 16
    assert len(refused) > 10 * accepted > 0
    assert max(map(len, refused)) < 600
    assert all("config.json" in line or "model.safetensors" in line for line in refused)


@pytest.mark.parametrize("preset", PRESETS)
def test_numbers_that_no_field_may_hold_are_refused_by_the_fields_name(preset: str) -> None:
    config = {**PRESETS["demo"].to_dict(), **PRESETS[preset].to_dict()}
    checked = 0
    for name, value in numbers_in(copy.deepcopy(json.loads(json.dumps(config)))):
        for huge in (*HUGE, -1, math.nan, True):
            odd = [huge, *value[1:]] if isinstance(value, list) else huge
            with pytest.raises(ModelError, match=name):
                GairConfig.from_dict({**config, name: odd})
            checked += 1
    assert checked > 200


def test_sizes_that_are_possible_each_by_itself_may_be_too_much_together() -> None:
    """The biases of attention are computed as the model is made: 64 GB of them here."""
    with pytest.raises(ModelError, match="rs_frame_px is 1024 .* 128 x 128 tokens are too many"):
        GairConfig(rs_frame_px=1024)
    with pytest.raises(ModelError, match="name bands of Sentinel-2, each once"):
        GairConfig(rs_bands=("B2", "B2"))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"gair": ' * 50_000, "9" * 5000, '{"gair": 1e999}']
)
def test_a_config_that_no_parser_bears_is_refused(saved: Path, tmp_path: Path, text: str) -> None:
    written(saved, {}, tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        open_checkpoint(tmp_path / "m")
