"""Sample photos to try with one click."""

from __future__ import annotations

import base64
from collections.abc import Sequence


def examples_html(thumbnails: Sequence[bytes], *, synthetic: bool) -> str:
    """A button for each photo, and where the photos are from.

    The pictures are part of the page, so that nothing has to be fetched for them.

    Args:
        thumbnails: JPEG files.
        synthetic: Whether the photos show no place on Earth.
    """
    buttons = "".join(map(_button_html, range(1, len(thumbnails) + 1), thumbnails))
    origin = "<span>synthetic city, no place on Earth</span>" if synthetic else ""
    return (
        '<section class="gair-examples" aria-labelledby="gair-examples-name">'
        f'<h2 id="gair-examples-name">Or try an example{origin}</h2>'
        f"<div>{buttons}</div></section>"
    )


def _button_html(number: int, jpeg: bytes) -> str:
    name = f"Example photo {number}"
    return (
        f'<button type="button" data-gair-example="{number}" title="{name}">'
        f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="{name}">'
        "</button>"
    )
