"""Numbers of a report from what became of each photo, each with its interval.

Numbers are plain JSON types: ``{"value", "low", "high"}``, distances in metres, shares from 0 to 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Floats, Ints
from indexer.evaluate.baselines import BIN_M, BlindPicks
from indexer.evaluate.bootstrap import Resamples, as_json
from indexer.evaluate.judge import Outcomes, Truths
from indexer.evaluate.metrics import KS, geoscores, recall_by_area, within

if TYPE_CHECKING:
    from indexer.photos.listing import ListedPhoto
    from indexer.photos.vectors import PhotoVectors

Numbers = dict[str, Any]

AREA_SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5)
"""Parts of the index's area that are searched, for the table of recall against area."""

QUANTILES = {"median_m": 0.5, "p75_m": 0.75, "p90_m": 0.9}

ONE_PERCENT = "1%"
"""Name of the k that is one cell in a hundred."""

MOST_VALUES = 12
"""Rows of one table; numbers beyond are grouped by quarters, words as ``other``."""

OTHER, NOTHING = "(other)", "(empty)"


@dataclass(frozen=True)
class Scale:
    """Radii, cells and area that an index is judged by."""

    radii_m: tuple[float, ...]
    """That its cells can be judged by, ascending."""
    cells: int
    area_m2: float
    worldwide: bool


def method_numbers(outcomes: Outcomes, scale: Scale, resamples: Resamples) -> Numbers:
    """All numbers of one method, over all photos that were listed."""
    radii_m = scale.radii_m
    numbers = error_numbers(outcomes.error_m, scale, resamples)
    numbers["recall_places"] = recall_places(outcomes, scale, resamples)
    numbers["recall_cells"] = {
        name: by_radius(outcomes.near_cells_m[:, column], radii_m, resamples)
        for column, name in enumerate([*map(str, KS), ONE_PERCENT])
    }
    numbers["median_rank"] = resamples.quantile(outcomes.rank, 0.5).to_json()
    in_first = outcomes.rank <= max(1, round(scale.cells / 100))
    numbers["cell_in_first_1_percent"] = resamples.mean(in_first).to_json()
    numbers["recall_by_area"] = _recall_by_area(outcomes.searched_m2, scale, resamples)
    half, nine_in_ten = resamples.quantiles(outcomes.searched_m2 / 1e6, (0.5, 0.9))
    numbers["half_found_km2"] = half.to_json()
    numbers["nine_in_ten_found_km2"] = nine_in_ten.to_json()
    return numbers


def recall_places(outcomes: Outcomes, scale: Scale, resamples: Resamples) -> Numbers:
    """Share of photos with one of the first k places within each radius, by k."""
    return {
        str(k): by_radius(outcomes.near_places_m[:, column], scale.radii_m, resamples)
        for column, k in enumerate(KS)
    }


def error_numbers(error_m: Floats, scale: Scale, resamples: Resamples) -> Numbers:
    """What (P,) distances from the best guess to the truth say."""
    answered = error_m[np.isfinite(error_m)]
    quantiles = resamples.quantiles(error_m, tuple(QUANTILES.values()))
    numbers: Numbers = {name: of.to_json() for name, of in zip(QUANTILES, quantiles, strict=True)}
    numbers["mean_m"] = resamples.mean(error_m).to_json()
    mean_answered_m = float(answered.mean()) if len(answered) else np.nan
    numbers["mean_answered_m"] = {"value": as_json(mean_answered_m)}
    numbers["accuracy"] = by_radius(error_m, scale.radii_m, resamples)
    if scale.worldwide:
        numbers["geoscore"] = resamples.mean(geoscores(error_m)).to_json()
    return numbers


def by_radius(distance_m: Floats, radii_m: Sequence[float], resamples: Resamples) -> Numbers:
    """Share of photos within each radius, by its metres."""
    shares = resamples.shares(within(distance_m, radii_m))
    return {f"{r:g}": share.to_json() for r, share in zip(radii_m, shares, strict=True)}


def _recall_by_area(searched_m2: Floats, scale: Scale, resamples: Resamples) -> list[Numbers]:
    areas_m2 = [share * scale.area_m2 for share in AREA_SHARES]
    shares = resamples.shares(within(searched_m2, areas_m2))
    return [
        {"share_of_area": share, "km2": area_m2 / 1e6, "found": measured.to_json()}
        for share, area_m2, measured in zip(AREA_SHARES, areas_m2, shares, strict=True)
    ]


def blind_numbers(picks: BlindPicks, failed: int, scale: Scale, outside: int) -> Numbers:
    """The same numbers of a cell picked blindly; exact, so without intervals.

    Args:
        picks: of the photos that could be judged.
        failed: how many others were listed.
        scale: whose radii ``picks`` counted.
        outside: how many of the judged photos are in no cell.
    """
    photos = len(picks.near) + failed
    inside = (len(picks.near) - outside) / max(1, photos)

    def shares(k: int) -> Numbers:
        near = picks.found(k).sum(axis=0) / max(1, photos)
        return {f"{r:g}": {"value": float(v)} for r, v in zip(scale.radii_m, near, strict=True)}

    numbers: Numbers = {
        name: {"value": as_json(picks.quantile_m(share, failed))}
        for name, share in QUANTILES.items()
    }
    mean_m = float(picks.mean_m.mean()) if len(picks.mean_m) else np.nan
    numbers["mean_m"] = {"value": as_json(np.inf if failed else mean_m)}
    numbers["mean_answered_m"] = {"value": as_json(mean_m)}
    numbers["accuracy"] = shares(1)
    numbers["recall_places"] = {str(k): shares(k) for k in KS}
    one_percent = max(1, round(scale.cells / 100))
    numbers["recall_cells"] = {**numbers["recall_places"], ONE_PERCENT: shares(one_percent)}
    middle = _blind_quantile(0.5, inside)
    numbers["median_rank"] = {"value": as_json(middle * (scale.cells + 1))}
    numbers["cell_in_first_1_percent"] = {"value": inside * one_percent / scale.cells}
    numbers["recall_by_area"] = [
        {"share_of_area": s, "km2": s * scale.area_m2 / 1e6, "found": {"value": s * inside}}
        for s in AREA_SHARES
    ]
    for name, share in (("half_found_km2", 0.5), ("nine_in_ten_found_km2", 0.9)):
        numbers[name] = {"value": as_json(_blind_quantile(share, inside) * scale.area_m2 / 1e6)}
    if scale.worldwide:
        middles = (np.arange(len(picks.counts), dtype=np.float64) + 0.5) * BIN_M
        total = float(geoscores(middles) @ picks.counts) / max(1, picks.cells * photos)
        numbers["geoscore"] = {"value": total}
    return numbers


def _blind_quantile(share: float, inside: float) -> float:
    """How much of the index is searched blindly until a share of photos is found."""
    return share / inside if share <= inside else np.inf


def slice_tables(
    photos: Sequence[ListedPhoto],
    outcomes: Outcomes,
    scale: Scale,
    columns: Sequence[str],
    drawn: Resamples,
) -> list[dict[str, Any]]:
    """A table a column; every photo is in one row of each.

    Args:
        photos: with the columns as ``extra``.
        outcomes: of the same photos.
        scale: of the index.
        columns: which.
        drawn: resamples of all photos.
    """
    tables = []
    for column in columns:
        labels = np.array(grouped([photo.extra.get(column, "") for photo in photos]), dtype=object)
        values = list(dict.fromkeys(sorted(labels, key=_order)))
        rows = [
            {"value": value}
            | slice_numbers(outcomes, np.flatnonzero(labels == value), scale, drawn)
            for value in values
        ]
        tables.append({"column": column, "rows": rows})
    return tables


def grouped(values: Sequence[str]) -> list[str]:
    """What each photo is counted under: its value, a quarter of all numbers, or the rest."""
    named = [value or NOTHING for value in values]
    counts = Counter(named)
    if len(counts) <= MOST_VALUES:
        return named
    numbers = np.array([_number(value) for value in values])
    finite = np.isfinite(numbers)
    if finite[[bool(value) for value in values]].all() and finite.any():
        edges = np.unique(np.quantile(numbers[finite], [0, 0.25, 0.5, 0.75, 1]))
        quarter = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
        return [
            f"{edges[q]:g} to {edges[q + 1]:g}" if ok else NOTHING
            for q, ok in zip(quarter, finite, strict=True)
        ]
    kept = {value for value, _ in counts.most_common(MOST_VALUES - 1)}
    return [value if value in kept else OTHER for value in named]


def _order(value: str) -> tuple[bool, float, str]:
    """Numbers by size, then words by letter, then what has no value of its own."""
    number = _number(value.split(" to ")[0])
    return value in (OTHER, NOTHING), number if np.isfinite(number) else np.inf, value


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def slice_numbers(outcomes: Outcomes, rows: Ints, scale: Scale, of_all: Resamples) -> Numbers:
    """The headline numbers of some of the photos."""
    drawn = of_all.of(rows)
    error_m = outcomes.error_m[rows]
    median_m, p90_m = drawn.quantiles(error_m, (0.5, 0.9))
    return {
        "photos": len(rows),
        "without_answer": int(np.isinf(error_m).sum()),
        "median_m": median_m.to_json(),
        "p90_m": p90_m.to_json(),
        "accuracy": by_radius(error_m, scale.radii_m, drawn),
        "recall_places": {
            "10": by_radius(outcomes.near_places_m[rows, KS.index(10)], scale.radii_m, drawn)
        },
        "half_found_km2": drawn.quantile(outcomes.searched_m2[rows] / 1e6, 0.5).to_json(),
    }


def error_curves(
    outcomes: Mapping[str, Outcomes], picks: BlindPicks, failed: int, span_m: float
) -> Numbers:
    """Share of photos within every distance: the figure's data."""
    distances = np.geomspace(10.0, max(span_m, 100.0), 160)
    return {
        "distance_m": distances.tolist(),
        "share": {
            key: recall_by_area(of_method.error_m, distances).tolist()
            for key, of_method in outcomes.items()
        },
        "chance": picks.share_within(distances, failed).tolist(),
    }


def area_curves(outcomes: Mapping[str, Outcomes], scale: Scale, inside: float) -> Numbers:
    """Share of photos found within every area: the figure's data."""
    shares = np.geomspace(1 / max(scale.cells, 2), 1.0, 160)
    km2 = shares * scale.area_m2 / 1e6
    return {
        "share_of_area": shares.tolist(),
        "km2": km2.tolist(),
        "found": {
            key: recall_by_area(of_method.searched_m2 / 1e6, km2 * (1 + 1e-9)).tolist()
            for key, of_method in outcomes.items()
            # A way to answer that ranks no cells has no curve.
            if np.isfinite(of_method.searched_m2).any() or not np.isfinite(of_method.error_m).any()
        },
        "chance": (shares * inside).tolist(),
    }


def photo_rows(photos: PhotoVectors, outcomes: Outcomes, truths: Truths) -> list[dict[str, Any]]:
    """What became of each photo, in the order of the manifest: the data of the map."""
    return [
        {
            "name": photo.name,
            "lonlat_deg": _place(photos.lonlat_deg[number]),
            "best_lonlat_deg": _place(outcomes.shown_lonlat_deg[number]),
            "error_m": as_json(round(float(outcomes.error_m[number]), 1)),
            "rank": as_json(float(outcomes.rank[number])),
            "in_index": bool(truths.cell_row[number] >= 0),
            "failure": photos.failures.get(number, ""),
        }
        for number, photo in enumerate(photos.photos)
    ]


def _place(lonlat_deg: Floats) -> list[float] | None:
    if not np.isfinite(lonlat_deg).all():
        return None
    return [round(float(degrees), 6) for degrees in lonlat_deg]
