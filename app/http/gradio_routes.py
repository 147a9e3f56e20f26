"""Routes of Gradio's that are answered here: uploads, the page's own function, direct calls.

They keep Gradio's addresses and forms, so that its page and its client find what they know:

* ``POST /gradio_api/upload`` writes each photo to a folder of its own. Gradio names folders by
  content, where two people who send the same photo share one file.
* ``POST /gradio_api/component_server`` asks :meth:`app.page.handlers.Desk.ask`, and nothing else.
* ``POST /gradio_api/run/search`` and the other endpoints answer, or refuse with the status and the
  one line that ``POST /search`` has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from gradio.routes import ORJSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from app.engine.limits import Limits
from app.engine.uploads import Uploads, plain_name
from app.http.gradio_endpoints import EndpointName, Endpoints
from app.http.json_bodies import checked, read_json
from gair.errors import PhotoSizeError, UsageError

MOST_FILES = 64
"""Files in one upload; the page sends them one by one."""


class PageCall(BaseModel):
    """A call of the page's function as Gradio's page sends it."""

    model_config = ConfigDict(strict=True)

    component_id: int
    fn_name: str
    data: Any = None


class DirectCall(BaseModel):
    """The arguments of an endpoint, in order."""

    model_config = ConfigDict(strict=True)

    data: Annotated[list[Any], Field(max_length=20)]


def gradio_routes(
    endpoints: Endpoints, ask: Callable[[Any], dict[str, Any]], page_id: int, uploads: Uploads
) -> APIRouter:
    """The routes, to be put before Gradio's own.

    Args:
        endpoints: what programs call.
        ask: the page's function.
        page_id: the component that it belongs to.
        uploads: where photos are written.
    """
    router = APIRouter(include_in_schema=False)
    limits = endpoints.limits
    threads = anyio.CapacityLimiter(limits.max_waiting + 8)

    @router.post("/gradio_api/upload")
    @router.post("/gradio_api/upload/")
    async def upload(request: Request) -> JSONResponse:
        return JSONResponse(await _written(request, uploads, limits))

    @router.post("/gradio_api/component_server")
    @router.post("/gradio_api/component_server/")
    async def component_server(request: Request) -> Response:
        call = checked(PageCall, read_json(await request.body()))
        if (call.component_id, call.fn_name) != (page_id, ask.__name__):
            raise HTTPException(404, "there is no such function; the page has one, ask")
        return ORJSONResponse(await anyio.to_thread.run_sync(ask, call.data, limiter=threads))

    @router.post("/gradio_api/run/{name}")
    @router.post("/gradio_api/run/{name}/")
    async def run(name: EndpointName, request: Request) -> JSONResponse:
        call = checked(DirectCall, read_json(await request.body()))
        answer = await anyio.to_thread.run_sync(endpoints.called, name, call.data, limiter=threads)
        return JSONResponse({"data": [answer], "is_generating": False})

    return router


async def _written(request: Request, uploads: Uploads, limits: Limits) -> list[str]:
    """The paths of the files of a form.

    Raises:
        HTTPException: the body is no form with files.
        PhotoSizeError: one is too large.
        StorageError: the disk refused.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(400, "send a multipart form with photos as files named files")
    parser = MultiPartParser(request.headers, request.stream(), max_files=MOST_FILES, max_fields=20)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        reason = getattr(error, "message", None) or "it is damaged"
        raise HTTPException(400, f"the form cannot be read: {reason}") from error
    try:
        files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
        if not files:
            raise UsageError("no photo was given: send one as a file named files")
        for file in files:
            if (file.size or 0) > limits.max_upload_bytes:
                raise PhotoSizeError(
                    f"{plain_name(file.filename)} has {(file.size or 0) / 1e6:,.1f} MB; "
                    f"send {limits.max_upload_mb:g} MB or less"
                )
        return [
            await anyio.to_thread.run_sync(uploads.write, _file_name(file.filename), file.file)
            for file in files
        ]
    finally:
        await form.close()


def _file_name(sent: str | None) -> str:
    """A name that every file system takes; what a photo is called is taken from it later."""
    name = plain_name(sent).lstrip(".") or "photo"
    return name.encode()[-200:].decode(errors="ignore")  # 80 characters may have 320 bytes
