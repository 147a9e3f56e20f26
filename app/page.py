"""The layout: photo and ranked places on the left, the map on the right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.examples import MOST_EXAMPLES, Sample, thumbnail_jpeg
from app.handlers import KEPT_SECONDS, ExampleHandler, SearchHandlers, share_to_start
from app.options import TileSource
from app.photo import photo_box
from app.views.examples import examples_html
from app.views.header import IndexFacts, header_html
from app.views.map import NO_PLACES, map_background
from app.views.places import busy_html, empty_html, error_html

if TYPE_CHECKING:
    from indexer.geolocate import Geolocator

STATIC_ROUTE = "gair-static"
"""Where the server serves ``app/static``, relative to the page."""

MAX_WAITING = 32
"""Searches that may wait in line; more are refused at once."""

_MAP_HEAD = f"""\
<link rel="stylesheet" href="{STATIC_ROUTE}/leaflet/leaflet.css">
<script src="{STATIC_ROUTE}/leaflet/leaflet.js"></script>
<script src="{STATIC_ROUTE}/graticule.js"></script>
<script src="{STATIC_ROUTE}/map.js"></script>
<script src="{STATIC_ROUTE}/page.js"></script>"""

_UNFINISHED = (
    "The search did not finish. Try again; if it fails again, the terminal that serves this page "
    "says why."
)

_SHOW_IF_STILL_THERE = """\
(photo, answered, list, map) => {
  const current = answered && (photo ? photo.path : null) === answered.photo;
  return current ? [answered.list, answered.map] : [list, map];
}"""

_SEND_EXAMPLE = """\
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-gair-example]");
  if (button) trigger("click", { number: Number(button.dataset.gairExample) });
})"""

_FOOTER = (
    '<footer class="gair-foot">Everything runs on the machine that serves this page. Map drawn '
    "with Leaflet 1.9.4 (BSD-2-Clause).</footer>"
)


def build_page(
    geo: Geolocator,
    tiles: TileSource | None = None,
    examples: Sequence[Sample] = (),
    imagery_share: float | None = None,
) -> gr.Blocks:
    """The page of one open index, ready to be launched.

    Args:
        geo: What answers the searches.
        tiles: Background map; None for the index's outline alone.
        examples: Photos to try with one click; the first 24 are offered.
        imagery_share: Weight of the imagery to start with, 0 to 1; as calibrated, or half, if None.

    Raises:
        PhotoError: An example cannot be read.
    """
    facts = IndexFacts.of(geo)
    page: gr.Blocks
    with gr.Blocks(
        title=f"{facts.name} · GAIR Geolocator",
        analytics_enabled=False,
        delete_cache=(60, KEPT_SECONDS),
        fill_width=True,
    ) as page:
        _html(header_html(facts), elem_id="gair-header")
        with gr.Row(elem_id="gair-main", equal_height=False):
            with gr.Column(elem_id="gair-side", scale=4, min_width=320):
                photo = _photo_box()
                if examples:
                    _examples(examples[:MOST_EXAMPLES], photo)
                places, share = _settings(share_to_start(geo, imagery_share))
                found = _html(empty_html(KEPT_SECONDS // 60), elem_id="gair-found")
            with gr.Column(elem_id="gair-stage", scale=7, min_width=320):
                drawn = _map(geo, tiles)
        _html(_FOOTER, elem_id="gair-footer")
        handlers = SearchHandlers(geo)
        _search_from_page(handlers, facts, [photo, places, share], [found, drawn])
        _search_from_programs(handlers, photo)
    page.queue(max_size=MAX_WAITING)
    return page


def _photo_box() -> gr.Image:
    return photo_box(
        label="Street photo",
        show_label=False,
        sources=["upload", "webcam", "clipboard"],
        placeholder="# Drop a street photo\nor click to choose one",
        height=280,
        buttons=["fullscreen"],
        elem_id="gair-photo",
        alt_text="the photo to be located",
    )


def _examples(samples: Sequence[Sample], photo: gr.Image) -> None:
    """Small pictures; a click puts the photo itself, byte for byte, where an upload goes."""
    synthetic = all(sample.synthetic for sample in samples)
    pictures = [thumbnail_jpeg(sample.photo) for sample in samples]
    _html(
        examples_html(pictures, synthetic=synthetic),
        js_on_load=_SEND_EXAMPLE,
        elem_id="gair-examples",
    ).click(
        ExampleHandler(samples, photo).chosen,
        outputs=[photo],
        show_progress="hidden",
        api_visibility="private",
    )


def _settings(imagery_share: float) -> tuple[gr.Slider, gr.Slider]:
    with gr.Accordion("Settings", open=False, elem_id="gair-settings"):
        places = gr.Slider(1, 20, value=5, step=1, label="Places to show")
        share = gr.Slider(
            0,
            1,
            value=imagery_share,
            step=0.01,
            label="Weight of the imagery",
            info="The location embedding gets the rest. Probabilities are known only for the "
            "weight that a calibration found.",
        )
    return places, share


def _map(geo: Geolocator, tiles: TileSource | None) -> gr.HTML:
    return _html(
        NO_PLACES,
        html_template='<div class="gair-map" role="region" aria-label="Map of the places"></div>',
        js_on_load="gairMap.mount(element.querySelector('.gair-map'), props, watch)",
        head=_MAP_HEAD,
        background=map_background(geo.index.outline, tiles),
        elem_id="gair-map",
    )


def _html(value: object, **options: Any) -> gr.HTML:  # noqa: ANN401 - passed on to gr.HTML
    options.setdefault("js_on_load", None)
    return gr.HTML(value, apply_default_css=False, **options)


def _search_from_page(
    handlers: SearchHandlers, facts: IndexFacts, inputs: list[Any], outputs: list[Any]
) -> None:
    """Search whenever photo or settings change: busy at once, then the places.

    Gradio has no order between a slow search and a later change, so a search only answers into
    ``answered``, and the browser shows that if it is about the photo that is there by then.
    """
    photo, places, imagery_share = inputs
    answered = gr.JSON(visible=False)
    searching = gr.on(
        [photo.change, places.release, imagery_share.release],
        fn=None,
        js=_busy_js(facts.cells),
        inputs=[photo],
        outputs=outputs,
        show_progress="hidden",
    ).then(
        handlers.for_page,
        inputs=inputs,
        outputs=[answered],
        show_progress="hidden",
        concurrency_id="search",
        concurrency_limit=1,
        trigger_mode="always_last",
        api_visibility="private",
    )
    searching.success(
        fn=None,
        js=_SHOW_IF_STILL_THERE,
        inputs=[photo, answered, *outputs],
        outputs=outputs,
        show_progress="hidden",
    )
    searching.failure(
        fn=None,
        js=f"() => {json.dumps([error_html(_UNFINISHED), NO_PLACES])}",
        outputs=outputs,
        show_progress="hidden",
    )


def _busy_js(cells: int) -> str:
    busy = json.dumps([busy_html(cells), NO_PLACES])
    empty = json.dumps([empty_html(KEPT_SECONDS // 60), NO_PLACES])
    return f"(photo) => photo ? {busy} : {empty}"


def _search_from_programs(handlers: SearchHandlers, photo: gr.Image) -> None:
    """The one public endpoint. Its other inputs exist only as the schema of the call."""
    gr.Button(visible=False).click(
        handlers.for_programs,
        inputs=[
            photo,
            gr.Number(5, label="k", precision=0, visible=False),
            gr.Number(None, label="rs_weight", visible=False),
            gr.Number(None, label="location_weight", visible=False),
        ],
        outputs=gr.JSON(visible=False, label="answer"),
        api_name="search",
        api_description="Find where a street photo may have been taken; returns the answer.",
        concurrency_id="search",
    )
