"""Guard around the server: checks on every request before Gradio or the API see it, and headers.

Gradio serves more than this page needs: files by path, files by URL, proxying, tools for
developers. Only the routes of :data:`ROUTES` are let through; everything else is 404. Beyond that:

* **Host.** On a loopback address a request must name a loopback host, or one of ``public_hosts``:
  a web page elsewhere that points its own name at 127.0.0.1 (DNS rebinding) gets nothing.
* **Origin.** A request that changes anything must come from the page itself, if it comes from a
  browser: no other site can use somebody's password or network position to ask in their name.
* **Password.** HTTP Basic on everything but the bare ``/health``, compared in constant time; a
  wrong one costs a second. On networks that you do not trust, put a proxy with TLS in front.
* **Bodies.** Each route has a largest body. What declares more is refused at once, what turns out
  to be more as soon as it is, and a body has to arrive in time. Nothing of it is kept.
* **Files.** ``/gradio_api/file=`` serves uploads that are kept in memory, to the page that sent
  them (nobody can guess a path), and plain files of the upload folder; no URL and no
  other path. What could run as a page is sent as an attachment.
* **Headers** that let a browser run, frame and fetch no more than the page needs.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.engine.limits import Limits
from app.engine.uploads import Uploads, photo_kind
from app.http.bodies import (
    RETRY,
    App,
    Body,
    Message,
    Receive,
    Refusal,
    Scope,
    Send,
    in_one_line,
    inner_path,
    refuse,
    too_large,
)
from app.options import ServerOptions, is_loopback

SMALL = 64_000
"""Bytes of a body that says little."""
QUESTION = 1_000_000
"""Bytes of a question of the page: settings, a polygon, paths of uploads."""
LOGIN_PAUSE_S = 1.0
"""What a wrong password costs."""
MOST_WRONG = 20
"""Wrong passwords that are waited for at once; more are refused without a look."""
FILE = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
HEALTH = "/health"
MCP = "/mcp"
JSON_ONLY = (
    "/mcp",
    "/gradio_api/component_server",
    "/gradio_api/queue/join",
    "/gradio_api/call/",
    "/gradio_api/run/",
    "/gradio_api/cancel",
    "/gradio_api/reset",
)
"""Routes that take no forms, so that no upload is buffered there."""

ENDPOINTS = "search|verify|compare|similar|photos_near"
"""Of Gradio's."""
ROUTES = tuple(
    (re.compile(pattern), methods)
    for pattern, methods in (
        (r"/", "GET HEAD"),
        (r"/(health|openapi\.json|config|theme\.css|favicon\.ico|robots\.txt)/?", "GET HEAD"),
        (r"/manifest\.json", "GET"),
        (r"/(search|verify|compare|similar|photos-near|mcp)", "POST"),
        (r"/(assets|static|gair-static)/[A-Za-z0-9._@+~/-]{1,200}", "GET HEAD"),
        (r"/picture/[A-Za-z0-9._-]{1,64}/[A-Za-z0-9-]{1,40}(/\d{1,7}){4}\.webp", "GET HEAD"),
        (r"/gradio_api/(info|openapi\.json|app_id|startup-events|queue/status)/?", "GET"),
        (r"/gradio_api/(queue/data|upload_progress|user|login_check)/?", "GET"),
        (r"/gradio_api/heartbeat/[A-Za-z0-9_-]{1,64}", "GET"),
        (r"/gradio_api/(queue/join|upload|component_server|cancel|reset)/?", "POST"),
        (rf"/gradio_api/call/(v2/)?({ENDPOINTS})/?", "POST"),
        (rf"/gradio_api/call/(v2/)?({ENDPOINTS})/[A-Za-z0-9_-]{{1,64}}", "GET"),
        (rf"/gradio_api/run/({ENDPOINTS})/?", "POST"),
        (re.escape(FILE) + r".{1,4096}", "GET HEAD"),
    )
)
"""Everything that is served, by path and methods."""


class Guard:
    """ASGI middleware around everything the server has."""

    def __init__(
        self, app: App, options: ServerOptions, uploads: Uploads, stopping: Callable[[], bool]
    ) -> None:
        self._app = app
        self._options = options
        self._limits: Limits = options.limits
        self._uploads = uploads
        self._stopping = stopping
        self._headers = security_headers(options)
        self._hosts = {"127.0.0.1", "localhost", "::1", options.host.strip("[]").lower()}
        self._hosts |= {name.lower() for name in options.public_hosts}
        self._wrong = self._uploading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # nothing here speaks WebSocket
            return await send({"type": "websocket.close", "code": 1008})
        path = inner_path(scope)
        out = self._with_headers(send)
        if refusal := await self._refusal(scope, path):
            return await refuse(scope, out, refusal, receive)
        if path.startswith(FILE):
            # Kept uploads come from memory; the rest goes on to Gradio only if it names a file of
            # the upload folder, links followed.
            shown = path[len(FILE) :]
            if upload := self._uploads.peek(shown):
                return await _send_photo(out, upload.content, scope["method"] == "HEAD")
            if not self._uploads.holds(shown):
                return await refuse(scope, out, Refusal(404, "there is no such file"), receive)
        if path != UPLOAD:
            return await self._with_body(scope, receive, out, self._largest(path))
        if self._uploading >= self._limits.max_waiting:
            return await refuse(
                scope, out, Refusal(429, "too many uploads at once; wait", RETRY), receive
            )
        self._uploading += 1
        try:
            await self._with_body(scope, receive, out, self._largest(path))
        finally:
            self._uploading -= 1

    async def _refusal(self, scope: Scope, path: str) -> Refusal | None:
        """Why a request is not let through; None if it is."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        # Only a loopback address relies on nobody else reaching it, and only there is the set of
        # right names known. A browser that was lured sends the luring page's own name here.
        if is_loopback(self._options.host) and _name_of(host) not in self._hosts:
            return Refusal(
                403, f"this server is not {_short(host)}: start it with --public-host if it is"
            )
        anonymous = self._options.auth is not None and b"authorization" not in headers
        # Monitors ask /health without a password; one that is sent is checked all the same.
        if not (path == HEALTH and anonymous):
            refusal = await self._wrong_password(headers.get(b"authorization", ""))
            if refusal:
                return refusal
            scope["gair.trusted"] = True  # whoever knows the password, or everybody without one
        methods = next((m.split() for r, m in ROUTES if r.fullmatch(path)), None)
        if methods is None or (path == MCP and not self._options.mcp):
            return Refusal(404, "there is nothing here; /openapi.json says what there is")
        if scope["method"] not in methods:
            allow = ((b"allow", ", ".join(methods).encode()),)
            return Refusal(405, f"{_short(path)} takes {' and '.join(methods)}", allow)
        if scope["method"] not in ("GET", "HEAD"):
            return self._refused_change(headers, host, path)
        return None

    def _refused_change(self, headers: dict[bytes, str], host: str, path: str) -> Refusal | None:
        # Browsers send Origin with every request that is no GET, and pages cannot forge it; curl
        # and programs send none, and nobody's password is used against their will there.
        origin = headers.get(b"origin")
        if origin is not None and not self._is_own(origin, host):
            return Refusal(403, f"requests from pages of {_short(origin)} are not answered")
        if self._stopping():
            return Refusal(503, "the server is stopping; ask again later", RETRY)
        declared = headers.get(b"content-length", "0")
        largest = self._largest(path)
        if not declared.isdigit():
            return Refusal(400, "the Content-Length is no number")
        if int(declared) > largest:
            return Refusal(413, too_large(largest))
        kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and path.startswith(JSON_ONLY):
            return Refusal(415, f"{_short(path)} takes application/json")
        if path == UPLOAD and self._uploads.on_disk() > self._limits.kept_mb * 1e6:
            return Refusal(429, "too many photos were uploaded and not asked about; wait", RETRY)
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        # "null" (sandboxed frames, files) has no netloc, and browsers always send a Host.
        try:
            sender = urlsplit(origin)
        except ValueError:  # such as "http://["
            return False
        is_host = sender.netloc.lower() == host.lower()
        return is_host or sender.hostname in self._options.public_hosts

    async def _wrong_password(self, sent: str) -> Refusal | None:
        credentials = self._options.auth
        if credentials is None or credentials.match(sent):
            return None
        ask = ((b"www-authenticate", b'Basic realm="GAIR Geolocator", charset="UTF-8"'),)
        if sent:
            # Those who wait are counted, or guesses in parallel would cost nothing but sockets.
            if self._wrong >= MOST_WRONG:
                return Refusal(429, "too many wrong passwords; wait", RETRY)
            self._wrong += 1
            try:
                await asyncio.sleep(LOGIN_PAUSE_S)
            finally:
                self._wrong -= 1
        return Refusal(401, "user and password are needed, by HTTP Basic", ask)

    def _largest(self, path: str) -> int:
        if path in ("/search", "/verify", "/compare", UPLOAD):
            return self._limits.max_request_bytes
        if path == MCP:
            return self._limits.max_upload_bytes * 4 // 3 + SMALL
        if path.startswith(("/gradio_api/component_server", "/gradio_api/queue/join")):
            return QUESTION
        return QUESTION if path.startswith("/gradio_api/call") else SMALL

    async def _with_body(self, scope: Scope, receive: Receive, send: Send, largest: int) -> None:
        """Run the application on a body that may not grow or take longer than it may."""
        body = Body(receive, send, largest, time.monotonic() + self._limits.timeout_s)
        try:
            await self._app(scope, body.receive, in_one_line(body.send))
        except ClientDisconnect:
            if body.refusal is None:
                return  # nobody is there to be told
        except Exception as error:
            if body.started and isinstance(error.__cause__, HTTPException):
                # A stream that has said why it ends, such as for an event that nobody knows.
                await body.send({"type": "http.response.body", "body": b""})
            elif body.refusal is None:  # a mistake of ours or of Gradio's
                logging.getLogger("uvicorn.error").exception("%s failed", scope["path"])
                body.refusal = Refusal(500, "something went wrong in the server; its log says what")
        if body.refusal and not body.started:
            await refuse(scope, send, body.refusal, receive)

    def _with_headers(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The ones of Gradio and FastAPI give way: two policies would both count.
                mine = {name for name, _ in self._headers}
                kept = [(k, v) for k, v in message.get("headers", []) if k.lower() not in mine]
                message = {**message, "headers": [*kept, *self._headers]}
            await send(message)

        return with_headers


async def _send_photo(send: Send, content: bytes, head: bool) -> None:
    kind = (photo_kind(content) or "application/octet-stream").encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"private, no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else content})


def _name_of(host: str) -> str:
    """The host without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _short(text: str) -> str:
    """What a client sent, fit to be repeated."""
    return repr(text[:80])


def security_headers(options: ServerOptions) -> list[tuple[bytes, bytes]]:
    """What a browser is told with every response.

    Scripts, styles and data come from this server only. Gradio's own page has inline scripts and
    compiles its templates, so ``'unsafe-inline'`` and ``'unsafe-eval'`` cannot be left out; that
    nothing from a photo's metadata becomes markup is the page's work, and what slipped through
    could still reach no other server, frame no page and post no form elsewhere. The map tiles that
    the operator chose are the one thing that may be fetched from another place, without a referrer.
    """
    tiles = ""
    if options.tiles is not None:
        address = urlsplit(options.tiles.url)
        tiles = f" {address.scheme}://{address.netloc.replace('{s}', '*')}"
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": f"'self' data: blob:{tiles}",
        "media-src": "'self' blob: data:",
        "font-src": "'self' data:",
        "connect-src": "'self' blob: data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    values = {
        "content-security-policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    }
    return [(k.encode(), v.encode()) for k, v in values.items()]
