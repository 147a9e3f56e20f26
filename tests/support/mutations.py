"""Broken photo files: seeded mutations of small good ones, in headers and bodies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from photo_samples import encode
from PIL import Image

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIF")
HEADER = 64
"""Bytes of a file that say what it is."""


def good_files() -> dict[str, bytes]:
    """One file a kind; nothing here writes HEIF, so that one is an AVIF under its name."""
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>"
    files = {kind: encode(image, kind, exif=exif) for kind in KINDS if kind not in ("HEIF", "GIF")}
    files["GIF"] = encode(image, "GIF", save_all=True, append_images=[image.rotate(90)])
    files["HEIF"] = files["AVIF"].replace(b"ftypavif", b"ftypheic", 1)
    return files


def mutated(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Kind and content of so many broken files, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    files = good_files()
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind, _mutate(files[kind], rng, header_only=bool(number // len(KINDS) % 2))


def _mutate(content: bytes, rng: np.random.Generator, *, header_only: bool) -> bytes:
    """Flip, overwrite, cut, repeat or insert bytes, once or several times."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        reach = min(HEADER, len(data)) if header_only else len(data)
        at = int(rng.integers(0, max(1, reach)))
        size = int(rng.integers(1, 9))
        match rng.integers(0, 6):
            case 0 if data:
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                data[at : at + size] = rng.bytes(size)
            case 2:
                data[at : at + size] = b"\xff" * size  # lengths and counts become huge
            case 3 if not header_only:
                del data[at:]
            case 4:
                data[at:at] = data[at : at + 64]
            case _:
                data[at:at] = rng.bytes(size)
    return bytes(data)
