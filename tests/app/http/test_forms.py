"""Forms that do not come to their end leave nothing behind in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.datastructures import Headers

from app.http.routes import FormParser
from gair.errors import BusyError


def test_files_are_let_go_where_there_is_no_room_for_the_rest() -> None:
    """At once, not when the garbage of the error is collected."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        yield bytes(100_000)
        raise BusyError("too many photos are being sent at once")

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    parser = FormParser(headers, stream())
    with pytest.raises(BusyError) as error:
        asyncio.run(parser.parse())
    assert error.traceback  # what it holds is still there
    (file,) = parser._files_to_close_on_error
    assert file.closed
