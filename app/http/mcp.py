"""Model Context Protocol at ``POST /mcp``, with ``--mcp``: five tools, photos as base64 only.

This is the stateless part of the protocol's HTTP transport (revision 2025-06-18,
https://modelcontextprotocol.io/specification/2025-06-18/basic/transports): one JSON-RPC message in,
one JSON message out. Photos come inside the call. There is no way to pass an address or a path, so
that no model can be talked into making this server fetch or read something.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from app.engine.uploads import Upload
from app.http.bodies import Bodies
from app.http.explore_questions import (
    CompareQuestion,
    NearQuestion,
    PlainQuestion,
    SimilarQuestion,
)
from app.http.health import app_version
from app.http.json_bodies import read_json
from app.http.questions import Question, SearchQuestion, VerifyQuestion, read_question
from gair.errors import GairError, UsageError

if TYPE_CHECKING:
    from app.engine.engine import Engine

REVISIONS = ("2025-06-18", "2025-03-26")
"""Revisions of the protocol that this speaks, newest first."""

_PARSE, _INVALID, _UNKNOWN, _PARAMS = -32700, -32600, -32601, -32602

TOOLS: dict[str, tuple[type[Question], str]] = {
    "search_photo": (
        SearchQuestion,
        "Find where a street photo may have been taken: ranked places of one index, with how far "
        "to believe them. Read the warnings before repeating any of it.",
    ),
    "verify_photo": (
        VerifyQuestion,
        "Tell whether a street photo may have been taken where somebody says: a verdict with its "
        "error rates.",
    ),
    "similar_places": (
        SimilarQuestion,
        "Find places of one index whose satellite imagery is like some places and not like others. "
        "Similarities rank places; they are no probabilities. Places, not words, are the examples.",
    ),
    "photos_near_place": (
        NearQuestion,
        "List the reference photos of a place: taken closest to it, or most like its imagery; each "
        "with its licence and the credit that it asks for.",
    ),
    "compare_photos": (
        CompareQuestion,
        "Tell how likely two street photos were taken within 200 m of each other, if both are of "
        "the index; `why` says why there is no chance.",
    ),
}
"""Name: the question, and what a model is told of it. A plain question takes no photos."""


def mcp_router(engine: Engine, start: str, bodies: Bodies) -> APIRouter:
    """The one route of the protocol.

    Args:
        engine: what answers.
        start: the index that is asked where a call names none.
        bodies: memory for what is sent.
    """
    router = APIRouter()
    threads = anyio.CapacityLimiter(engine.limits.max_waiting + 8)

    @router.post("/mcp", include_in_schema=False)
    async def message(request: Request) -> Response:
        with bodies.holding(request) as stream:
            return await _answer(b"".join([piece async for piece in stream]))

    async def _answer(body: bytes) -> Response:
        try:
            called = read_json(body)
        except HTTPException as error:
            return _failed(None, _PARSE, error.detail)
        if not isinstance(called, dict) or called.get("jsonrpc") != "2.0":
            return _failed(None, _INVALID, "the body is no JSON-RPC 2.0 request")
        if "id" not in called:  # a notification
            return Response(status_code=202)
        if type(called["id"]) not in (str, int, float, type(None)) or len(str(called["id"])) > 200:
            return _failed(None, _INVALID, "the id must be a short text or a number")
        params = called.get("params") or {}
        if not isinstance(params, dict):
            return _failed(called["id"], _PARAMS, "params must be an object")
        match called.get("method"):
            case "initialize":
                return _done(called["id"], _initialized(params))
            case "ping":
                return _done(called["id"], {})
            case "tools/list":
                return _done(called["id"], {"tools": list_tools()})
            case "tools/call" if params.get("name") in list(TOOLS):  # whatever type it has
                result = await anyio.to_thread.run_sync(
                    call_tool, engine, start, params, limiter=threads
                )
                return _done(called["id"], result)
            case "tools/call":
                return _failed(called["id"], _PARAMS, f"there are the tools {', '.join(TOOLS)}")
        return _failed(called["id"], _UNKNOWN, "there is no such method")

    return router


def list_tools() -> list[dict[str, Any]]:
    """The tools as ``tools/list`` describes them."""
    photos = {
        "items": {"type": "string", "contentEncoding": "base64"},
        "description": "Photo files (JPEG, PNG, WebP ...) of one place, each as base64.",
    }
    tools = []
    for name, (kind, about) in TOOLS.items():
        plain = issubclass(kind, PlainQuestion)
        schema = kind.model_json_schema() if plain else kind.schema_with("photos", photos)
        tools.append({"name": name, "description": about, "inputSchema": schema})
    return tools


def call_tool(engine: Engine, start: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of ``tools/call``; what a model can mend is an error inside it."""
    kind, _ = TOOLS[params["name"]]
    values = params.get("arguments") or {}
    try:
        if not isinstance(values, dict):
            raise UsageError("arguments must be an object")
        values = dict(values)
        plain = issubclass(kind, PlainQuestion)
        photos = [] if plain else decode_photos(values.pop("photos", None))
        answer = read_question(kind, values).answer(engine, start, photos)
    except GairError as error:
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}
    text = json.dumps(answer, allow_nan=False)
    return {"content": [{"type": "text", "text": text}], "structuredContent": answer}


def decode_photos(sent: Any) -> list[Upload]:  # noqa: ANN401 - whatever a program sent
    """Photos from base64.

    Raises:
        UsageError: they are anything else.
    """
    if not isinstance(sent, list) or not sent or not all(isinstance(text, str) for text in sent):
        raise UsageError("photos must be a list of base64 texts, one a photo")
    uploads = []
    for number, text in enumerate(sent, 1):
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise UsageError(
                f"photo {number} is no base64; send the bytes of the file, no path and no address"
            ) from None
        uploads.append(Upload(f"photo {number}", content))
    return uploads


def _initialized(params: dict[str, Any]) -> dict[str, Any]:
    revision = params.get("protocolVersion")
    return {
        "protocolVersion": revision if revision in REVISIONS else REVISIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "gair-geolocator", "version": app_version()},
        "instructions": instructions(),
    }


def instructions() -> str:
    """What a language model is told as it connects: ``SKILL.md`` without its header."""
    text = Path(__file__).with_name("SKILL.md").read_text(encoding="utf-8")
    return text.partition("\n---\n")[2].strip()


def _done(number: Any, result: dict[str, Any]) -> JSONResponse:  # noqa: ANN401 - any JSON
    return JSONResponse({"jsonrpc": "2.0", "id": number, "result": result})


def _failed(number: Any, code: int, why: str) -> JSONResponse:  # noqa: ANN401 - any JSON
    error = {"code": code, "message": why}
    return JSONResponse({"jsonrpc": "2.0", "id": number, "error": error})
