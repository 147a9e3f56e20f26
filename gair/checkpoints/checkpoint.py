"""Saved models on disk and on the hub: found, read strictly, written whole.

A saved model is a folder of three files: ``model.safetensors``, ``config.json`` (the configuration
and what travels with the weights) and ``README.md`` (the model card). A trained one also has
``training.json`` with facts for people, of which one is read: ``location_weight``.

Weights are float32 or float16 on disk, always float32 in memory. Half the size costs at most 1 part
in 2048 of each weight. Frequencies of the location encoder stay float32 all the same: at sigma 256
float16 would move them by up to 0.25, and so a phase by more than a radian, which turns the vectors
of places (to a cosine of 0.97 with what they were).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gair.checkpoints.card import model_card
from gair.checkpoints.hub import NO_WISHES, HubAccess, model_files
from gair.checkpoints.release import (
    RELEASE_FILE,
    RELEASE_ID,
    RELEASE_LICENCE,
    check_shapes,
    convert_release,
    looks_like_release,
    release_config,
)
from gair.config import GairConfig, preset
from gair.errors import CheckpointError, ModelError
from gair.files import check_is_file, make_folder, read_file, write_whole
from gair.info import ModelInfo
from gair.inputs.documents import json_of
from gair.inputs.field_checks import check_fields, shown

SHIPPED = "shipped:"
"""Begins the names of models that come with this package, folders under ``gair/data``."""
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
FACTS_FILE = "training.json"
"""How the weights were trained; :mod:`training.pretraining.export` writes it."""
LOCATION_WEIGHT = "location_weight"
"""The fact that travels into indexes: :attr:`gair.info.ModelInfo.location_weight`."""

_MOST_FACTS = 1 << 20
"""Bytes of a JSON file beside the weights."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
EXACT = (".frequencies", ".input_mean", ".input_sd")
"""How the names of tensors end that are never rounded."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved model: what is known of it before its weights are read."""

    config: GairConfig
    info: ModelInfo
    tensors: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    """Reads the weights for a state dict of these names and shapes; refuses any others."""


def open_checkpoint(
    source: str | Path, *, allow_unknown: bool = False, access: HubAccess = NO_WISHES
) -> Checkpoint:
    """Find a saved model: see :meth:`gair.model.Gair.from_pretrained` for what ``source`` may be.

    Args:
        source: where it is.
        allow_unknown: accept a release checkpoint with tensors nobody knows.
        access: how the hub is asked.

    Raises:
        ModelError: there is no such model, or the hub cannot be reached.
        CheckpointError: it has none of the tensors of a GAIR checkpoint.
    """
    text = str(source)
    if access.revision is not None and not _is_on_hub(source):
        raise ModelError(
            f"`revision` {access.revision!r} is of a model on the hub, and {text!r} is none: leave "
            "it out"
        )
    if text.startswith(SHIPPED):
        checkpoint = _open_folder(shipped_folder(text))
        return replace(checkpoint, info=replace(checkpoint.info, source=text))
    path = Path(source)
    if path.is_file():
        return _open_release(path, text, allow_unknown)
    if (path / CONFIG_FILE).is_file() and (path / WEIGHTS_FILE).is_file():
        return _open_folder(path)
    if (path / RELEASE_FILE).is_file():
        return _open_release(path / RELEASE_FILE, text, allow_unknown)
    if path.is_dir():
        raise ModelError(
            f"{path} holds no model: expected {CONFIG_FILE} with {WEIGHTS_FILE}, or {RELEASE_FILE}"
        )
    if _HUB_ID.fullmatch(text):
        return _open_hub(text, access, allow_unknown)
    raise ModelError(
        f"no model at {text!r}: give a folder, a checkpoint file, a Hugging Face id such as "
        f"{RELEASE_ID}, shipped:demo, or untrained:tiny"
    )


def _is_on_hub(source: str | Path) -> bool:
    """Whether a model is looked for on the hub: paths come first."""
    return not Path(source).exists() and _HUB_ID.fullmatch(str(source)) is not None


def write_folder(
    folder: str | Path,
    config: GairConfig,
    info: ModelInfo,
    state: Mapping[str, Tensor],
    half: bool,
    about: str,
) -> Path:
    """Write a saved model: see :meth:`gair.model.Gair.save_pretrained`; returns its folder."""
    weights = weights_to_bytes(state, half=half)
    card = model_card(config, info, half=half, about=about)
    target = Path(folder)
    make_folder(target)
    about_it = dataclasses.asdict(info)
    facts = {LOCATION_WEIGHT: about_it.pop(LOCATION_WEIGHT)}
    described = {"gair": config.to_dict(), "info": about_it}
    (target / FACTS_FILE).unlink(missing_ok=True)  # those of other weights that were there
    write_whole(target / WEIGHTS_FILE, weights)
    write_whole(target / CARD_FILE, card.encode())
    if info.location_weight is not None:
        write_whole(target / FACTS_FILE, json.dumps(facts).encode())
    write_whole(target / CONFIG_FILE, json.dumps(described, indent=2).encode())
    return target


def shipped_names() -> list[str]:
    """The models that come with this package; a checkout in which none was trained has none."""
    return sorted(file.parent.name for file in _shipped_home().glob("*/config.json"))


def shipped_folder(source: str) -> Path:
    """The folder of ``shipped:NAME``, as :func:`write_folder` wrote it.

    Raises:
        ModelError: there is none of that name.
    """
    name = source.removeprefix(SHIPPED)
    names = shipped_names()
    if name not in names:
        there = ", ".join(SHIPPED + shipped for shipped in names) or "none in this installation"
        raise ModelError(f"no model {source!r} was shipped; there are: {there}")
    return _shipped_home() / name


def _shipped_home() -> Path:
    return Path(str(resources.files("gair"))) / "data"


def _open_folder(folder: Path) -> Checkpoint:
    file = folder / CONFIG_FILE
    described = _read_facts(file)
    if sorted(described) != ["gair", "info"]:
        raise ModelError(
            f"{file} is not a GAIR config: its members are {shown(sorted(described))}; gair and "
            "info are needed: copy the folder again"
        )
    try:
        config = GairConfig.from_dict(described["gair"])
        info = _info(described["info"])
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    info = replace(info, location_weight=_location_weight(folder / FACTS_FILE))
    return Checkpoint(config, info, partial(read_weights, folder / WEIGHTS_FILE))


def _info(values: object) -> ModelInfo:
    """What :func:`write_folder` writes of it; anything else is refused by name."""
    names = {field.name for field in dataclasses.fields(ModelInfo)} - {LOCATION_WEIGHT}
    if not isinstance(values, dict):
        raise ModelError(f"info is {shown(values)}: it must be an object with fields")
    if odd := sorted(names.symmetric_difference(values)):
        raise ModelError(f"info has unknown or missing fields: {', '.join(odd[:5])}")
    info = ModelInfo(**values)
    check_fields(info, ModelError, where="info: ")
    return info


def _read_facts(file: Path) -> dict[str, Any]:
    """A JSON object of a model's folder."""
    try:
        facts = json_of(read_file(file, most_bytes=_MOST_FACTS))
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelError(f"{file} is no JSON: {error}; copy it again") from error
    if not isinstance(facts, dict):
        raise ModelError(f"{file} is no JSON object: copy it again")
    return facts


def _location_weight(file: Path) -> float | None:
    """What the facts of a model say of it; None where there are none, or they say nothing."""
    if not file.exists():
        return None
    facts = ModelInfo("", "", trained=False, source="")
    facts = replace(facts, location_weight=_read_facts(file).get(LOCATION_WEIGHT))
    check_fields(facts, ModelError, where=f"{file}: ")
    return None if facts.location_weight is None else float(facts.location_weight)


def _open_release(path: Path, source: str, allow_unknown: bool) -> Checkpoint:
    state = read_torch_checkpoint(path)
    if not looks_like_release(state):
        raise CheckpointError(f"{path} has none of the tensors of a GAIR checkpoint")
    config = release_config(state, preset("base"))
    info = ModelInfo("GAIR (released weights)", RELEASE_LICENCE, trained=True, source=source)
    tensors = partial(convert_release, state, allow_unknown=allow_unknown)
    return Checkpoint(config, info, tensors)


def read_torch_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of a ``.pth`` file, read without running any code from it."""
    try:
        check_is_file(path)
        # Training scripts store their argparse namespace beside the weights; it is plain data.
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(action="ignore"),  # torch comments on odd pickles, then fails
        ):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(
            f"cannot read {path} as a torch checkpoint: {why_not_loaded(error)}"
        ) from error
    state = loaded.get("model", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds a {type(state).__name__}, not named tensors")
    unnamed = [name for name in state if not isinstance(name, str)]
    if unnamed:
        raise CheckpointError(
            f"{path} has {shown(unnamed[0])} where the name of a tensor is needed: save a state "
            "dict, whose keys are names"
        )
    return state


def why_not_loaded(error: Exception) -> str:
    """Why torch loads no file, in a line and without its advice to run code from the file."""
    if isinstance(error, OSError):
        return error.strerror or repr(error)
    text = str(error)
    if code := re.search(r"GLOBAL ['`]?([\w.]+)", text):
        return f"it needs the Python code of {code[1]}, and no code is run: save named tensors only"
    if "weights_only" in text or "Weights only" in text:
        return "it is damaged, or holds more than named tensors: save a state dict"
    lines = text.strip().splitlines()
    return lines[0] if lines else repr(error)


def _open_hub(hub_id: str, access: HubAccess, allow_unknown: bool) -> Checkpoint:
    """A model of the hub: one of ours if it is one, else the release's checkpoint."""
    choices = ((CONFIG_FILE, WEIGHTS_FILE), (RELEASE_FILE,))
    paths = model_files(hub_id, choices, (FACTS_FILE,), access)
    if len(paths) == 1:
        return _open_release(paths[0], hub_id, allow_unknown)
    return _open_folder(paths[0].parent)


def weights_to_bytes(state: Mapping[str, Tensor], *, half: bool = False) -> bytes:
    """A state dict of any float types as the bytes of a safetensors file.

    Args:
        state: the model's.
        half: float16 where it does, instead of float32.

    Raises:
        ModelError: a weight is too large for float16; its tensor is named.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().float() for name, tensor in state.items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    return save({name: t.contiguous() for name, t in tensors.items()}, metadata={"format": "pt"})


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A weight file as float32, the same values at each reading.

    Args:
        path: written by :func:`weights_to_bytes`.
        wanted: the model's state dict, for names and shapes.

    Raises:
        CheckpointError: the file cannot be read, or its tensors are not the model's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        check_is_file(path)
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    odd = sorted(set(state).symmetric_difference(wanted))
    if odd:
        raise CheckpointError(f"{path} has unknown or missing tensors: {', '.join(odd[:5])}")
    check_shapes(state, wanted, {name: f"{name} of {path}" for name in state})
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float32, torch.float16):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"tensor {name} of {path} is {kind}; expected float32 or float16: write the file "
                "again with save_pretrained, which converts"
            )
    return {name: tensor.float() for name, tensor in state.items()}


def _halved(name: str, tensor: Tensor) -> Tensor:
    if name.endswith(EXACT):
        return tensor
    halved = tensor.half()
    lost = halved.isinf() & tensor.isfinite()
    if bool(lost.any()):
        raise ModelError(
            f"tensor {name} holds {float(tensor[lost][0]):g}, and float16 ends at 65504: save the "
            "model without `half`"
        )
    return halved
