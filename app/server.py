"""Serving the page: on this machine, without telemetry, with uploads in a folder of their own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.options import ServerOptions
from gair.errors import UsageError

if TYPE_CHECKING:
    import gradio as gr

    from indexer.geolocate import Geolocator

STATIC_DIR = Path(__file__).parent / "static"

MAX_UPLOAD = "20mb"
"""Largest photo file that the server takes."""


@contextmanager
def serving(geo: Geolocator, options: ServerOptions) -> Iterator[str]:
    """Serve the page until the block ends.

    Uploads live in a temporary folder that only this user can read and that goes with the server.

    Args:
        geo: What answers the searches.
        options: Where to listen.

    Yields:
        The address of the page.

    Raises:
        UsageError: The address or port cannot be listened on.
        PhotoError: An example cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gair-uploads-") as uploads,
        _environment(GRADIO_TEMP_DIR=uploads, GRADIO_ANALYTICS_ENABLED="False"),
    ):
        import PIL.Image

        from app.page import build_page
        from gair.photos import MAX_PIXELS

        # Pillow's own guard, for whatever opens an image before or besides the engine.
        PIL.Image.MAX_IMAGE_PIXELS = MAX_PIXELS

        page = build_page(geo, options.tiles, options.examples, options.imagery_share)
        try:
            yield _launch(page, options)
        finally:
            page.close(verbose=False)


def _launch(page: gr.Blocks, options: ServerOptions) -> str:
    from app.page import STATIC_ROUTE
    from app.theme import THEME_HEAD, theme

    host = f"[{options.host.strip('[]')}]" if ":" in options.host else options.host
    try:
        _, url, _ = page.launch(
            server_name=host,
            server_port=options.port,
            inbrowser=options.open_browser,
            theme=theme(),
            head=THEME_HEAD,
            css_paths=[STATIC_DIR / "page.css", STATIC_DIR / "map.css"],
            favicon_path=STATIC_DIR / "favicon.png",
            app_kwargs={"routes": [_static_route(STATIC_ROUTE)]},
            max_file_size=MAX_UPLOAD,
            footer_links=["api"],
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,
            enable_monitoring=False,
            show_error=False,
        )
    except OSError as error:
        raise UsageError(
            f"cannot serve at {options.host} port {options.port}; choose another --port or --host"
        ) from error
    return str(url)


def _static_route(route: str) -> Any:  # noqa: ANN401 - a Starlette route
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    return Mount(f"/{route}", app=StaticFiles(directory=STATIC_DIR))


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for a while: Gradio reads some settings from nowhere else."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
