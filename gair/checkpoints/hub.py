"""Hugging Face hub as a place of models: their files fetched, and folders of them pushed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.errors import ModelError

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class HubAccess:
    """How the hub is asked for a model."""

    revision: str | None = None
    """A branch, tag or commit; its main branch unless given."""
    token: str | None = None
    """Who asks; what the hub's own tools know unless given."""
    cache_dir: str | Path | None = None
    """Where downloads are kept; where the hub's own tools keep them unless given."""


NO_WISHES = HubAccess()


def model_files(
    hub_id: str,
    choices: Sequence[tuple[str, ...]],
    optional: Sequence[str],
    access: HubAccess,
) -> list[Path]:
    """Files of a model, fetched unless they were before; all of one revision.

    Args:
        hub_id: ``OWNER/NAME``.
        choices: names of files; the first choice of which the model has all is taken.
        optional: further ones, beside a choice of several files, which it may lack.
        access: how the hub is asked.

    Raises:
        ModelError: it has none of the choices, there is no such model or revision, or the hub does
            not answer and nothing was fetched before.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    listed, commit = _listed(hub_id, access, choices[-1][0])
    words: dict[str, Any] = {
        # Of a moving branch all files are of the commit that it is now.
        "revision": commit or access.revision,
        "token": access.token,
        "cache_dir": access.cache_dir,
        "local_files_only": listed is None,
    }
    for names in choices:
        if listed is not None and not listed.issuperset(names):
            continue
        try:
            paths = [Path(hf_hub_download(hub_id, name, **words)) for name in names]
        except LocalEntryNotFoundError as error:
            if listed is not None:
                raise _no_hub(hub_id, "it stopped answering", choices[-1][0]) from error
            continue  # without the hub there is only what was downloaded before
        except (HfHubHTTPError, OSError) as error:
            raise _no_hub(hub_id, type(error).__name__, choices[-1][0]) from error
        for name in optional if len(names) > 1 else ():
            if listed is None or name in listed:
                with contextlib.suppress(LocalEntryNotFoundError):
                    hf_hub_download(hub_id, name, **words)
        return paths
    if listed is None:
        raise _no_hub(hub_id, "out of reach, and nothing was downloaded before", choices[-1][0])
    expected = ", or ".join(" with ".join(names) for names in choices)
    raise ModelError(f"{hub_id!r} on the Hugging Face hub holds no GAIR model: expected {expected}")


def _listed(hub_id: str, access: HubAccess, file: str) -> tuple[set[str] | None, str | None]:
    """Files and commit of a hub model, asked once and without retries; None where none answers.

    ``file`` is what may be downloaded elsewhere instead.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        api = HfApi(token=access.token)
        listing = api.model_info(hub_id, revision=access.revision, timeout=_TIMEOUT_S)
    except RevisionNotFoundError as error:
        raise _no_hub(hub_id, f"no revision {access.revision!r}", file) from error
    except RepositoryNotFoundError as error:
        raise _no_hub(hub_id, "no such model, or it is private", file) from error
    except Exception:  # which HTTP library fails differs between releases of the hub's client
        return None, None
    # Downloads of the main branch are found again by that name when the hub does not answer.
    commit = None if access.revision is None else listing.sha
    return {file.rfilename for file in listing.siblings or []}, commit


def _no_hub(hub_id: str, reason: str, file: str) -> ModelError:
    return ModelError(
        f"cannot get {hub_id!r} from the Hugging Face hub ({reason}): check the name and the "
        f"network; or download its {file} from https://huggingface.co/{hub_id} elsewhere, "
        "and give the file's path instead of the name"
    )


def push_folder(
    folder: Path,
    hub_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    private: bool = False,
    message: str,
) -> str:
    """Push a saved model as one commit; the repository is made if it is not there.

    Args:
        folder: of the model.
        hub_id: ``OWNER/NAME``.
        revision: a branch that is there; the main one unless given.
        token: who pushes; what the hub's own tools know unless given.
        private: whether a repository that is made is private.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        ModelError: the hub refused, or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(token=token)
    files = sorted(file for file in folder.iterdir() if file.is_file())
    operations = [CommitOperationAdd(file.name, str(file)) for file in files]
    try:
        api.create_repo(hub_id, private=private, exist_ok=True)
        made = api.create_commit(hub_id, operations, commit_message=message, revision=revision)
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"cannot push to {hub_id!r} on the Hugging Face hub ({type(error).__name__}: "
            f"{reason}): check the name, the network, and who you are (hf auth login, or HF_TOKEN)"
        ) from error
    return str(made.commit_url)
