"""Models on disk and on the hub: find, read strictly, write whole.

A saved model is a folder of three files: ``model.safetensors``, ``config.json`` (the configuration
and what travels with the weights) and ``README.md`` (the model card). A trained one also has
``training.json``, which nothing but people and :func:`convert` reads.
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

from gair.checkpoints.card import model_card, sections_of
from gair.checkpoints.release import (
    RELEASE_FILE,
    RELEASE_ID,
    RELEASE_LICENCE,
    convert_release,
    looks_like_release,
    release_config,
)
from gair.checkpoints.shipped import PREFIX, shipped_folder
from gair.checkpoints.tensors import read_weights, weights_to_bytes
from gair.config import GairConfig, preset
from gair.errors import CheckpointError, ModelError, StorageError
from gair.files import write_whole

if TYPE_CHECKING:
    from gair.model import Gair

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
FACTS_FILE = "training.json"
"""How the weights were trained; :mod:`training.pretraining.export` writes it."""

_HUB_TIMEOUT_S = 10.0
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def load_pretrained(source: str | Path, *, allow_unknown: bool = False) -> Gair:
    """A model from wherever it is, in evaluation mode, on the CPU.

    Args:
        source: a folder written by ``save_pretrained``; a release checkpoint file (``.pth``) or a
            folder that holds one; a Hugging Face id such as ``PingL/GAIR``; ``shipped:NAME`` for a
            model that comes with this package, such as ``shipped:demo``; or
            ``untrained:PRESET[:SEED]`` for random weights. Paths are looked at before the hub.
        allow_unknown: accept a release checkpoint with tensors nobody knows.

    Raises:
        ModelError: there is no such model, or the hub cannot be reached.
        CheckpointError: its tensors are not this architecture's.
    """
    text = str(source)
    if text.startswith("untrained:"):
        return _untrained(text)
    if text.startswith(PREFIX):
        model = _load_folder(shipped_folder(text))
        model.info = dataclasses.replace(model.info, source=text)
        return model
    path = Path(source)
    if path.is_file():
        return _load_release(path, text, allow_unknown)
    if (path / CONFIG_FILE).is_file() and (path / WEIGHTS_FILE).is_file():
        return _load_folder(path)
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
        f"{RELEASE_ID}, shipped:demo, or untrained:tiny"
    )


def save_pretrained(
    model: Gair, folder: str | Path, *, half: bool = False, about: str = ""
) -> Path:
    """Write weights, config and card; each file appears whole or not at all.

    Args:
        model: of any float type.
        folder: made if it is not there.
        half: store weights as float16, except frequencies; see :mod:`gair.checkpoints.tensors`.
        about: Markdown for the end of the card, from a heading ``## ...`` on.

    Raises:
        ModelError: a weight is too large for float16.
    """
    weights = weights_to_bytes(model.state_dict(), half=half)
    card = model_card(model.config, model.info, half=half, about=about)
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot create {target}: {error.strerror}") from error
    described = {"gair": model.config.to_dict(), "info": dataclasses.asdict(model.info)}
    write_whole(target / WEIGHTS_FILE, weights)
    write_whole(target / CARD_FILE, card.encode())
    write_whole(target / CONFIG_FILE, json.dumps(described, indent=2).encode())
    return target


def convert(
    source: str | Path, folder: str | Path, *, half: bool = False, allow_unknown: bool = False
) -> Gair:
    """Load a model and save it as a folder; returns it.

    What a folder says of the training of its weights goes along: the end of its card, and
    ``training.json``.
    """
    model = load_pretrained(source, allow_unknown=allow_unknown)
    text = str(source)
    home = shipped_folder(text) if text.startswith(PREFIX) else Path(source)
    card, facts = (_content(home, name) for name in (CARD_FILE, FACTS_FILE))
    about = sections_of(card.decode(errors="replace"))
    target = save_pretrained(model, folder, half=half, about=about)
    if facts:
        write_whole(target / FACTS_FILE, facts)
    return model


def _content(folder: Path, name: str) -> bytes:
    """Of a file beside a saved model; nothing if it is not there, or if no such model is."""
    ours = (folder / CONFIG_FILE).is_file() and (folder / name).is_file()
    return (folder / name).read_bytes() if ours else b""


def _untrained(text: str) -> Gair:
    from gair.model import Gair

    _, name, *rest = text.split(":")
    if len(rest) > 1 or (rest and not re.fullmatch(r"[0-9]{1,9}", rest[0])):
        raise ModelError(f"{text!r} is not untrained:PRESET[:SEED], for example untrained:tiny:0")
    return Gair.untrained(name, seed=int(rest[0]) if rest else 0)


def _load_folder(folder: Path) -> Gair:
    from gair.model import Gair, ModelInfo

    try:
        described: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
        config = GairConfig.from_dict(described["gair"])
        info = ModelInfo(**described["info"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / CONFIG_FILE} is not a GAIR config: {error!r}") from error
    model = Gair.without_weights(config, info)
    weights = read_weights(folder / WEIGHTS_FILE, model.state_dict())
    model.load_state_dict(weights, assign=True)
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
        f"network; or download its {RELEASE_FILE} from https://huggingface.co/{hub_id} elsewhere, "
        "and give the file's path instead of the name"
    )
