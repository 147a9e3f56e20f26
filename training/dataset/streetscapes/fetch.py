"""Fetcher of the chosen photos: many at once, each settled once, and none asked for again.

*Blurred*: the variance of a photo's Laplacian, as grey levels with the longer side at 512 pixels,
is below ``least_sharpness``, 30. Thirty-odd street and city photos of cameras and phones from 2000
to 2020 have 102 to 7,800; the same ones behind a Gaussian of 2 pixels (of 512) 2 to 14. Snow, fog
and night lower it too, so the threshold is low: it takes out what is hopeless.

*Seen before*: the difference hash of two photos (64 signs of the step from a pixel to its right
neighbour, at 9 x 8 pixels) differs in at most :data:`SAME_BITS` places. A standing car makes such.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from gair.errors import DownloadError, PhotoError
from gair.geo import haversine_m
from gair.photos.photo import Photo, open_photo
from gair.progress import Progress
from indexer.photos.listing import BROKEN
from training.dataset.pack.photo_bytes import kept_bytes
from training.dataset.streetscapes.journal import Effort, Journal, Outcome, keep_photo
from training.dataset.streetscapes.options import FetchOptions
from training.dataset.streetscapes.providers import PhotoFacts, Provider
from training.dataset.streetscapes.selection import PANORAMA, TINY, key_of
from training.dataset.streetscapes.web import Web

GONE = "gone from its source"
MOVED = "elsewhere, says its source"
BLURRED = "blurred"
NOT_TO_BE_HAD = "not to be had: its server failed"

SHARPNESS_PX = 512
SAME_BITS = 4
MOVED_M = 1000.0
"""Further from its table's place than this, a photo's place is in doubt."""
IN_A_ROW = 25
"""So many photos that cannot be had, one after the other, mean that none can."""

_ADDRESSES = 4  # times that a photo's address is asked for, as they expire


def sharpness(rgb: Image.Image) -> float:
    """Variance of the Laplacian of a photo at :data:`SHARPNESS_PX`, squared grey levels."""
    grey = rgb.convert("L")
    scale = SHARPNESS_PX / max(grey.size)
    size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
    small = grey.resize(size, Image.Resampling.LANCZOS)
    return float(ndimage.laplace(np.asarray(small, dtype=np.float32)).var())


def difference_hash(rgb: Image.Image) -> int:
    """64 bits that similar photos share."""
    small = rgb.convert("L").resize((9, 8), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.int16)
    bits = np.packbits(pixels[:, 1:] > pixels[:, :-1])  # (8, 8) signs, row by row
    return int.from_bytes(bits.tobytes(), "big")


def alike(first: int, second: int) -> bool:
    """Whether two photos with these hashes show the same picture."""
    return (first ^ second).bit_count() <= SAME_BITS


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
        self.web = web
        self.options = options
        self._providers = providers
        self._folder = folder

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
            reply = self.web.get(facts.file_url)
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
        if facts.panorama and not self.options.panoramas:
            return PANORAMA
        lonlat_deg = facts.lonlat_deg
        # "Not at most" rather than "more": NaN is in doubt, too.
        if lonlat_deg is not None and not haversine_m(lonlat_deg, wanted.lonlat_deg) <= MOVED_M:
            return MOVED
        return ""

    def _judged(self, wanted: Wanted, facts: PhotoFacts, photo: Photo, content: bytes) -> Outcome:
        rgb, options = photo.rgb, self.options
        if max(rgb.size) < options.min_px:
            return Outcome(TINY, complaint=f"{wanted.key} has {rgb.width} x {rgb.height} pixels")
        if not options.panoramas and rgb.width >= 2 * rgb.height:
            return Outcome(PANORAMA)
        if (variance := sharpness(rgb)) < options.least_sharpness:
            return Outcome(BLURRED, complaint=f"{wanted.key} has a sharpness of {variance:.0f}")
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
            sequence=facts.sequence,
            look=difference_hash(rgb),
        )


@dataclass(frozen=True)
class Fetched:
    """What came of all photos."""

    outcomes: dict[str, Outcome]
    """By key; of those that are settled."""
    failures: tuple[str, ...]
    """Of the others: what went wrong with each."""


def fetch_all(
    wanted: Sequence[Wanted],
    fetcher: PhotoFetcher,
    journal: Journal,
    *,
    settled: Mapping[str, Outcome],
    quiet: bool,
) -> Fetched:
    """Fetch what is not settled yet.

    Args:
        wanted: photos that were chosen.
        fetcher: fetches one.
        journal: where to note what came of each.
        settled: what it has noted before.
        quiet: without progress.

    Raises:
        DownloadError: a provider refuses, or too many photos in a row cannot be had.
        StorageError: the disk refused.
    """
    web, concurrency = fetcher.web, fetcher.options.concurrency
    outcomes = dict(settled)
    open_ones = [photo for photo in wanted if photo.key not in outcomes]
    failures: list[str] = []
    in_a_row = 0
    meter = _Meter(web, journal)
    try:
        with (
            Progress("fetching", len(wanted), "photo", quiet=quiet) as progress,
            web.threads(concurrency) as pool,
        ):
            progress.skip(len(wanted) - len(open_ones))
            for photo, future in _in_flight(pool, fetcher, open_ones, 2 * concurrency):
                try:
                    outcome = future.result()
                except DownloadError as error:
                    if error.for_all:
                        raise
                    failures.append(f"{photo.key}: {error}")
                    in_a_row += 1
                    if in_a_row >= IN_A_ROW:
                        raise
                else:
                    in_a_row = 0
                    outcomes[photo.key] = outcome
                    journal.settle(photo.key, outcome)
                    meter.settled()
                progress.advance(1, f"{web.traffic.bytes_in / 1e6:,.1f} MB")
    finally:
        meter.note()
    return Fetched(outcomes, tuple(failures))


def _in_flight(
    pool: ThreadPoolExecutor, fetcher: PhotoFetcher, photos: Sequence[Wanted], most: int
) -> Iterator[tuple[Wanted, Future[Outcome]]]:
    """Photos as they are done; no more than some are begun ahead."""
    waiting = iter(photos)
    begun = {pool.submit(fetcher.fetch, photo): photo for photo in itertools.islice(waiting, most)}
    while begun:
        done, _ = wait(begun, return_when=FIRST_COMPLETED)
        for future in done:
            yield begun.pop(future), future
            for photo in itertools.islice(waiting, 1):
                begun[pool.submit(fetcher.fetch, photo)] = photo


class _Meter:
    """Notes now and then what fetching takes."""

    _EVERY_S = 5.0

    def __init__(self, web: Web, journal: Journal) -> None:
        self._web = web
        self._journal = journal
        self._photos = 0
        self._since = time.monotonic()
        self._requests, self._bytes_in = web.traffic.requests, web.traffic.bytes_in

    def settled(self) -> None:
        self._photos += 1
        if time.monotonic() - self._since > self._EVERY_S:
            self.note()

    def note(self) -> None:
        now, traffic = time.monotonic(), self._web.traffic
        self._journal.add_effort(
            Effort(
                self._photos,
                traffic.requests - self._requests,
                traffic.bytes_in - self._bytes_in,
                now - self._since,
            )
        )
        self._photos, self._since = 0, now
        self._requests, self._bytes_in = traffic.requests, traffic.bytes_in
