"""The file box of the endpoints for programs: hands on a path without touching the file.

Gradio's own image box opens a file before any handler runs: a broken one becomes a traceback, a
small file of 169 megapixels is decoded. It also downloads web addresses on behalf of whoever sends
one, and copies files it is told of. This one does none of that: what it hands on is looked up among
the uploads (:class:`app.uploads.Uploads`), and the engine judges the content.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData


def photo_box(**options: Any) -> gr.Image:  # noqa: ANN401 - passed on to gr.Image
    """An image box whose handlers get the path that was sent, or are not reached.

    The methods are replaced on the object, because Gradio writes a .pyi file beside every
    module that derives a class from a component.
    """
    box = gr.Image(type="filepath", image_mode=None, **options)
    box.example_payload = example_upload  # type: ignore[method-assign]
    box.preprocess = path_of_upload  # type: ignore[method-assign]
    box.async_move_resource_to_block_cache = leave_alone  # type: ignore[method-assign]
    return box


async def leave_alone(url_or_file_path: str | Path | None) -> str | None:
    """The path that was sent; nothing is fetched and nothing is copied.

    Raises:
        gr.Error: it is a web address.
    """
    if url_or_file_path is not None and "://" in str(url_or_file_path):
        raise _refusal("a photo comes as an uploaded file; web addresses are not fetched")
    return None if url_or_file_path is None else str(url_or_file_path)


def path_of_upload(payload: ImageData | None) -> str | None:
    """Where an uploaded file lies, as the client says; None without one.

    Raises:
        gr.Error: The photo came inside the request instead of as a file.
    """
    if payload is None:
        return None
    if payload.path is None:
        raise _refusal("a photo comes as an uploaded file, not as a data: address")
    return payload.path


def example_upload() -> dict[str, Any]:
    """The photo in the example that the page's "Use via API" shows."""
    return {"path": "photo.jpg", "url": "photo.jpg", "meta": {"_type": "gradio.FileData"}}


def _refusal(message: str) -> gr.Error:
    return gr.Error(message, print_exception=False)
