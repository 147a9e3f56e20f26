"""GAIR as an encoder of torchgeo-bench and of rs-embed: the packages, and stand-ins for them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from micro_training import micro_model
from stand_ins import PROVIDERS, standing_in

from gair.bands import GAIR_BANDS
from gair.errors import ModelError
from gair.preprocess import remote_sensing_pixels

RNG = np.random.default_rng(0)


def there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


TRACK = "torchgeo_bench.coordbench.models"
NO_TRACK = "needs a torchgeo-bench with its CoordBench track, on Python 3.12"
NO_RS_EMBED = "needs rs-embed, on Python 3.12"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(micro_model().save_pretrained(tmp_path_factory.mktemp("model")))


def adapter(name: str) -> ModuleType:
    return importlib.import_module(f"gair.adapters.{name}")


@pytest.fixture(params=["stand-in", "installed"])
def torchgeo_bench(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "installed":
        if not there(TRACK):
            pytest.skip(NO_TRACK)
        yield adapter("torchgeo_bench")
        return
    with standing_in("torchgeo_bench"):
        yield adapter("torchgeo_bench")


@pytest.fixture(params=["stand-in", "installed"])
def rs_embed(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "installed":
        if not there("rs_embed.embedders.base"):
            pytest.skip(NO_RS_EMBED)
        yield adapter("rs_embed")
        return
    with standing_in("rs_embed"):
        yield adapter("rs_embed")


def test_places_become_vectors_of_e_in_batches(torchgeo_bench: Any, model: str) -> None:
    encoder = torchgeo_bench.GairLocationEncoder(model=model, batch_size=4)
    base = importlib.import_module(TRACK).LocationEncoder
    assert isinstance(encoder, base)
    assert encoder.name == "gair"
    lon, lat = RNG.uniform(-180, 180, 10), RNG.uniform(-90, 90, 10)
    vectors = encoder.encode(lon, lat, np.full(10, 2020))
    lonlat_deg = torch.tensor(np.stack([lon, lat], axis=1), dtype=torch.float32)
    with torch.no_grad():
        truth = micro_model().location(lonlat_deg).numpy()
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(truth, abs=1e-5)


def embedding(rs_embed: Any, model: str, mode: str, **given: Any) -> Any:
    """As rs-embed calls it, with imagery that was fetched before unless something else is given."""
    request: dict[str, Any] = {
        "spatial": None, "temporal": None, "sensor": None, "backend": "auto", "device": "cpu",
        "input_chw": imagery(), "model_config": {"model": model},
    }  # fmt: skip
    if hasattr(sys.modules["rs_embed.core.specs"], "BBox"):  # the package itself
        specs = importlib.import_module("rs_embed.core.specs")
        request["temporal"] = specs.TemporalSpec.year(2021)
        output: Any = specs.OutputSpec(mode)
    else:
        output = type("Output", (), {"mode": mode, "pooling": given.pop("pooling", "mean")})
    return rs_embed.GairEmbedder().get_embedding(output=output, **{**request, **given})


def imagery() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4000, (len(GAIR_BANDS), 40, 40)).astype(np.float32)


def by_hand(chw: np.ndarray) -> np.ndarray:
    """(D, h, w) z at the middle of each token, one by one."""
    own = micro_model()
    pixels = remote_sensing_pixels(chw.astype(np.uint16)[None], own.config.rs_frame_px)
    with torch.no_grad():
        tokens = own.encode_remote_sensing(pixels)
        height, width = tokens.shape[1:3]
        grid = np.empty((own.config.dim, height, width))
        for row in range(height):
            for column in range(width):
                x, y = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
                z = own.localize(tokens, torch.tensor([[[x, y]]]), form="general")
                grid[:, row, column] = z[0, 0].numpy()
    return grid


def test_a_grid_has_z_at_the_middle_of_each_token(rs_embed: Any, model: str) -> None:
    made = embedding(rs_embed, model, "grid")
    grid = np.asarray(made.data)
    assert grid == pytest.approx(by_hand(imagery()), abs=1e-4)
    assert np.linalg.norm(grid, axis=0) == pytest.approx(1, abs=1e-4)
    assert made.meta["licence"] == micro_model().info.licence
    pooled = embedding(rs_embed, model, "pooled").data
    assert pooled == pytest.approx(grid.mean(axis=(1, 2)), abs=1e-5)
    assert pooled.dtype == np.float32


def test_what_was_fetched_around_a_place_is_cut_off(rs_embed: Any, model: str) -> None:
    whole = by_hand(imagery())
    half = {"roi_window_geo": (0.0, 1.0, 0.0, 0.5)}
    grid = np.asarray(embedding(rs_embed, model, "grid", fetch_meta=half).data)
    assert grid == pytest.approx(whole[:, :, : whole.shape[2] // 2], abs=1e-4)


def test_other_bands_and_shapes_are_refused(rs_embed: Any, model: str) -> None:
    sensor = type("Sensor", (), {"bands": ("B4", "B3", "B2")})
    with pytest.raises(ModelError, match="GAIR takes the bands B2, .*; the sensor has B4, B3, B2"):
        embedding(rs_embed, model, "grid", sensor=sensor)
    with pytest.raises(ModelError, match=r"imagery has shape \(3, 8, 8\); expected \(10, H, W\)"):
        embedding(rs_embed, model, "grid", input_chw=np.zeros((3, 8, 8)))


def test_imagery_is_fetched_as_the_embedder_asks(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def provider(**request: Any) -> np.ndarray:
        asked.append(request)
        return imagery()

    monkeypatch.setitem(PROVIDERS, "auto", provider)
    with standing_in("rs_embed"):
        made = embedding(adapter("rs_embed"), model, "grid", input_chw=None, spatial="here")
    (request,) = asked
    assert request["spatial"] == "here"
    assert request["sensor"].bands == GAIR_BANDS
    assert "HARMONIZED" in request["sensor"].collection
    assert np.asarray(made.data) == pytest.approx(by_hand(imagery()), abs=1e-4)


def test_rs_embed_knows_the_model_by_its_name(rs_embed: Any) -> None:
    assert rs_embed.GairEmbedder.model_name == "gair"
    told = rs_embed.GairEmbedder().describe()
    assert told["inputs"]["bands"] == list(GAIR_BANDS)
    assert {"type", "backend", "inputs", "output", "defaults"} <= set(told)


@pytest.mark.parametrize(
    ("name", "module"),
    [("torchgeo_bench", TRACK), ("rs_embed", "rs_embed.embedders.base")],
)
def test_without_the_package_one_line_says_how_to_get_it(name: str, module: str) -> None:
    if there(module):
        pytest.skip(f"{name} is installed")
    sys.modules.pop(f"gair.adapters.{name}", None)
    with pytest.raises(ModelError, match="is not installed: it needs Python 3.12"):
        adapter(name)


def test_the_stand_ins_leave_nothing_behind() -> None:
    before = dict(sys.modules)
    with standing_in("rs_embed"):
        adapter("rs_embed")
        assert sys.modules["rs_embed.core.specs"].__spec__ is None
    of_it = {n for n in sys.modules if n.startswith("rs_embed") or n == "gair.adapters.rs_embed"}
    assert all(sys.modules[name] is before.get(name) for name in of_it)
