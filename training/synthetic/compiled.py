"""Compiler of inner loops: numba behind one typed decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from gair.errors import GairError

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Machine code of a function over NumPy arrays, made at the first call and kept on disk.

    The interpreter's lock is released, and arithmetic is never reordered: the same input gives the
    same bytes.

    Raises:
        GairError: numba is not installed.
    """
    try:
        import numba
    except ImportError as error:
        raise GairError(
            "synthetic cities need numba: pip install 'gair-geolocator[synthetic]'"
        ) from error
    return cast(Loop, numba.njit(cache=True, nogil=True, error_model="numpy")(loop))
