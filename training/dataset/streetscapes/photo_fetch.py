"""One photo from its provider to the bytes a data set keeps, or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gair.errors import DownloadError, PhotoError, UsageError
from gair.geo import haversine_m
from gair.photos.photo import Photo, open_photo
from indexer.photos.listing import BROKEN
from training.dataset.pack.photo_bytes import kept_bytes
from training.dataset.streetscapes.candidates import key_of
from training.dataset.streetscapes.journal import Outcome, keep_photo
from training.dataset.streetscapes.providers import PhotoFacts, Provider
from training.dataset.streetscapes.quality import LEAST_SHARPNESS, difference_hash, sharpness
from training.dataset.streetscapes.selection import PANORAMA, TINY
from training.dataset.streetscapes.web import Web

GONE = "gone from its source"
MOVED = "elsewhere, says its source"
BLURRED = "blurred"

MOVED_M = 1000.0
"""Further from its table's place than this, a photo's place is in doubt."""
_ADDRESSES = 4  # times that a photo's address is asked for, as they expire


@dataclass(frozen=True)
class FetchOptions:
    """How photos are fetched, and which are kept."""

    concurrency: int = 16
    """Photos on their way at a time."""
    max_px: int = 1024
    """Longest side of what is kept; larger photos are shrunk."""
    min_px: int = 480
    """Least length of a photo's longer side."""
    least_sharpness: float = LEAST_SHARPNESS
    """See :mod:`.quality`; 0 keeps all."""
    panoramas: bool = False
    """Whether photos are kept that look all around."""

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= 256:
            raise UsageError(f"--concurrency {self.concurrency} is not in 1..256")
        if self.least_sharpness < 0:
            raise UsageError(f"--least-sharpness {self.least_sharpness:g} is below 0")


@dataclass(frozen=True)
class Wanted:
    """A photo that was chosen."""

    source: str
    image_id: str
    lonlat_deg: tuple[float, float]
    heading_deg: float | None
    captured_at: str | None

    @property
    def key(self) -> str:
        """What it is called here."""
        return key_of(self.source, self.image_id)


class PhotoFetcher:
    """Fetches photos; threads share it."""

    def __init__(
        self, web: Web, providers: dict[str, Provider], folder: Path, options: FetchOptions
    ) -> None:
        self._web = web
        self._providers = providers
        self._folder = folder
        self._options = options

    def fetch(self, wanted: Wanted) -> Outcome:
        """Get a photo and keep its file if it is good enough.

        Raises:
            DownloadError: it cannot be had now, but perhaps later.
            StorageError: the disk refused.
        """
        problem: str | PhotoError = ""
        for _ in range(_ADDRESSES):
            facts = self._providers[wanted.source].look_up(wanted.image_id)
            if facts is None:
                return Outcome(GONE)
            if reason := self._doubt(wanted, facts):
                return Outcome(reason)
            reply = self._web.get(facts.file_url)
            if reply.status in (404, 410):
                return Outcome(GONE)
            if reply.status != 200:  # 403: the address has expired
                problem = f"its file is refused with status {reply.status}"
                continue
            try:
                photo = open_photo(reply.content, name=wanted.key)
            except PhotoError as error:  # perhaps cut short on the way
                problem = error
                continue
            return self._judged(wanted, facts, photo, reply.content)
        if isinstance(problem, PhotoError):
            return Outcome(BROKEN, complaint=str(problem))
        raise DownloadError(f"{wanted.key} cannot be had: {problem}: run again later")

    def _doubt(self, wanted: Wanted, facts: PhotoFacts) -> str:
        if facts.panorama and not self._options.panoramas:
            return PANORAMA
        there = facts.lonlat_deg
        if there is not None and not haversine_m(there, wanted.lonlat_deg) <= MOVED_M:
            return MOVED
        return ""

    def _judged(self, wanted: Wanted, facts: PhotoFacts, photo: Photo, content: bytes) -> Outcome:
        rgb, options = photo.rgb, self._options
        if max(rgb.size) < options.min_px:
            return Outcome(TINY, complaint=f"{wanted.key} has {rgb.width} x {rgb.height} pixels")
        if not options.panoramas and rgb.width >= 2 * rgb.height:
            return Outcome(PANORAMA)
        if (found := sharpness(rgb)) < options.least_sharpness:
            return Outcome(BLURRED, complaint=f"{wanted.key} has a sharpness of {found:.0f}")
        jpeg = kept_bytes(content, photo, options.max_px)
        keep_photo(self._folder, wanted.key, jpeg)
        return Outcome(
            reason="",
            size_bytes=len(jpeg),
            heading_deg=facts.heading_deg if wanted.heading_deg is None else wanted.heading_deg,
            captured_at=wanted.captured_at or facts.captured_at,
            licence=facts.licence,
            source=facts.source,
            attribution=facts.attribution,
            look=difference_hash(rgb),
        )
