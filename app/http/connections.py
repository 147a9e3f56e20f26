"""Connections of the server: a deadline for headers, and a few that one peer may hold.

A request costs nothing until its headers are there, so connections that send nothing, or a byte now
and then, are what it is cheapest to hold many of. Here each has to bring a whole header in
:data:`HEADER_S`, and where a peer, or all of them together, hold as many as they may, the one that
has waited longest **gives way** to the new one. So nobody is locked out by connections that say
nothing, not even somebody behind the same address: a request's headers come at once.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.http.bodies import REFUSED, Scope

HEADER_S = 20.0
"""Seconds for the headers of a request, from the opening of the connection or their first byte."""
MOST_CONNECTIONS = 400
"""Connections at once."""
MOST_OF_PEER = 200
"""Of one address; a reverse proxy is one peer for all who come through it."""
BACKLOG = 100
"""Connections that are accepted before those at hand are read: fewer than a peer may have, or a
burst of silent ones could push out one whose headers lie ready."""


class Connections:
    """The open connections of one server; used from its event loop only, so it needs no lock."""

    def __init__(self, most: int = MOST_CONNECTIONS, most_of_peer: int = MOST_OF_PEER) -> None:
        self._most, self._most_of_peer = most, most_of_peer
        self._open: Counter[str] = Counter()
        self._silent: dict[Connection, None] = {}  # in the order in which they began to wait

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False where there is no room, and none that could give way."""
        peer = connection.peer
        of_peer = self._open[peer] >= self._most_of_peer
        if of_peer or self._open.total() >= self._most:
            silent = (one for one in self._silent if not of_peer or one.peer == peer)
            oldest = next(silent, None)
            if oldest is None:
                return False
            oldest.give_way()
        self._open[peer] += 1
        return True

    def wait(self, connection: Connection) -> None:
        """A connection has no request."""
        self._silent[connection] = None

    def ask(self, connection: Connection) -> None:
        """The headers of its request are there."""
        self._silent.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """A connection is closed."""
        self._silent.pop(connection, None)
        self._open[connection.peer] -= 1
        if not self._open[connection.peer]:
            del self._open[connection.peer]


class Connection(H11Protocol):
    """One connection, as uvicorn has it, that must say something."""

    def __init__(self, connections: Connections, *args: Any, **named: Any) -> None:  # noqa: ANN401
        """Take the open ones, and what uvicorn gives to each."""
        super().__init__(*args, **named)
        self.peer = ""
        """The address of the other side."""
        self._all = connections
        self._admitted = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, or say that there is no room."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        self._admitted = self._all.admit(self)
        if not self._admitted:
            self._end(503, "too many connections; ask again in a moment")
            return
        self._all.wait(self)
        self._deadline = self.loop.call_later(HEADER_S, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._heard()
        if self._admitted:
            self._admitted = False
            self._all.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes; what is not a whole header yet has a deadline."""
        if self.transport.is_closing():
            return
        if self._deadline is None and not self._asking:
            self._deadline = self.loop.call_later(HEADER_S, self._late)
        super().data_received(data)

    def handle_events(self) -> None:
        """Begin the requests whose headers are there."""
        super().handle_events()
        if self._asking:
            self._heard()
            self._all.ask(self)
            # Whose request is refused may still send a body for a while, which nobody wants.
            cast(Scope, self.scope)[REFUSED] = partial(self._all.wait, self)

    def on_response_complete(self) -> None:
        """Wait for the next request of the connection."""
        if self._admitted:
            self._all.wait(self)
        super().on_response_complete()  # may begin a request that came with the one before

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with the one line that every refusal is."""
        self._end(400, "this is no HTTP request")

    def give_way(self) -> None:
        """Close it for one that may have something to say."""
        if self._admitted:
            self._admitted = False
            self._all.leave(self)
        self._heard()
        self.transport.abort()

    @property
    def _asking(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _heard(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if not self._asking and not self.transport.is_closing():
            self._end(408, f"the headers of a request did not come within {HEADER_S:g} s")

    def _end(self, status: int, error: str) -> None:
        """Send one line and close."""
        body = json.dumps({"error": error}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        try:
            head = h11.Response(status_code=status, headers=headers)
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass  # a response was under way
        self.transport.close()
