"""Facts that travel with the weights of a model into indexes and answers; versions of libraries."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from gair.inputs.field_checks import LINE, Range

PACKAGE = "gair-geolocator"
UNTRAINED_LICENCE = "Apache-2.0 (random weights)"


@dataclass(frozen=True)
class ModelInfo:
    """What travels with the weights into indexes and answers."""

    name: LINE
    """Short name for people."""
    licence: LINE
    """Licence of the weights, to be shown wherever their results are shown."""
    trained: bool
    """False for random weights: every result is then meaningless and must say so."""
    source: LINE
    """Where the weights came from."""
    location_weight: Annotated[float, Range(0, 1)] | None = None
    """Best weight of the location's cosine in a search, 0 to 1, where the imagery's has 1. None
    where that was not measured."""


def package_version() -> str:
    """The version of this package; "unknown" where it is not installed."""
    return library_versions([PACKAGE]).get(PACKAGE, "unknown")


def versions_said() -> str:
    """This package's version and those that reports of faults should name, for people."""
    others = library_versions(("torch", "faiss-cpu", "faiss-gpu", "pillow"))
    told = [f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in others.items())]
    return f"{PACKAGE} {package_version()} ({', '.join(told)})"


def import_problem(error: ImportError, module: str, absent: str) -> str:
    """Why a library cannot be used, for people: it is not there, or it is and does not load.

    Args:
        error: what importing it raised.
        module: its name in Python.
        absent: what to say where it is not installed.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == module:
        return absent
    reason = " ".join(str(error).split())
    return (
        f"{module} is installed but cannot be loaded ({reason}): install it again, or what it needs"
    )


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of some packages that are installed."""
    versions = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
