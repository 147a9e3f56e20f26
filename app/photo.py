"""The upload box: hands on the file that was chosen, byte for byte, without opening it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from gair.errors import PhotoError


def photo_box(**options: Any) -> gr.Image:  # noqa: ANN401 - passed on to gr.Image
    """An image box whose handlers get the path of the original file.

    Gradio's own box opens an image before any handler runs: a broken one becomes a traceback, a
    small file of 169 megapixels is decoded, and another mode or orientation is re-encoded. This one
    leaves the file alone, so that what is searched is what was chosen, and the engine judges it.
    It also refuses web addresses, which Gradio would download on behalf of whoever sends them.

    The methods are replaced on the object, because Gradio writes a .pyi file beside every
    module that derives a class from a component.
    """
    box = gr.Image(type="filepath", image_mode=None, **options)
    keep_upload = box.async_move_resource_to_block_cache

    async def keep_upload_only(url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is not None and "://" in str(url_or_file_path):
            raise _refusal("a photo comes as an uploaded file; web addresses are not fetched")
        return await keep_upload(url_or_file_path)

    box.example_payload = example_upload  # type: ignore[method-assign]
    box.preprocess = path_of_upload  # type: ignore[method-assign]
    box.async_move_resource_to_block_cache = keep_upload_only  # type: ignore[method-assign]
    return box


def path_of_upload(payload: ImageData | None) -> str | None:
    """Where an uploaded file lies; None without one.

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


def uploaded_file(path: str) -> Path:
    """The file of an upload, checked to be still there.

    Raises:
        PhotoError: The server has deleted it already.
    """
    file = Path(path)
    if not file.is_file():
        raise PhotoError("the server has deleted this photo by now; choose it again")
    return file


def _refusal(message: str) -> gr.Error:
    return gr.Error(message, print_exception=False)
