"""Connections that say nothing give way to those that ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.http import connections
from app.http.bodies import Refusal, refuse
from app.http.connections import Connection, Connections

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SEND = b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"

Open = Callable[[bytes], Awaitable["Client"]]


class Client:
    """The other side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.transport.abort()

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and body; 0 where the connection was closed without a word."""
        async with asyncio.timeout(5):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return 0, {}
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = json.loads(await self._reader.readexactly(length))
        return int(head.split()[1]), body


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/refused":
        await refuse(scope, send, Refusal(401, "no"), receive)
        return
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def served(scenario: Callable[[Open], Awaitable[None]], most: int, most_of_peer: int) -> None:
    """Run a scenario against a server with so much room."""
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    made = partial(Connection, Connections(most, most_of_peer), config, ServerState(), {})

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        opened: list[Client] = []

        async def open_one(sent: bytes = b"", source: str = "127.0.0.1") -> Client:
            streams = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            opened.append(Client(*streams))
            opened[-1].send(sent)
            await asyncio.sleep(0.01)
            return opened[-1]

        try:
            await scenario(open_one)
        finally:
            for client in opened:
                client.close()
            server.close()
            await asyncio.sleep(0.01)  # both sides hear of it

    asyncio.run(run())


def test_the_one_that_has_waited_longest_gives_way() -> None:
    async def scenario(open_one: Any) -> None:
        silent = [await open_one(sent) for sent in (b"", b"GET / HT", b"", b"G")]
        assert await (await open_one(ASK)).answer() == (200, {})
        assert await silent[0].answer() == (0, {})
        silent[1].send(ASK[8:])  # the others go on
        assert await silent[1].answer() == (200, {})

    served(scenario, most=9, most_of_peer=4)


def test_no_peer_takes_the_room_of_the_others() -> None:
    async def scenario(open_one: Any) -> None:
        quiet = await open_one(b"", "127.0.0.2")
        for _ in range(9):
            await open_one()
        quiet.send(ASK)  # the nine pushed out each other
        assert await quiet.answer() == (200, {})
        assert await (await open_one(ASK, "127.0.0.3")).answer() == (200, {})

    served(scenario, most=5, most_of_peer=3)


def test_what_was_refused_gives_way_while_its_body_is_thrown_away() -> None:
    async def scenario(open_one: Any) -> None:
        slow = [await open_one(SEND) for _ in range(3)]
        assert await slow[0].answer() == (401, {"error": "no"})
        assert await (await open_one(ASK)).answer() == (200, {})

    served(scenario, most=3, most_of_peer=3)


def test_where_all_are_asking_a_new_one_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(9)

    async def scenario(open_one: Any) -> None:
        for _ in range(2):
            await open_one(ASK)
        status, body = await (await open_one()).answer()
        assert (status, body) == (503, {"error": "too many connections; ask again in a moment"})

    monkeypatch.setitem(globals(), "app", forever)
    served(scenario, most=2, most_of_peer=2)


def test_headers_have_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily they trickle, in the first request and in a later one."""
    monkeypatch.setattr(connections, "HEADER_S", 0.3)

    async def scenario(open_one: Any) -> None:
        first, later = await open_one(), await open_one(ASK)
        assert await later.answer() == (200, {})
        for client in (first, later):
            answer = asyncio.create_task(client.answer())
            for letter in ASK:
                if answer.done():
                    break
                client.send(bytes([letter]))
                await asyncio.sleep(0.1)
            status, body = await answer
            assert status == 408
            assert "did not come within" in body["error"]

    served(scenario, most=9, most_of_peer=9)


def test_what_is_no_http_is_refused_in_one_line() -> None:
    async def scenario(open_one: Any) -> None:
        for sent in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET /\r\n\r\n", b"A" * 100_000):
            status, body = await (await open_one(sent)).answer()
            assert (status, body) == (400, {"error": "this is no HTTP request"})

    served(scenario, most=9, most_of_peer=9)
