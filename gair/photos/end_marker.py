"""End markers of JPEG files: one that is missing is put back where nothing else is.

A file that was cut off also lacks its marker, and libjpeg fills what is missing with grey. Whether
all the picture is there is told by decoding it with different bytes behind it: a decoder that still
needs some reads those, and the pictures differ.
"""

from __future__ import annotations

import hashlib
import io
import random
import struct
from collections.abc import Iterator

from PIL import Image

END = b"\xff\xd9"
_DRAWS = 12
"""Of bytes that are put behind a picture: a last block that lacks a bit looks right by every other
one."""
_PADDING_BYTES = 256
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _RESTARTS = 0xDA, 0xDD


def with_end_marker(content: bytes) -> bytes | None:
    """A JPEG file with the end marker that it lacks; None where more is missing than that.

    Args:
        content: of the file.
    """
    if not content.startswith(b"\xff\xd8") or content.endswith(END):
        return None
    body = content[:-1] if content.endswith(b"\xff") else content  # half of the marker
    try:
        if not _all_scans_begun(body):
            return None
        picture = _picture(body + END)
        whole = all(_picture(body + padding + END) == picture for padding in _paddings())
    except (struct.error, ArithmeticError, LookupError, OSError, SyntaxError, ValueError):
        return None
    return body + END if whole else None


def _paddings() -> Iterator[bytes]:
    draw = random.Random(0)
    for _ in range(_DRAWS):
        yield bytes(draw.randrange(0xFF) for _ in range(_PADDING_BYTES))  # no marker among them


def _picture(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        return hashlib.blake2b(image.tobytes()).digest()


def _all_scans_begun(content: bytes) -> bool:
    """Whether headers of scans for all there is to each component are there, and all restarts.

    A progressive file has a dozen scans, and one that is not there changes no other. ITU-T T.81,
    B.2: SOF, SOS, DRI.
    """
    frame: _Frame | None = None
    interval = restarts = restarts_needed = 0
    at = 2
    while at < len(content):
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2
        if marker == END[1]:  # the end is there, and more behind it
            return False
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", content[at : at + 2])
        segment = content[at + 2 : at + length]
        if len(segment) != length - 2:
            return False
        at += length
        if marker in _FRAMES:
            frame = _Frame(segment)
        elif marker == _RESTARTS:
            (interval,) = struct.unpack(">H", segment[:2])
        elif marker == _SCAN and frame is not None:
            units = frame.begin(segment)
            restarts_needed = (units - 1) // interval if interval else 0
            at, restarts = _end_of_scan(content, at)
    return frame is not None and not any(frame.lacking.values()) and restarts == restarts_needed


class _Frame:
    """The components of a picture, and what of them no scan has held so far."""

    def __init__(self, segment: bytes) -> None:
        size: tuple[int, int, int] = struct.unpack(">HHB", segment[1:6])
        self.height, self.width, count = size
        parts = [segment[6 + 3 * n : 9 + 3 * n] for n in range(count)]
        self.sampling = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts}
        self.lacking = {part[0]: set(range(64)) for part in parts}
        """Coefficients of each component without their last bit."""

    def begin(self, segment: bytes) -> int:
        """Note a scan; returns how many units it codes."""
        components = segment[1 : 1 + 2 * segment[0] : 2]
        first, last, bits = segment[-3:]
        if not bits & 0x0F:
            for component in components:
                self.lacking[component] -= set(range(first, last + 1))
        across, down = (max(pair[axis] for pair in self.sampling.values()) for axis in (0, 1))
        unit_px = (8 * across, 8 * down)
        if len(components) == 1:  # not interleaved: its own blocks
            own = self.sampling[components[0]]
            unit_px = (8 * across // own[0], 8 * down // own[1])
        return -(-self.width // unit_px[0]) * -(-self.height // unit_px[1])


def _end_of_scan(content: bytes, at: int) -> tuple[int, int]:
    """Where the next marker after coded data stands, or the end; and the restarts passed."""
    restarts = 0
    while (at := content.find(b"\xff", at)) >= 0:
        following = content[at + 1] if at + 1 < len(content) else 0
        if following != 0 and not 0xD0 <= following <= 0xD7:
            return at, restarts
        restarts += following != 0
        at += 2
    return len(content), restarts
