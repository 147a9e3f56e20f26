"""Decoders of photos say nothing on standard error by themselves.

libtiff, and the JPEG decoder inside it, print a line of their own for each thing that is odd about
a file, beside the error that Pillow raises; so does Pillow, where no program set up logging.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import logging
from pathlib import Path

import PIL


@functools.cache
def quiet_decoders() -> None:
    """Take the decoders' own words away, once for the process."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    package = Path(PIL.__file__).parent
    # As wheels bring it on Linux, on macOS; else the one of the system.
    bundled = [*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")]
    libraries = [str(path) for path in bundled] or [ctypes.util.find_library("tiff") or "none"]
    for library in libraries:
        with contextlib.suppress(OSError, AttributeError):
            tiff = ctypes.CDLL(library)  # which is loaded already: the very same
            for handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                tiff[handler].restype = ctypes.c_void_p
                tiff[handler](None)
