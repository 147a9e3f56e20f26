"""Many photos at once, each settled once: what has come is never asked for again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from gair.errors import DownloadError
from gair.progress import Progress
from training.dataset.streetscapes.journal import Effort, Journal, Outcome
from training.dataset.streetscapes.photo_fetch import PhotoFetcher, Wanted
from training.dataset.streetscapes.web import Web

NOT_TO_BE_HAD = "not to be had: its server failed"
IN_A_ROW = 25
"""So many photos that cannot be had, one after the other, mean that none can."""


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
    web: Web,
    journal: Journal,
    *,
    settled: Mapping[str, Outcome],
    concurrency: int,
    quiet: bool,
) -> Fetched:
    """Fetch what is not settled yet.

    Args:
        wanted: photos that were chosen.
        fetcher: fetches one.
        web: by which it does.
        journal: where to note what came of each.
        settled: what it has noted before.
        concurrency: photos on their way at a time.
        quiet: without progress.

    Raises:
        DownloadError: a provider refuses, or too many photos in a row cannot be had.
        StorageError: the disk refused.
    """
    outcomes = dict(settled)
    open_ones = [photo for photo in wanted if photo.key not in outcomes]
    failures: list[str] = []
    in_a_row = 0
    with (
        Progress("fetching", len(wanted), "photo", quiet=quiet) as progress,
        ThreadPoolExecutor(concurrency, thread_name_prefix="fetch") as pool,
    ):
        progress.skip(len(wanted) - len(open_ones))
        meter = _Meter(web, journal)
        try:
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
        except BaseException:  # Ctrl-C, too: threads that wait for a server would hold it up
            web.stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
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
