"""Compiler of inner loops: numba behind one typed decorator."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from gair.errors import GairError
from gair.info import import_problem

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Machine code of a function over NumPy arrays, made at the first call and kept on disk.

    The interpreter's lock is released, and arithmetic is never reordered: the same input gives the
    same bytes.

    Raises:
        GairError: numba is not installed.
    """
    return _compile(loop, counted=True)


def lean(loop: Loop) -> Loop:
    """The same for inner loops that make no arrays of their own, only read and write given ones.

    Those need not count who holds an array, which costs more than what they compute.

    Raises:
        GairError: numba is not installed.
    """
    return _compile(loop, counted=False)


def inlined(loop: Loop) -> Loop:
    """The same for what inner loops ask at every step: its code is put where it is called.

    Raises:
        GairError: numba is not installed.
    """
    return _compile(loop, counted=False, inline=True)


def _compile(loop: Loop, *, counted: bool, inline: bool = False) -> Loop:
    try:
        import numba
    except ImportError as error:
        absent = "synthetic cities need numba: pip install 'gair-geolocator[synthetic]'"
        raise GairError(import_problem(error, "numba", absent)) from error
    options: dict[str, Any] = {"_nrt": counted, "forceinline": inline}
    made = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(loop)
    # numba looks at the loop's own file only, but its code holds that of others, too.
    cast(Any, made)._cache._cache_file._source_stamp = _sources()
    return cast(Loop, made)


@functools.cache
def _sources() -> str:
    """What tells one state of this package's source files from another."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
