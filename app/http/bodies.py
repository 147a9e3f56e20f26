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

BODIES_BYTES = 250_000_000
"""Memory for the bodies of all requests that are being read or answered; the largest one alone may
have 161 MB."""
DRAINED_BYTES = 400_000_000
"""How much of a refused body is read and thrown away, so that its sender can read the refusal."""
DRAINED_S = 20.0
"""For how long."""

LONGEST_ERROR = 400
"""Characters of an error; what a client sent may be quoted in it."""
LONGEST_REFUSAL = 65_536
"""Bytes of a refusal of somebody else's that are read for what it says."""
REFUSED = "gair.refused"
"""In a scope: what to call once the request is refused; its connection then may give way."""
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


async def refuse(scope: Scope, send: Send, refusal: Refusal, receive: Receive) -> None:
    """Send one line of JSON, and read on for a while what nobody wants.

    A client that is still sending would otherwise meet a closed connection and never read why.
    """
    scope.get(REFUSED, lambda: None)()
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


def in_one_line(send: Send) -> Send:
    """Send refusals of the framework and of Gradio in the form that ours have.

    What has it already, or is no refusal, passes as it is.
    """
    head: Message | None = None
    body = bytearray()

    async def sent(message: Message) -> None:
        nonlocal head
        if message["type"] == "http.response.start" and message["status"] >= 400:
            head = message
            return
        if head is None:
            await send(message)
            return
        body.extend(message.get("body", b"")[: LONGEST_REFUSAL - len(body)])
        if message.get("more_body", False):
            return
        line = json.dumps({"error": _line_of(bytes(body), head["status"])}).encode()
        changed = (b"content-type", b"content-length")
        headers = [(k, v) for k, v in head.get("headers", []) if k.lower() not in changed]
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(line)).encode()),
        ]
        await send({**head, "headers": headers})
        await send({"type": "http.response.body", "body": line})

    return sent


def _line_of(body: bytes, status: int) -> str:
    """What a refusal says, whoever made it."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    said = (value.get("error") or value.get("detail")) if isinstance(value, dict) else None
    if isinstance(said, list) and said and isinstance(said[0], dict):  # as Pydantic tells it
        where = ".".join(str(part) for part in said[0].get("loc", ()))
        said = f"{where}: {said[0].get('msg')}"
    words = {404: "there is no such thing here", 500: "something went wrong in the server"}
    line = said if isinstance(said, str) else words.get(status, "the request makes no sense here")
    return " ".join(line.split())[:LONGEST_ERROR]


def inner_path(scope: Scope) -> str:
    """The path of a request below that of a reverse proxy."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] or "/" if root and path.startswith(f"{root}/") else path


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
