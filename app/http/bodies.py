"""How many bytes of requests may be in memory at once, all requests together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from gair.errors import BusyError

BODIES_BYTES = 400_000_000
"""Memory for the bodies of all requests that are being read or answered."""


class Bodies:
    """Counts what is held; used from the event loop only."""

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
