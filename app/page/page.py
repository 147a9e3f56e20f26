"""Page: one piece of HTML that asks one function. Gradio carries both, uploads and the API.

Gradio's own events are not used between page and server: one that fires while another of its chain
is pending is dropped (``trigger_mode="once"``), and chains have no order between them, so on a busy
machine a click could be lost. The page's script (``static/desk.js``) asks
:meth:`app.page.handlers.Desk.ask` directly, and of two answers shows the one to the later question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.engine.limits import KEPT_SECONDS
from app.examples import MOST_EXAMPLES, Sample, thumbnail_jpeg
from app.http.gradio_endpoints import Endpoints, add_endpoints
from app.options import TileSource, tiles_of
from app.page.handlers import Desk
from app.views.templates import render
from indexer.probability.claims import RADII_M

if TYPE_CHECKING:
    from app.engine.engine import Engine

STATIC_ROUTE = "gair-static"
"""Where the server serves ``app/static``, relative to the page."""

PAGE_ID = "gair-page"
"""The one component of the page, in the document and in Gradio's config."""

STYLES = ("leaflet/leaflet", "page", "places", "claim", "map")
"""Style sheets of the page, in order."""
SCRIPTS = (
    "leaflet/leaflet", "togeojson/togeojson.umd", "graticule", "canvas", "heat", "references",
    "pictures", "overlays", "sun", "draw", "controls", "map", "link", "desk", "photos", "locate",
    "claim", "explore", "similar", "page",
)  # fmt: skip
"""Scripts of the page; each may use those before it."""
HEAD = "\n".join(
    [
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        *(f'<link rel="stylesheet" href="{STATIC_ROUTE}/{name}.css">' for name in STYLES),
        *(f'<script defer src="{STATIC_ROUTE}/{name}.js"></script>' for name in SCRIPTS),
    ]
)
"""What the document's head needs, so that nothing is drawn before its style is there."""

_SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")
_BEGIN = """\
window.gairWaiting = { element, server, upload, props };
if (window.gairPage) window.gairPage.begin();"""
"""Either Gradio or the last script is there last; whichever it is begins."""


def build_page(
    engine: Engine,
    ask: Callable[[Any], dict[str, Any]],
    endpoints: Endpoints,
    *,
    start: str,
    tiles: TileSource | None = None,
    examples: Sequence[Sample] = (),
    examples_note: str = "",
    imagery_share: float | None = None,
) -> gr.Blocks:
    """The page, ready to be launched.

    Args:
        engine: What knows the indexes.
        ask: Answers the page's questions; see :func:`ask_of`.
        endpoints: Answer the programs.
        start: The index that is shown first.
        tiles: Background map; None for the index's outline alone.
        examples: Photos to try with one click; the first 24 are offered.
        examples_note: What to say beside them.
        imagery_share: Weight of the imagery to start with, 0 to 1; as the index starts, if
            None.

    Raises:
        PhotoError: An example cannot be read.
    """
    samples = tuple(examples[:MOST_EXAMPLES])
    page: gr.Blocks
    with gr.Blocks(
        title=f"{start} · GAIR Geolocator", analytics_enabled=False, fill_width=True
    ) as page:
        gr.HTML(
            render(
                "shell.html",
                names=engine.indexes.names(),
                start=start,
                listed=len(examples),
                examples_note=examples_note,
                thumbnails=[thumbnail_jpeg(sample.photo) for sample in samples],
                synthetic=all(sample.synthetic for sample in samples),
                minutes_kept=KEPT_SECONDS // 60,
                radii_m=RADII_M,
            ),
            js_on_load=_BEGIN,
            apply_default_css=False,
            server_functions=[ask],
            tiles=tiles_of(tiles),
            share=imagery_share,
            elem_id=PAGE_ID,
        )
        add_endpoints(endpoints)
    return page


def ask_of(desk: Desk) -> Callable[[Any], dict[str, Any]]:
    """The desk's one function, under the name that the page's script knows."""

    def ask(question: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever was sent
        return desk.ask(question)

    return ask


def component_of(page: gr.Blocks) -> int:
    """The number by which Gradio's page calls the function :func:`ask_of`."""
    return next(number for number, block in page.blocks.items() if block.elem_id == PAGE_ID)


def theme() -> gr.themes.Base:
    """Teal on slate, light and dark, with fonts that every system has: none is downloaded.

    ``static/page.css`` builds on its variables.
    """
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=[gr.themes.Font(name) for name in _SANS],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        border_color_primary_dark="*neutral_800",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
    )
