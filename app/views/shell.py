"""Page before any question: bar, photos, examples, panels, map. ``static/`` brings it to life."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from app.views.claim import claim_empty_html
from app.views.markup import esc
from app.views.places import empty_html

_MARK = """\
<svg class="gair-mark" viewBox="0 0 40 40" aria-hidden="true">
<path class="gair-mark-cell" d="M20 2.5 35.2 11.2v17.6L20 37.5 4.8 28.8V11.2z"/>
<path class="gair-mark-pin" d="M20 9.6a7.4 7.4 0 0 0-7.4 7.4c0 5.3 7.4 13.6 7.4 13.6s7.4-8.3 \
7.4-13.6A7.4 7.4 0 0 0 20 9.6zm0 10.2a2.8 2.8 0 1 1 0-5.6 2.8 2.8 0 0 1 0 5.6z"/></svg>"""
_THEME_ICON = """\
<svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="7"/>\
<path d="M10 3a7 7 0 0 1 0 14z"/></svg>"""
_TABS = (("locate", "Locate"), ("claim", "Check a claim"), ("explore", "Explore"))
_KINDS = "image/jpeg,image/png,image/webp,image/tiff,image/gif,image/bmp,image/avif"
RADII_M = (100, 200, 500, 1000, 2000, 5000)
"""Radii that a claim can be tested at; calibration knows these."""
_START_RADIUS_M = 500


def shell_html(
    names: Sequence[str],
    start: str,
    thumbnails: Sequence[bytes] = (),
    *,
    synthetic: bool = False,
    minutes_kept: int,
) -> str:
    """The whole page.

    Args:
        names: Indexes to choose from.
        start: The one that is shown first.
        thumbnails: JPEG files of the examples.
        synthetic: Whether the examples show no place on Earth.
        minutes_kept: How long the server keeps an uploaded photo.
    """
    examples = examples_html(thumbnails, synthetic=synthetic) if thumbnails else ""
    return (
        f'<div class="gair-app" data-gair-tab="locate">{_bar_html(names, start)}'
        '<div id="gair-index-line"><p class="gair-line" id="gair-facts"></p>'
        '<div id="gair-warnings"></div></div>'
        '<div class="gair-main"><div class="gair-side"><div class="gair-photos" id="gair-photos">'
        f'{_drop_html()}{examples}<div id="gair-photo-facts"></div></div>'
        f'<div class="gair-panels">{_locate_html(minutes_kept)}{_claim_html()}'
        f'{_explore_html()}</div></div><div class="gair-stage" id="gair-stage">'
        '<div class="gair-map" role="region" aria-label="Map of the places"></div></div></div>'
        '<p class="gair-foot">Everything runs on the machine that serves this page. Map drawn '
        "with Leaflet 1.9.4 (BSD-2-Clause).</p>"
        '<p class="gair-hidden" role="status" aria-live="polite" id="gair-status"></p></div>'
    )


def _bar_html(names: Sequence[str], start: str) -> str:
    options = "".join(
        f'<option value="{esc(name)}"{" selected" if name == start else ""}>{esc(name)}</option>'
        for name in names
    )
    tabs = "".join(
        f'<button type="button" role="tab" id="gair-tab-{key}" data-gair-show="{key}" '
        f'aria-controls="gair-panel-{key}" aria-selected="{str(not n).lower()}"'
        f"{' tabindex=-1' if n else ''}>{name}</button>"
        for n, (key, name) in enumerate(_TABS)
    )
    return (
        f'<header class="gair-bar"><div class="gair-brand">{_MARK}<h1>GAIR Geolocator</h1></div>'
        f'<nav class="gair-tabs" role="tablist" aria-label="What to do">{tabs}</nav>'
        f'<label class="gair-choose"><span>Index</span><select id="gair-index">{options}</select>'
        '</label><button type="button" class="gair-icon-button" data-gair-theme '
        f'aria-label="Switch between light and dark">{_THEME_ICON}</button></header>'
    )


def _drop_html() -> str:
    return (
        '<div class="gair-drop" id="gair-drop"><input type="file" id="gair-file" multiple '
        f'accept="{_KINDS}" aria-label="Choose street photos">'
        f'<input type="file" id="gair-file-add" multiple accept="{_KINDS}" hidden '
        'aria-label="Add photos of the same place">'
        '<label for="gair-file"><b>Drop a street photo</b><span>or click to choose; several of '
        "one place count together</span></label>"
        '<p class="gair-links"><button type="button" data-gair-camera>Take one</button>'
        '<button type="button" data-gair-paste>Paste</button></p></div>'
        '<ul class="gair-strip" id="gair-strip" aria-label="Photos"></ul>'
    )


def _panel_html(key: str, content: str) -> str:
    return (
        f'<section role="tabpanel" id="gair-panel-{key}" aria-labelledby="gair-tab-{key}"'
        f"{'' if key == 'locate' else ' hidden'}>{content}</section>"
    )


def _locate_html(minutes_kept: int) -> str:
    settings = (
        '<details class="gair-card gair-fold" id="gair-settings"><summary>Settings<span '
        'id="gair-settings-said"></span></summary><div class="gair-fields">'
        '<label>Places to show<span class="gair-pair"><input type="range" min="1" max="20" '
        'step="1" value="5" data-gair-setting="k" aria-label="Places to show, slider">'
        '<input type="number" min="1" max="20" step="1" value="5" data-gair-setting="k" '
        'aria-label="Places to show"></span></label>'
        '<label>Weight of the imagery<span class="gair-pair"><input type="range" min="0" max="1" '
        'step="0.01" value="0.5" data-gair-setting="share" aria-label="Weight of the imagery, '
        'slider"><input type="number" min="0" max="1" step="0.01" value="0.5" '
        'data-gair-setting="share" aria-label="Weight of the imagery"></span></label>'
        '<p class="gair-fine">The location embedding gets the rest. Probabilities are known only '
        'for the weight that a calibration found. <button type="button" data-gair-reset>Start '
        "values</button></p></div></details>"
    )
    return _panel_html("locate", f'<div id="gair-found">{empty_html(minutes_kept)}</div>{settings}')


def _claim_html() -> str:
    radii = "".join(
        f'<option value="{r}"{" selected" if r == _START_RADIUS_M else ""}>{r / 1000:g} km</option>'
        if r >= 1000
        else f'<option value="{r}"{" selected" if r == _START_RADIUS_M else ""}>{r} m</option>'
        for r in RADII_M
    )
    form = (
        '<form class="gair-card gair-claim" id="gair-claim"><label for="gair-claim-text">Claimed '
        'place</label><input id="gair-claim-text" autocomplete="off" spellcheck="false" '
        'placeholder="51.50735, -0.12776" aria-describedby="gair-claim-help">'
        '<p class="gair-fine" id="gair-claim-help">Decimal, degrees and minutes, or the address '
        "of a map; or click on the map.</p>"
        '<div class="gair-pair"><label>Within <select id="gair-claim-radius">'
        f'{radii}</select></label><button type="submit" class="gair-go">Check</button></div></form>'
    )
    return _panel_html("claim", f'{form}<div id="gair-verdict">{claim_empty_html()}</div>')


def _explore_html() -> str:
    compare = (
        '<section class="gair-card" id="gair-compare"><h3>Compare two photos</h3>'
        '<p class="gair-fine" id="gair-compare-help">Add two photos above.</p>'
        '<p class="gair-links"><button type="button" class="gair-go" data-gair-compare disabled>'
        'Compare</button></p><div id="gair-comparison"></div></section>'
    )
    return _panel_html("explore", f'<div id="gair-explored"></div>{compare}')


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
