"""Gate before Gradio's queue: only questions that it can answer reach it.

Gradio takes what it is sent at its word: a function that is not there, a number where a text
belongs or a list that is too short ends in a traceback. So the few bodies that it gets are read
here, checked, and written anew with nothing but what the question needs. A photo passes as the JSON
text that :class:`app.http.gradio_endpoints.SentPhoto` reads, because Gradio would look at the paths
that it finds in objects.
"""

from __future__ import annotations

import inspect
import json
from typing import Annotated, Any

import gradio as gr
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.http.bodies import App, Message, Receive, Refusal, Scope, Send, inner_path, refuse
from app.http.gradio_endpoints import PHOTOS, Endpoints
from app.http.json_bodies import checked, read_json

JOIN = "/gradio_api/queue/join"
CALL = "/gradio_api/call/"
CANCEL = "/gradio_api/cancel"
RESET = "/gradio_api/reset"

MOST_SESSIONS = 1000
"""Sessions of which Gradio's queue may keep that they have no question."""
MOST_TEXT = 60
"""Characters of a value that no argument takes; it is quoted in the refusal."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A session or an event."""
Number = Annotated[int, Field(ge=0, le=1_000_000)]
"""A function."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class Join(_Strict):
    """A question of ``gradio_client``."""

    data: list[Any]
    fn_index: Number
    session_hash: Name


class Call(_Strict):
    """A question of curl."""

    data: list[Any]


class Cancel(_Strict):
    """A question that nobody waits for any more."""

    session_hash: Name
    fn_index: Number
    event_id: Name


class Reset(_Strict):
    """The same without a session."""

    event_id: Name


class GradioGate:
    """ASGI middleware around an application with Gradio in it."""

    def __init__(self, app: App, page: gr.Blocks) -> None:
        """Take the application, and the page in it, whose functions can be asked."""
        self._app = app
        self._functions = {number: str(fn.api_name) for number, fn in page.fns.items()}
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the body of a question; everything else passes."""
        path = inner_path(scope).rstrip("/") if scope["type"] == "http" else ""
        if not self._is_checked(path) or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        body = await _whole_body(receive)
        if body is None:
            return None  # who sent it has gone, or is being refused by the guard
        try:
            body = json.dumps(self._checked(path, read_json(body))).encode()
        except HTTPException as error:
            nothing_more = _replayed(b"", receive)  # the body was read, there is none to drain
            refusal = Refusal(error.status_code, error.detail)
            return await refuse(scope, send, refusal, nothing_more)
        self._forget_sessions()
        kept = [(k, v) for k, v in scope["headers"] if k.lower() != b"content-length"]
        headers = [*kept, (b"content-length", str(len(body)).encode())]
        await self._app({**scope, "headers": headers}, _replayed(body, receive), send)

    def _forget_sessions(self) -> None:
        """Let go of sessions whose questions are answered; Gradio keeps a set of each for ever.

        Only in the event loop, where nobody is between looking for a session and using it.
        """
        events = self._page._queue.pending_event_ids_session
        if len(events) > MOST_SESSIONS:
            for session in [name for name, waiting in events.items() if not waiting]:
                del events[session]

    @staticmethod
    def _is_checked(path: str) -> bool:
        return path in (JOIN, CANCEL, RESET) or path.startswith(CALL)

    def _checked(self, path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """The body that Gradio gets.

        Raises:
            HTTPException: it would make no sense to it.
        """
        if path == CANCEL:
            return checked(Cancel, value).model_dump()
        if path == RESET:
            return checked(Reset, value).model_dump()
        if path == JOIN:
            join = checked(Join, value)
            name = self._functions.get(join.fn_index)
            if name is None:
                raise HTTPException(404, f"fn_index: there is no function {join.fn_index}")
            return {**join.model_dump(), "data": _filled(name, join.data)}
        *version, name = path.removeprefix(CALL).split("/")
        if version:  # the second version has arguments by name
            return _filled_by_name(name, value)
        return {"data": _filled(name, checked(Call, value).data)}


def _parameters(name: str) -> dict[str, Any]:
    """The arguments of an endpoint with their defaults, None for none."""
    _, *parameters = inspect.signature(getattr(Endpoints, name)).parameters.values()
    return {p.name: None if p.default is p.empty else p.default for p in parameters}


def _filled(name: str, data: list[Any]) -> list[Any]:
    """All arguments of an endpoint, those left out as their defaults."""
    defaults = _parameters(name)
    if len(data) > len(defaults):
        raise HTTPException(422, f"data has {len(data)} values, /{name} takes {len(defaults)}")
    values = defaults | dict(zip(defaults, data, strict=False))
    return list(_passing(values).values())


def _filled_by_name(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(value, dict):
        raise HTTPException(422, "the body must be an object of arguments by name")
    defaults = _parameters(name)
    if unknown := next((key for key in value if key not in defaults), None):
        raise HTTPException(422, f"{unknown[:60]!r}: /{name} takes {', '.join(defaults)}")
    return _passing({**defaults, **value})


def _passing(values: dict[str, Any]) -> dict[str, Any]:
    """Arguments as Gradio gets them: photos as JSON text, others as numbers and texts."""
    return {
        name: json.dumps(value) if name in PHOTOS else _scalar(value)
        for name, value in values.items()
    }


def _scalar(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A number or a text as it is, a list or an object as text: no argument takes one."""
    return json.dumps(value)[:MOST_TEXT] if isinstance(value, list | dict) else value


async def _whole_body(receive: Receive) -> bytes | None:
    """The body, which the guard keeps small; None if it does not arrive."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What an application receives: the body first, then whatever else comes."""
    first = True

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay
