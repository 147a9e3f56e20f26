"""Models on disk and on the hub: find, read strictly, write whole.

A saved model is a folder of three files: ``model.safetensors``, ``config.json`` (the configuration
and what travels with the weights) and ``README.md`` (the model card).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gair.card import model_card
from gair.config import GairConfig, preset
from gair.errors import CheckpointError, ModelError, StorageError
from gair.files import write_whole
from gair.release import (
    RELEASE_FILE,
    RELEASE_ID,
    RELEASE_LICENCE,
    check_shapes,
    convert_release,
    looks_like_release,
    release_config,
)

if TYPE_CHECKING:
    from gair.model import Gair

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"

_HUB_TIMEOUT_S = 10.0
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_pretrained(source: str | Path, *, allow_unknown: bool = False) -> Gair:
    """A model from wherever it is, in evaluation mode, on the CPU.

    Args:
        source: a folder written by ``save_pretrained``; a release checkpoint file (``.pth``) or a
            folder that holds one; a Hugging Face id such as ``PingL/GAIR``; or
            ``untrained:PRESET[:SEED]`` for random weights. Local paths are looked at first.
        allow_unknown: accept a release checkpoint with tensors nobody knows.

    Raises:
        ModelError: there is no such model, or the hub cannot be reached.
        CheckpointError: its tensors are not this architecture's.
    """
    from gair.model import Gair

    text = str(source)
    if text.startswith("untrained:"):
        return _untrained(text)
    path = Path(source)
    if path.is_file():
        return _load_release(path, text, allow_unknown)
    if (path / CONFIG_FILE).is_file() and (path / WEIGHTS_FILE).is_file():
        return _load_folder(path, Gair)
    if (path / RELEASE_FILE).is_file():
        return _load_release(path / RELEASE_FILE, text, allow_unknown)
    if path.is_dir():
        raise ModelError(
            f"{path} holds no model: expected {CONFIG_FILE} with {WEIGHTS_FILE}, or {RELEASE_FILE}"
        )
    if _HUB_ID.fullmatch(text):
        return _load_hub(text, allow_unknown)
    raise ModelError(
        f"no model at {text!r}: give a folder, a checkpoint file, a Hugging Face id such as "
        f"{RELEASE_ID}, or untrained:tiny"
    )


def save_pretrained(model: Gair, folder: str | Path) -> Path:
    """Write weights, config and card; each file appears whole or not at all."""
    from safetensors.torch import save

    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create {target}: {error.strerror}") from error
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    described = {"gair": model.config.to_dict(), "info": dataclasses.asdict(model.info)}
    write_whole(target / WEIGHTS_FILE, save(tensors, metadata={"format": "pt"}))
    write_whole(target / CARD_FILE, model_card(model.config, model.info).encode())
    write_whole(target / CONFIG_FILE, json.dumps(described, indent=2).encode())
    return target


def _untrained(text: str) -> Gair:
    from gair.model import Gair

    _, name, *rest = text.split(":")
    if len(rest) > 1 or (rest and not re.fullmatch(r"[0-9]{1,9}", rest[0])):
        raise ModelError(f"{text!r} is not untrained:PRESET[:SEED], for example untrained:tiny:0")
    return Gair.untrained(name, seed=int(rest[0]) if rest else 0)


def _load_folder(folder: Path, cls: type[Gair]) -> Gair:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from gair.model import ModelInfo

    try:
        described: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
        config = GairConfig.from_dict(described["gair"])
        info = ModelInfo(**described["info"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CONFIG_FILE} is not a GAIR config: {error!r}") from error
    try:
        state = load_file(folder / WEIGHTS_FILE)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read {folder / WEIGHTS_FILE}: {error}") from error
    model = cls.without_weights(config, info)
    _check_names(folder / WEIGHTS_FILE, state, model.state_dict())
    model.load_state_dict(state, assign=True)
    return model


def _load_release(path: Path, source: str, allow_unknown: bool) -> Gair:
    from gair.model import Gair, ModelInfo

    state = read_torch_checkpoint(path)
    if not looks_like_release(state):
        raise CheckpointError(f"{path} has none of the tensors of a GAIR checkpoint")
    config = release_config(state, preset("base"))
    info = ModelInfo("GAIR (released weights)", RELEASE_LICENCE, trained=True, source=source)
    model = Gair.without_weights(config, info)
    converted = convert_release(state, model.state_dict(), allow_unknown=allow_unknown)
    model.load_state_dict(converted, assign=True)
    return model


def read_torch_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of a ``.pth`` file, read without running any code from it."""
    try:
        # Training scripts store their argparse namespace beside the weights; it is plain data.
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(action="ignore"),  # torch comments on odd pickles, then fails
        ):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise CheckpointError(f"cannot read {path} as a torch checkpoint: {reason}") from error
    state = loaded.get("model", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds a {type(state).__name__}, not named tensors")
    return state


def _load_hub(hub_id: str, allow_unknown: bool) -> Gair:
    """A model of the hub: one of ours if it is one, else the release's checkpoint."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    listed = _hub_files(hub_id)
    for names in ((CONFIG_FILE, WEIGHTS_FILE), (RELEASE_FILE,)):
        if listed is not None and not listed.issuperset(names):
            continue
        try:
            paths = [
                Path(hf_hub_download(hub_id, name, local_files_only=listed is None))
                for name in names
            ]
        except LocalEntryNotFoundError:
            continue  # without the hub there is only what was downloaded before
        except (HfHubHTTPError, OSError) as error:
            raise _no_hub(hub_id, type(error).__name__) from error
        if len(names) == 1:
            return _load_release(paths[0], hub_id, allow_unknown)
        return load_pretrained(paths[0].parent)
    if listed is None:
        raise _no_hub(hub_id, "out of reach, and nothing was downloaded before")
    raise ModelError(
        f"{hub_id!r} on the Hugging Face hub holds no GAIR model: expected {CONFIG_FILE} with "
        f"{WEIGHTS_FILE}, or {RELEASE_FILE}"
    )


def _hub_files(hub_id: str) -> set[str] | None:
    """The files of a hub model, asked once and without retries; None if the hub does not answer."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = HfApi().model_info(hub_id, timeout=_HUB_TIMEOUT_S)
    except RepositoryNotFoundError as error:
        raise _no_hub(hub_id, "no such model, or it is private") from error
    except Exception:  # which HTTP library fails differs between releases of the hub's client
        return None
    return {file.rfilename for file in found.siblings or []}


def _no_hub(hub_id: str, reason: str) -> ModelError:
    return ModelError(
        f"cannot get {hub_id!r} from the Hugging Face hub ({reason}): check the name and the "
        f"network, or download its {RELEASE_FILE} and pass the file's path"
    )


def _check_names(path: Path, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    odd = sorted(set(state).symmetric_difference(wanted))
    if odd:
        raise CheckpointError(f"{path} has unknown or missing tensors: {', '.join(odd[:5])}")
    check_shapes(state, wanted, {name: f"{name} of {path}" for name in state})
