"""The gate before Gradio's queue: bodies written anew, and no memory of sessions that are done."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from app.http import gradio_gate
from app.http.gradio_endpoints import SentPhoto
from app.http.gradio_gate import GradioGate


def passed(gate: GradioGate, path: str, body: object) -> tuple[int, Any]:
    """The status of a request, and the body that the application got, or the refusal."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"/gradio_api/{path}", "headers": []}
    asyncio.run(gate(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": scope["headers"]})
    await send({"type": "http.response.body", "body": message["body"]})


@pytest.fixture
def page() -> Any:
    """What the gate reads of Gradio's Blocks; the tests of the server have real ones."""
    functions = {n: SimpleNamespace(api_name=name) for n, name in enumerate(("search", "verify"))}
    return SimpleNamespace(fns=functions, _queue=SimpleNamespace(pending_event_ids_session={}))


def test_photos_pass_as_text_and_everything_else_as_numbers_and_texts(page: Any) -> None:
    gate, photo = GradioGate(echo, page), {"path": "/uploads/a.jpg"}
    join = {"fn_index": 0, "session_hash": "s", "trigger_id": 7, "data": [photo, [1]]}
    status, body = passed(gate, "queue/join", join)
    assert (status, set(body)) == (200, {"data", "fn_index", "session_hash"})
    assert body["data"] == [json.dumps(photo), "[1]", None, None, None]
    assert SentPhoto.model_validate(body["data"][0]).path == "/uploads/a.jpg"
    for name in ("call/v2/search", "call/v2/search/"):
        assert passed(gate, name, {"k": 3, "photo": photo})[1]["k"] == 3
    assert passed(gate, "call/verify", {"data": [photo, 51.5]})[1]["data"][1:4] == [51.5, None, 500]


def test_what_gradio_has_not_never_reaches_it(page: Any) -> None:
    gate = GradioGate(echo, page)
    for path, body, expected in (
        ("queue/join", {"fn_index": 9, "session_hash": "s", "data": []}, 404),
        ("queue/join", {"fn_index": 0, "session_hash": "../s", "data": []}, 422),
        ("call/search", {"data": [None] * 6}, 422),
        ("cancel", {"session_hash": "s", "fn_index": "0", "event_id": "e"}, 422),
        ("reset", [], 422),
    ):
        status, refusal = passed(gate, path, body)
        assert (status, set(refusal)) == (expected, {"error"})


def test_sessions_that_are_done_are_forgotten(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_gate, "MOST_SESSIONS", 3)
    events = page._queue.pending_event_ids_session
    events.update({name: set() for name in "abcd"} | {"waiting": {"event"}})
    passed(GradioGate(echo, page), "call/search", {"data": [None]})
    assert dict(events) == {"waiting": {"event"}}
