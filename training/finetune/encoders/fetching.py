"""Weight files of other projects: from a path, an installed package or the Hugging Face hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from gair.errors import ModelError


def fetched(source: str, hub_id: str, name: str) -> Path:
    """A file that the user names, else one of the hub.

    Args:
        source: the path, or empty for the hub.
        hub_id: where the authors publish it.
        name: of the file there.

    Raises:
        ModelError: there is no such file, or the hub cannot be reached.
    """
    if source:
        return _file(source)
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(hub_id, name)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(hf_hub_download(hub_id, name, etag_timeout=10))
    except Exception as error:  # which one depends on the hub's client
        raise ModelError(
            f"cannot get {name} of {hub_id} from the Hugging Face hub ({type(error).__name__}): "
            f"check the network, or download https://huggingface.co/{hub_id}/resolve/main/{name} "
            "and pass its path after a colon"
        ) from error


def installed(source: str, package: str, inside: str, *, remedy: str) -> Path:
    """A file that the user names, else one inside an installed package that is not imported.

    Args:
        source: the path, or empty for the package's.
        package: its import name.
        inside: where the file is in it.
        remedy: how to get it.

    Raises:
        ModelError: there is no such file.
    """
    if source:
        return _file(source)
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(folder) / inside).is_file():
            return Path(folder) / inside
    raise ModelError(f"no weights of {package} here: {remedy}, or pass their path after a colon")


def _file(source: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise ModelError(f"no weights at {source!r}: give the path of a checkpoint file")
    return path
