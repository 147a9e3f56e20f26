"""Verdict on a claimed place: its numbers, and a plot of how other places do beside it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from app.views.markup import coordinates, distance, esc, notice_html, rows_html, share
from indexer.probability.verdicts import CANNOT_TELL, CONSISTENT, OUTSIDE, UNLIKELY, Verdict

_TONES = {CONSISTENT: "good", UNLIKELY: "bad", CANNOT_TELL: "open", OUTSIDE: "open"}
_TITLES = {
    CONSISTENT: "Consistent",
    UNLIKELY: "Unlikely",
    CANNOT_TELL: "Cannot tell",
    OUTSIDE: "Not in this index",
}
_WIDTH, _HEIGHT, _TOP, _BASE = 380.0, 132.0, 22.0, 104.0
_BINS = 38
_LEAST = 1e-12
"""Masses below are drawn at the left edge."""


def claim_empty_html() -> str:
    """What the panel says before a claim is tested."""
    return (
        '<section class="gair-card gair-empty"><h2>Was the photo taken there?</h2>'
        '<p class="gair-fine">Add a photo, then type coordinates or click on the map. The place '
        "is compared with every other place of the index: the answer says how many do as well, "
        "and how often such a claim is right or wrong.</p></section>"
    )


def verdict_html(verdict: Verdict, photo: str, gps_lonlat_deg: tuple[float, float] | None) -> str:
    """A verdict, its numbers and its plot.

    Args:
        verdict: From the index.
        photo: Name of the photo, or of the first of several.
        gps_lonlat_deg: What the photo's tags say; told beside the claim, never used.
    """
    tone = _TONES[verdict.verdict]
    note = notice_html("grave", verdict.note[:1].upper() + verdict.note[1:]) if verdict.note else ""
    return (
        f'<section class="gair-card gair-verdict gair-verdict-{tone}">{note}'
        f'<p class="gair-kicker">Claim: {coordinates(verdict.lon_deg, verdict.lat_deg)}, within '
        f'{distance(verdict.radius_m)}</p><h2><span class="gair-verdict-word">'
        f'{_TITLES[verdict.verdict]}</span><span class="gair-photo-name">{esc(photo)}</span></h2>'
        f'<p class="gair-sentence">{esc(verdict.sentence)}</p>{plot_svg(verdict)}'
        f"{rows_html(_rows(verdict, gps_lonlat_deg))}</section>"
    )


def _rows(verdict: Verdict, gps: tuple[float, float] | None) -> list[tuple[str, str]]:
    def told(value: float | None) -> str:
        return "" if value is None else share(value)

    rank = "" if verdict.rank is None else f"{verdict.rank:,} of {verdict.compared + 1:,}"
    percentile = "" if verdict.percentile is None else f"{verdict.percentile:.1f}"
    return [
        ("Rank among places", rank),
        ("Percentile", percentile),
        ("Probability of the disc", share(verdict.mass) if verdict.rank is not None else ""),
        ("p, elsewhere does as well", told(verdict.p_elsewhere)),
        ("p, a false claim does as well", told(verdict.p_false)),
        ("p, a true claim does as badly", told(verdict.p_true)),
        ("Photo's own tags, not used", coordinates(*gps) if gps else ""),
    ]


def plot_svg(verdict: Verdict) -> str:
    """How the other places do, as a histogram, and where the claim stands among them."""
    masses = verdict.masses_elsewhere
    if masses is None or not len(masses):
        return ""
    logs = np.log10(np.maximum([*masses.tolist(), verdict.mass], _LEAST))
    low, high = math.floor(logs.min()), math.ceil(logs.max() + 1e-9)
    high = max(high, low + 1)
    counts, _ = np.histogram(logs[:-1], bins=_BINS, range=(low, high))
    own = (float(logs[-1]) - low) / (high - low)
    words = (
        f"Histogram of {len(masses):,} other places by the probability of their disc; the claim "
        f"does better than {verdict.percentile or 0:.0f} % of them."
    )
    return (
        f'<figure class="gair-plot"><svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{esc(words)}">{_bars(counts, own)}{_axis(low, high)}{_marker(own)}</svg>'
        f"<figcaption>Probability of discs this large, {len(masses):,} other places</figcaption>"
        "</figure>"
    )


def _bars(counts: npt.NDArray[np.int64], own: float) -> str:
    """Bars as high as the square root of their counts, so that single places are seen."""
    step = _WIDTH / len(counts)
    heights = np.sqrt(counts / max(1, counts.max())) * (_BASE - _TOP)
    return "".join(
        f'<rect class="{"gair-above" if (n + 0.5) / len(counts) >= own else "gair-below"}" '
        f'x="{n * step + 0.5:.1f}" y="{_BASE - height:.1f}" width="{step - 1:.1f}" '
        f'height="{height:.1f}"/>'
        for n, height in enumerate(heights.tolist())
        if height > 0
    )


def _axis(low: int, high: int) -> str:
    every = max(1, math.ceil((high - low) / 5))
    marks = []
    for power in range(low, high + 1, every):
        x = (power - low) / (high - low) * _WIDTH
        anchor = "start" if power == low else "end" if power == high else "middle"
        text = f"{100 * 10.0**power:g} %" if power >= -5 else f"10^{power}"
        marks.append(f'<text x="{x:.1f}" y="{_BASE + 16:g}" text-anchor="{anchor}">{text}</text>')
    return f'<path class="gair-axis" d="M0 {_BASE:g}H{_WIDTH:g}"/>{"".join(marks)}'


def _marker(own: float) -> str:
    x = own * _WIDTH
    anchor = "start" if own < 0.15 else "end" if own > 0.85 else "middle"
    return (
        f'<path class="gair-claim-line" d="M{x:.1f} {_TOP - 6:g}V{_BASE:g}"/>'
        f'<text class="gair-claim-text" x="{x:.1f}" y="{_TOP - 10:g}" text-anchor="{anchor}">'
        "the claim</text>"
    )
