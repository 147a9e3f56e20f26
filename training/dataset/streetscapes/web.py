"""Web client of many threads: retries with growing pauses, ``Retry-After`` obeyed, never for ever.

::

    with Web() as web:
        reply = web.get("https://graph.mapillary.com/123", {"fields": "id"}, {"Authorization": ...})

What may pass by itself (no connection, silence, a body cut short, 429, 5xx) is asked for again;
whatever else a server says is returned for the caller to judge. A server that asks for a pause gets
one from all threads. Proxies of the environment are used, but not for this machine itself.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from typing import Self

from gair.errors import DownloadError
from gair.http import Patience, http_client

USER_AGENT = "gair-geolocator/0.1 (builds training sets from open street view photos)"
MAX_BYTES = 64 << 20
"""Longer answers are refused while they come in."""
PATIENCE = Patience(tries=5)
"""With servers of photos."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    content: bytes
    retry_after: str = ""


@dataclass
class Traffic:
    """What has been asked and what has come in."""

    requests: int = 0
    bytes_in: int = 0
    retries: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, bytes_in: int = 0, retries: int = 0) -> None:
        """Count something; from any thread."""
        with self.lock:
            self.requests += requests
            self.bytes_in += bytes_in
            self.retries += retries


class Web:
    """An HTTP client for many threads; close it, or use it in a ``with`` block."""

    def __init__(self, patience: Patience | None = None, *, connections: int = 16) -> None:
        self.patience = patience or PATIENCE
        self.traffic = Traffic()
        logging.getLogger("httpx").addFilter(_without_queries)
        self._client = http_client(USER_AGENT, self.patience.silence_s, connections=connections)
        self._stopped = threading.Event()
        self._not_before: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def get(
        self,
        url: str,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        pass_by: Callable[[Reply], bool] = lambda reply: False,
    ) -> Reply:
        """Ask for something until there is an answer.

        Args:
            url: whom and for what.
            parameters: put into the address.
            headers: sent along.
            form: sent by POST, where a server wants its questions so.
            pass_by: whether an answer is one of those that pass by themselves, beyond its status.

        Raises:
            DownloadError: there is none after all tries, the address is none, or the build is being
                stopped.
        """
        import httpx

        host = _parts(url)[1]
        problem = ""
        for attempt in range(self.patience.tries):
            if attempt:
                self.traffic.add(retries=1)
                pause_s = self.patience.first_pause_s * 2 ** (attempt - 1)
                self._sleep(pause_s * random.uniform(0.75, 1.25))
            self._wait_for(host)
            try:
                reply = self._once(url, parameters, headers, form)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise DownloadError(f"{_shown(url)!r} is no address: run again later") from error
            except httpx.HTTPError as error:
                problem = type(error).__name__ if not str(error) else str(error)
                continue
            if reply.status not in _TRANSIENT and not pass_by(reply):
                return reply
            problem = f"status {reply.status}"
            self._obey(host, reply)
        raise DownloadError(
            f"{_shown(url)} gave no usable answer in {self.patience.tries} tries ({problem}): "
            "run the same command later to go on"
        )

    @contextlib.contextmanager
    def threads(self, count: int) -> Iterator[ThreadPoolExecutor]:
        """Threads that ask; an error in the block, Ctrl-C too, does not wait for servers."""
        with ThreadPoolExecutor(count, thread_name_prefix="web") as pool:
            try:
                yield pool
            except BaseException:
                self.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def stop(self) -> None:
        """Let all threads give up at their next step."""
        self._stopped.set()

    def close(self) -> None:
        """Close all connections."""
        self.stop()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _once(
        self,
        url: str,
        parameters: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
    ) -> Reply:
        """One try; a body that is late, too long or cut short is an ``httpx.HTTPError``."""
        import httpx

        self.traffic.add(requests=1)
        late = time.monotonic() + self.patience.answer_s
        content = bytearray()
        method, body = ("GET", None) if form is None else ("POST", dict(form))
        with self._client.stream(
            method, url, params=parameters, headers=dict(headers or {}), data=body
        ) as answer:
            for chunk in answer.iter_bytes(_CHUNK):
                self._check_stopped()
                content += chunk
                self.traffic.add(bytes_in=len(chunk))
                if len(content) > MAX_BYTES:
                    raise httpx.ReadError(f"more than {MAX_BYTES >> 20} MB")
                if time.monotonic() > late:
                    raise httpx.ReadTimeout(f"not complete in {self.patience.answer_s:g} s")
            return Reply(answer.status_code, bytes(content), answer.headers.get("retry-after", ""))

    def _obey(self, host: str, reply: Reply) -> None:
        """Note the pause that a server asks for."""
        pause_s = retry_after_s(reply.retry_after, time.time())
        if pause_s is None:
            return
        if pause_s > self.patience.longest_pause_s:
            raise DownloadError(
                f"{host} asks for a pause of {pause_s:,.0f} s: run the same command after it to "
                "go on",
                for_all=True,
            )
        with self._lock:
            self._not_before[host] = max(self._not_before[host], time.monotonic() + pause_s)

    def _wait_for(self, host: str) -> None:
        with self._lock:
            wait_s = self._not_before[host] - time.monotonic()
        if wait_s > 0:
            self._sleep(wait_s)
        self._check_stopped()

    def _sleep(self, seconds: float) -> None:
        self._stopped.wait(seconds)
        self._check_stopped()

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise DownloadError(
                "the build is being stopped: run the same command to go on", for_all=True
            )


def retry_after_s(text: str, now: float) -> float | None:
    """The pause that a ``Retry-After`` header asks for: seconds or a date (RFC 9110, 10.2.3).

    Args:
        text: the header; empty for none.
        now: seconds since 1970.
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:  # "-0000", which is UTC, too
        until = until.replace(tzinfo=UTC)
    return max(0.0, until.timestamp() - now)


def is_address(url: str) -> bool:
    """Whether something can be asked for there."""
    scheme, host, _ = _parts(url)
    return scheme in ("http", "https") and bool(host)


def _shown(url: str) -> str:
    """An address without what may hold a token or a password."""
    scheme, host, path = _parts(url)
    return f"{scheme}://{host}{path}" if host else path


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and path of whatever a server calls an address."""
    bare = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = bare.partition("://")
    if not separator:
        return "", "", bare
    host, slash, path = rest.partition("/")
    return scheme.lower(), host.rpartition("@")[2], slash + path


def _without_queries(record: logging.LogRecord) -> bool:
    """Take the queries, which may hold a token, out of the addresses that httpx logs."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            _shown(str(part)) if "://" in str(part) else part for part in record.args
        )
    return True
