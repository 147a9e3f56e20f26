"""Cards of the ranked places, of a cell, of photo files, and of a verdict with its plot.

What a photo's tags say is told and never used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.views.templates import render
from app.views.wording import distance
from indexer.probability.verdicts import CANNOT_TELL, CONSISTENT, OUTSIDE, UNLIKELY, Verdict
from indexer.search.answer import NOT_IN_INDEX, Answer
from indexer.search.maps.ground_picture import Chip
from indexer.search.wording import decision_kind, decision_said, elsewhere_said, likely_means

_TONES = {CONSISTENT: "good", UNLIKELY: "bad", CANNOT_TELL: "open", OUTSIDE: "open"}
_TITLES = {
    CONSISTENT: "Consistent",
    UNLIKELY: "Unlikely",
    CANNOT_TELL: "Cannot tell",
    OUTSIDE: "Not in this index",
}
_BINS = 38
_LEAST = 1e-12
"""Masses below are drawn at the left edge."""


def verdict_html(verdict: Verdict, photo: str, gps_lonlat_deg: tuple[float, float] | None) -> str:
    """A verdict, its numbers and its plot.

    Args:
        verdict: From the index.
        photo: Name of the photo, or of the first of several.
        gps_lonlat_deg: What the photo's tags say; told beside the claim, never used.
    """
    return render(
        "verdict.html",
        verdict=verdict,
        tone=_TONES[verdict.verdict],
        title=_TITLES[verdict.verdict],
        photo=photo,
        gps_lonlat_deg=gps_lonlat_deg,
        plot=_Plot.of(verdict),
    )


@dataclass(frozen=True)
class _Plot:
    """A histogram of the other places by the probability of their disc, powers of ten across."""

    heights: list[float]
    """Of the bars, 0 to 1."""
    low: int
    """Power of ten at the left edge."""
    high: int
    """Power of ten at the right edge."""
    every: int
    """Powers from one mark of the axis to the next."""
    own: float
    """Where the claim stands, share of the width."""
    others: int
    percentile: float

    @classmethod
    def of(cls, verdict: Verdict) -> _Plot | None:
        """The plot of a verdict; None where there are no other places."""
        masses = verdict.masses_elsewhere
        if masses is None or not len(masses):
            return None
        logs = np.log10(np.maximum([*masses.tolist(), verdict.mass], _LEAST))
        low, high = math.floor(logs.min()), math.ceil(logs.max() + 1e-9)
        high = max(high, low + 1)
        counts, _ = np.histogram(logs[:-1], bins=_BINS, range=(low, high))
        return cls(
            # Square roots, so that single places are seen.
            heights=np.sqrt(counts / max(1, counts.max())).tolist(),
            low=low,
            high=high,
            every=max(1, math.ceil((high - low) / 5)),
            own=(float(logs[-1]) - low) / (high - low),
            others=len(masses),
            percentile=verdict.percentile or 0,
        )


def places_html(
    answer: Answer,
    seconds: float,
    standing_warnings: tuple[str, ...] = (),
    chips: Mapping[int, Chip] | None = None,
) -> str:
    """An answer: the best guess, and the ranked list.

    Args:
        answer: What the search returned.
        seconds: How long it took.
        standing_warnings: Warnings that the top of the page shows already; not repeated.
        chips: Satellite pictures by rank.
    """
    return render(
        "places.html",
        answer=answer,
        seconds=seconds,
        fresh=[warning for warning in answer.warnings if warning not in standing_warnings],
        not_in_index=NOT_IN_INDEX,
        chips=chips or {},
        elsewhere="" if answer.elsewhere is None else elsewhere_said(answer.elsewhere),
        decision=None
        if (decision := answer.decision) is None
        else (decision_kind(decision, distance), decision_said(decision)),
        meaning=likely_means(answer, distance(answer.merge_radius_m)) if answer.calibrated else "",
    )


@dataclass(frozen=True)
class CellFacts:
    """One cell, as the photos see it."""

    h3_cell: str
    lon_deg: float
    lat_deg: float
    rs_score: float | None
    """Cosine with the imagery; None before there is a photo."""
    location_score: float | None
    ground_score: float | None
    """Log ratio of the reference photos around; None where the index has none."""
    fused: float | None
    """Probability of the cell, or its score."""
    probable: bool
    """Whether ``fused`` is a probability."""
    rank: int | None
    """Among all cells, 1 for the best."""
    cells: int
    """How many there are."""
    chip: Chip | None


def cell_html(facts: CellFacts) -> str:
    """A card for the map."""
    return render("cell.html", facts=facts, lonlat_deg=(facts.lon_deg, facts.lat_deg))


def outside_html(lon_deg: float, lat_deg: float) -> str:
    """What is said of a point that no cell holds."""
    return render("cell.html", facts=None, lonlat_deg=(lon_deg, lat_deg))


@dataclass(frozen=True)
class PhotoFacts:
    """One photo file."""

    name: str
    size_bytes: int
    size_px: tuple[int, int] | None
    """Width and height as stored; None where they cannot be read."""
    gps_lonlat_deg: tuple[float, float] | None
    """What its EXIF tags disclose."""
    heading_deg: float | None
    captured_at: str | None
    """When the camera says it was taken, ISO 8601."""
    from_best_m: float | None = None
    """From there to the best guess."""


def facts_html(photos: Sequence[PhotoFacts]) -> str:
    """A note for each photo that carries coordinates, and the facts of all, folded away."""
    return render("facts.html", photos=photos)
