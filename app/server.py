"""Server of the page and the API: warm before the port opens, finished with before it closes.

One process, one event loop for requests, a bounded pool of threads for photos. Gradio's page is
mounted into an application of our own, so that everything it serves passes :mod:`app.http.guard`
first. There is no telemetry, and uploads live in a folder that only this user can read and that
goes with the server.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.engine.engine import Engine
from app.options import ServerOptions
from gair.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

    from app.engine.uploads import Uploads
    from app.http.guard import Guard

STATIC_DIR = Path(__file__).parent / "static"
SWEEP_S = 15.0
"""How often uploads that were kept long enough are looked for."""
STARTING_S = 30.0
"""How long the port may take to open."""
MOST_SESSIONS = 64
"""Sessions that Gradio keeps, each with a copy of its settings of the page; nothing of ours is in
them, so one that is dropped is made anew."""
FINISHING_S = 10.0
"""How long questions that are being answered when the server stops have."""
EngineMaker = Callable[..., Engine]


@contextmanager
def serving(
    engine_of: EngineMaker, options: ServerOptions, start: str
) -> Iterator[tuple[str, Engine]]:
    """Serve the page until the block ends.

    Args:
        engine_of: makes the engine; called with ``uploads``, the folder of uploads being new.
        options: where to listen.
        start: the index that the page starts with; it is warm before the port opens.

    Yields:
        The address of the page, and the engine behind it.

    Raises:
        UsageError: The address or port cannot be listened on.
        PhotoError: An example cannot be read.
        GairError: The index or its model cannot be used.
    """
    from app.engine.upload_folder import upload_folder

    with upload_folder() as folder, _gradio_settings(str(folder)):
        import PIL.Image

        from app.engine.memory import map_large_buffers
        from app.engine.uploads import Uploads

        map_large_buffers()
        # Pillow's own guard, for whatever opens an image before or besides the engine.
        PIL.Image.MAX_IMAGE_PIXELS = options.limits.max_pixels
        uploads = Uploads(folder, options.limits)
        engine = engine_of(uploads=uploads)
        with contextlib.closing(engine):
            engine.warm(start)
            with _without_proxies():
                app = _application(engine, uploads, options, start)
            with _sweeping(engine), _listening(app, options, engine):
                yield _address(options), engine


def _application(engine: Engine, uploads: Uploads, options: ServerOptions, start: str) -> Guard:
    import anyio
    import gradio as gr
    from starlette.staticfiles import StaticFiles

    from app.examples import MOST_EXAMPLES
    from app.http.bodies import BODIES_BYTES, Bodies
    from app.http.gradio_endpoints import Endpoints
    from app.http.gradio_gate import GradioGate
    from app.http.gradio_routes import gradio_routes
    from app.http.guard import Guard
    from app.http.pictures import pictures_router
    from app.http.routes import api_app
    from app.page.handlers import Desk
    from app.page.page import HEAD, STATIC_ROUTE, ask_of, build_page, component_of, theme

    bodies = Bodies(max(BODIES_BYTES, options.limits.max_request_bytes))
    app = api_app(engine, start, bodies)
    if options.mcp:
        from app.http.mcp import mcp_router

        app.include_router(mcp_router(engine, start, bodies))
    app.include_router(pictures_router(engine))
    app.mount(f"/{STATIC_ROUTE}", StaticFiles(directory=STATIC_DIR))
    endpoints = Endpoints(engine, start)
    ask = ask_of(Desk(engine, uploads, options.examples[:MOST_EXAMPLES]))
    page = build_page(
        engine,
        ask,
        endpoints,
        start=start,
        tiles=options.tiles,
        examples=options.examples,
        examples_note=options.examples_note,
        imagery_share=options.imagery_share,
    )
    app.include_router(gradio_routes(endpoints, ask, component_of(page), uploads))
    page.queue(max_size=options.limits.max_waiting, default_concurrency_limit=None)
    # Threads of its own, so that photos never keep the rest of the page waiting.
    threads = anyio.CapacityLimiter(options.limits.max_waiting + 8)
    page.limiter = threads  # type: ignore[assignment]  # declared as None
    page.state_session_capacity = MOST_SESSIONS
    page.has_launched = True  # only then does Gradio check where files lie
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=options.host,
        server_port=options.port,
        root_path=options.root_path or None,
        theme=theme(),
        head=HEAD,
        favicon_path=str(STATIC_DIR / "favicon.png"),
        max_file_size=options.limits.max_upload_bytes,
        allowed_paths=[],
        footer_links=["api"],
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        run_history=False,
        enable_monitoring=False,
    )
    return Guard(GradioGate(app, page), options, uploads, lambda: engine.admission.closed)


@contextmanager
def _listening(app: Guard, options: ServerOptions, engine: Engine) -> Iterator[None]:
    import uvicorn

    from app.http.connections import BACKLOG, Connection, Connections

    config = uvicorn.Config(
        app,
        http=partial(Connection, Connections()),  # type: ignore[arg-type]  # a class is declared
        backlog=BACKLOG,
        host=options.host.strip("[]"),
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        ws="none",
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    try:
        _wait_until_open(server, thread, options)
        yield
    finally:
        engine.close(FINISHING_S)
        server.should_exit = True
        thread.join(FINISHING_S)


def _wait_until_open(
    server: uvicorn.Server, thread: threading.Thread, options: ServerOptions
) -> None:
    until = time.monotonic() + STARTING_S
    while thread.is_alive() and time.monotonic() < until:
        if server.started:
            return
        time.sleep(0.02)
    raise UsageError(
        f"cannot serve at {options.host} port {options.port}; choose another `port` or `host`"
    )


@contextmanager
def _sweeping(engine: Engine) -> Iterator[None]:
    done = threading.Event()

    def sweep() -> None:
        while not done.wait(SWEEP_S):
            engine.sweep()

    thread = threading.Thread(target=sweep, name="sweeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _address(options: ServerOptions) -> str:
    host = options.host.strip("[]")
    return f"http://{f'[{host}]' if ':' in host else host}:{options.port}{options.root_path}/"


def _gradio_settings(folder: str) -> AbstractContextManager[None]:
    """Settings that Gradio reads from nowhere but the environment."""
    return _environment({"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"})


def _without_proxies() -> AbstractContextManager[None]:
    """No proxies: Gradio makes clients as it is imported, which fail where one cannot be used.

    The page asks no server, so nothing of it needs one. A model that is fetched does, and is by
    then: only Gradio is loaded and set up like this.
    """
    names = (f"{kind}_proxy" for kind in ("http", "https", "all"))
    return _environment({case: None for name in names for case in (name, name.upper())})


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables for a while, or take away those that are None."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
