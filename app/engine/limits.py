"""Limits of a server: sizes, waiting, time. Everything beyond is refused, in words."""

from __future__ import annotations

from dataclasses import dataclass

from gair.errors import UsageError
from gair.fields import option

KEPT_SECONDS = 10 * 60
"""How long a photo that was dropped on the page stays in memory, to be asked about again."""

MOST_PLACES = 100
"""Most places that one question may ask for."""

MOST_PHOTOS = 8
"""Most photos of one place in one question."""


@dataclass(frozen=True)
class Limits:
    """Limits of one server. The defaults suit two cores and 4 GB."""

    max_upload_mb: float = option(20.0, metavar="N")
    """Largest photo file, megabytes of 10^6 bytes; a request may hold eight."""
    max_waiting: int = 32
    """Questions in the server at once, those being answered counted; more are refused at once."""
    timeout_s: float = option(60.0, metavar="N")
    """Seconds that a question may take, waiting included."""
    workers: int = 2
    """Photos decoded and answers ranked or drawn at a time."""
    batch_photos: int = 16
    """Most photos in one encoder pass; 1 for one after the other."""
    max_pixels: int = option(100_000_000, flags=None)
    """Most pixels of a photo, by its header."""
    question_pixels: int = option(200_000_000, flags=None)
    """Most pixels of all photos of one question together."""
    decoding_mb: float = option(700.0, flags=None)
    """Memory for photos while they are decoded, of all questions together."""
    kept_mb: float = option(128.0, flags=None)
    """Memory for uploads that are kept for a while; the oldest go first."""
    scored_mb: float = option(32.0, flags=None)
    """Memory for the scores of photos that were asked about last."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("max_upload_mb", 0.001, 1000),
            ("max_waiting", 1, 10_000),
            ("timeout_s", 0.1, 3600),
            ("workers", 1, 256),
            ("batch_photos", 1, 256),
        ):
            value = getattr(self, name)
            if not least <= value <= most:  # NaN fails, too
                raise UsageError(f"`{name}` {value:g} must be from {least:g} to {most:g}")

    @property
    def max_upload_bytes(self) -> int:
        """Largest photo file."""
        return int(self.max_upload_mb * 1e6)

    @property
    def max_request_bytes(self) -> int:
        """Largest body of a request: all photos of a question, and a little around them."""
        return MOST_PHOTOS * self.max_upload_bytes + 1_000_000
