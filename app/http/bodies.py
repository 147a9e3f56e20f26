"""Request bodies and refusals: bodies are cut off, counted together, or answered with one line.

:class:`Body` ends one that grows too large or comes too slowly; :class:`Bodies` bounds the memory
of all of them; :func:`refuse` says no.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gair.errors import BusyError

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

BODIES_BYTES = 400_000_000
"""Memory for the bodies of all requests that are being read or answered."""
DRAINED_BYTES = 400_000_000
"""How much of a refused body is read and thrown away, so that its sender can read the refusal."""
DRAINED_S = 20.0
"""For how long."""

RETRY = ((b"retry-after", b"5"),)
"""Headers of a refusal that is not for ever."""


@dataclass(frozen=True)
class Refusal:
    """A response that is made here."""

    status: int
    error: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Body:
    """A request's body on its way in, and whether the response has begun."""

    def __init__(self, receive: Receive, send: Send, largest: int, deadline: float) -> None:
        self._receive, self._send = receive, send
        self._largest, self._deadline = largest, deadline
        self._got, self._complete = 0, False
        self.refusal: Refusal | None = None
        self.started = False

    async def receive(self) -> Message:
        """The next piece; to the application, who sends too much or too slowly has gone."""
        if self.refusal:
            return {"type": "http.disconnect"}
        if self._complete:  # the next message is the disconnect, whenever that comes: no deadline
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            self.refusal = Refusal(408, "the request did not arrive in time")
            return {"type": "http.disconnect"}
        self._got += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._got > self._largest:
            self.refusal = Refusal(413, too_large(self._largest))
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """The application's response, unless the request is refused."""
        if self.refusal and not self.started:
            return
        self.started = True
        await self._send(message)


async def refuse(send: Send, refusal: Refusal, receive: Receive) -> None:
    """Send one line of JSON, and read on for a while what nobody wants.

    A client that is still sending would otherwise meet a closed connection and never read why.
    """
    body = json.dumps({"error": refusal.error}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    drained, more = 0, True
    try:
        async with asyncio.timeout(DRAINED_S):
            while more and drained < DRAINED_BYTES:
                message = await receive()
                drained += len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def too_large(largest: int) -> str:
    """What is said to whoever sends more than a route takes."""
    return f"the request is too large; this takes {largest / 1e6:,.1f} MB or less"


class Bodies:
    """Bytes of all bodies that are held; used from the event loop only, so it needs no lock."""

    def __init__(self, most: int = BODIES_BYTES) -> None:
        self._most, self._held = most, 0

    @contextmanager
    def holding(self, request: Request) -> Iterator[AsyncGenerator[bytes, None]]:
        """The body of a request, counted for as long as the block lasts.

        Raises:
            BusyError: while it is read, if there is no room for more of it.
            HTTPException: while it is read, if it stops coming (400).
        """
        mine = 0

        async def counted() -> AsyncGenerator[bytes, None]:
            nonlocal mine
            try:
                async for piece in request.stream():
                    if self._held + len(piece) > self._most:
                        raise BusyError("too many photos are being sent at once; ask again later")
                    mine += len(piece)
                    self._held += len(piece)
                    yield piece
            except ClientDisconnect:
                raise HTTPException(400, "the request ended too early") from None

        try:
            yield counted()
        finally:
            self._held -= mine
