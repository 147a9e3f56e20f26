"""HEIC and HEIF files, which phones write: read through pillow-heif, the extra ``heif``."""

from __future__ import annotations

import functools

from PIL import Image

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
INSTALL = "pip install 'gair-geolocator[heif]'"


def is_heif(start: bytes) -> bool:
    """Whether the first 12 bytes of a file are those of HEIC or HEIF (ISO 23008-12)."""
    return start[4:8] == b"ftyp" and start[8:12] in BRANDS


@functools.cache
def can_read_heif() -> bool:
    """Whether such files can be read, once this was asked; Pillow then knows their format."""
    if "HEIF" in Image.OPEN:  # the host program has seen to it
        return True
    try:
        import pillow_heif
    except ImportError:  # also where its library does not load
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True
