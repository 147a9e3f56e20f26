"""Numbers of a report as people read them, and names of methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from indexer.search.wording import square_km as square_km

SHORT: Mapping[str, str] = {
    "answer": "this index",
    "centre": "the best cell's centre",
    "without_ground": "without reference photos",
    "ground": "reference photos alone",
    "nearest_photo": "the nearest reference photo",
    "imagery": "imagery alone",
    "location": "location alone",
    "nili": "NILI",
    "bilinear": "bilinear",
    "mean": "global mean",
    "density": "where photos are taken",
    "blind": "a random cell",
}
"""In legends and tables."""

ABOUT: Mapping[str, str] = {
    "answer": "What a search answers: the points that people are shown.",
    "centre": "The same places before they are refined: the centres of their cells.",
    "without_ground": "The same answer with no weight for reference photos.",
    "ground": "Cells are ranked by what the reference photos around them say only.",
    "nearest_photo": "The place of the reference photo that looks most alike: place recognition.",
    "imagery": "Cells are ranked by the imagery's embedding only.",
    "location": "Cells are ranked by the embedding of their coordinates only.",
    "nili": "The imagery is read at each cell by the model's own interpolation (NILI).",
    "bilinear": "The imagery's raw tokens are interpolated at each cell, without the model's NILI.",
    "mean": "Each cell has the mean of the raw tokens of the image frame around it.",
    "density": "The photo is not looked at: every answer is where most calibration photos are.",
    "blind": "The photo is not looked at: any cell is as likely as any other.",
}
"""A sentence each."""

OFFSET_MODES: Mapping[str, str] = {
    "nili": "NILI",
    "frame": "NILI, mean of the frame",
    "bilinear": "raw tokens, bilinear",
    "bicubic": "raw tokens, bicubic",
    "mean": "raw tokens, mean of the frame",
}
"""The ways to read imagery in the offset test."""

Numbers = Mapping[str, Any]

Format = Callable[[float], str]


def metres(value: float) -> str:
    """A distance: ``203 m``, ``4.3 km``."""
    if value < 995:
        return f"{value:,.0f} m"
    return f"{value / 1000:,.1f} km" if value < 9950 else f"{value / 1000:,.0f} km"


def radius(radius_m: float) -> str:
    """A radius as it was chosen: ``200 m``, ``2.5 km``."""
    return f"{radius_m / 1000:g} km" if radius_m >= 1000 else f"{radius_m:g} m"


def percent(value: float) -> str:
    """A share: ``14.8 %``, ``0.24 %``; never a rounded 0 or 100 that is neither."""
    share = 100 * value
    if 0 < share < 0.995:
        return f"{share:.2f} %" if share >= 0.005 else f"{share:.1g} %"
    return f"{share:.1f} %" if share < 99.95 or share == 100 else ">99.9 %"


def plain(value: float) -> str:
    """A number: a count, or one with three digits."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def decimals(value: float) -> str:
    """A small number with three decimals."""
    return f"{value:.3f}"


def shown(value: float | str, form: Format) -> str:
    """A number of ``report.json``, where infinity is text."""
    if isinstance(value, str):
        return {"inf": "∞", "-inf": "−∞"}.get(value, "–")
    return form(value)


def span(measured: Numbers, form: Format) -> str:
    """An interval: ``12.1 to 18.0 %``; the unit is said once where both ends share it."""
    low, high = shown(measured["low"], form), shown(measured["high"], form)
    unit = low.rsplit(" ", 1)[-1]
    if " " in low and high.endswith(f" {unit}"):
        low = low.rsplit(" ", 1)[0]
    return f"{low} to {high}"
