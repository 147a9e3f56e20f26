"""A model of a few thousand weights, and runs that train it in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tiny_dataset import write_tiny_dataset

from gair.config import GairConfig
from gair.encoders.initial import initial_state
from gair.info import UNTRAINED_LICENCE, ModelInfo
from gair.model import Gair

SMALL = GairConfig(
    dim=16,
    sv_image_px=32,
    sv_width=16,
    sv_depth=1,
    sv_heads=2,
    rs_frame_px=32,
    rs_depth=1,
    rs_heads=2,
    location_frequencies=8,
    location_hidden=16,
)


def small_model(*, seed: int = 0, trained: bool = False) -> Gair:
    info = ModelInfo("small", UNTRAINED_LICENCE, trained=trained, source="a test")
    model = Gair.without_weights(SMALL, info)
    model.load_state_dict(initial_state(model.state_dict(), SMALL, seed), assign=True)
    return model


def write_material(folder: Path) -> None:
    """A model and a data set of 24 + 8 photos to train on."""
    small_model().save_pretrained(folder / "small")
    write_tiny_dataset(
        folder / "data", places=2, photos_per_place=12, footprints_per_place=3, photo_px=(40, 32)
    )


def arguments(material: Path, out: Path, *flags: str) -> list[str]:
    """A command line for a run of a few steps; later flags win."""
    argv = ["--preset", "smoke", "--data", str(material / "data"), "--out", str(out)]
    return [*argv, "--model", str(material / "small"), "--threads", "1", *flags]


def saved_state(run: Path, step: int) -> dict[str, Any]:
    """Everything a checkpoint holds, by a path through its files; the time it took aside."""
    folder = run / "checkpoints" / f"step-{step:06d}"
    state = torch.load(folder / "state.pt", weights_only=True)
    del state["seconds"]
    tensors = {file.name: load_file(file) for file in sorted(folder.glob("*.safetensors"))}
    found: dict[str, Any] = {}
    _flatten("", {**tensors, **state}, found)
    return found


def _flatten(path: str, value: Any, found: dict[str, Any]) -> None:
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _flatten(f"{path}/{key}", item, found)
    else:
        found[path] = value


def assert_same_state(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Bit-identical: the same names, and equal tensors, numbers and text under each."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        if isinstance(value, torch.Tensor):
            assert (value.dtype, value.shape) == (b[name].dtype, b[name].shape), name
            assert value.numpy().tobytes() == b[name].numpy().tobytes(), name  # NaN too
        else:
            assert value == b[name], name
