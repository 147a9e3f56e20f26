"""From what became of each photo to the numbers of a report, each with its interval.

Numbers are plain JSON types: ``{"value", "low", "high"}``, distances in metres, shares from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from indexer.evaluate.baselines import BIN_M, BlindPicks
from indexer.evaluate.bootstrap import Resamples, as_json
from indexer.evaluate.judge import Outcomes
from indexer.evaluate.metrics import KS, geoscores, recall_by_area, within

Numbers = dict[str, Any]

AREA_SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5)
"""Parts of the index's area that are searched, for the table of recall against area."""
QUANTILES = {"median_m": 0.5, "p75_m": 0.75, "p90_m": 0.9}
ONE_PERCENT = "1%"
"""Name of the k that is one cell in a hundred."""


@dataclass(frozen=True)
class Scale:
    """What an index can be judged by."""

    radii_m: tuple[float, ...]
    """That its cells can be judged by, ascending."""
    cells: int
    area_m2: float
    worldwide: bool


def method_numbers(outcomes: Outcomes, scale: Scale, resamples: Resamples) -> Numbers:
    """All numbers of one way to answer, over all photos that were listed."""
    radii_m = scale.radii_m
    numbers = error_numbers(outcomes.error_m, scale, resamples)
    numbers["recall_places"] = {
        str(k): by_radius(outcomes.near_places_m[:, column], radii_m, resamples)
        for column, k in enumerate(KS)
    }
    numbers["recall_cells"] = {
        name: by_radius(outcomes.near_cells_m[:, column], radii_m, resamples)
        for column, name in enumerate([*map(str, KS), ONE_PERCENT])
    }
    numbers["median_rank"] = resamples.quantile(outcomes.rank, 0.5).to_json()
    in_first = outcomes.rank <= max(1, round(scale.cells / 100))
    numbers["cell_in_first_1_percent"] = resamples.mean(in_first).to_json()
    numbers["recall_by_area"] = _recall_by_area(outcomes.searched_m2, scale, resamples)
    for name, share in (("half_found_km2", 0.5), ("nine_in_ten_found_km2", 0.9)):
        numbers[name] = resamples.quantile(outcomes.searched_m2 / 1e6, share).to_json()
    return numbers


def error_numbers(error_m: Floats, scale: Scale, resamples: Resamples) -> Numbers:
    """What (P,) distances from the best guess to the truth say."""
    answered = error_m[np.isfinite(error_m)]
    numbers: Numbers = {
        name: resamples.quantile(error_m, share).to_json() for name, share in QUANTILES.items()
    }
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
    found = resamples.shares(within(searched_m2, areas_m2))
    return [
        {"share_of_area": share, "km2": area_m2 / 1e6, "found": measured.to_json()}
        for share, area_m2, measured in zip(AREA_SHARES, areas_m2, found, strict=True)
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
        found = picks.found(k).sum(axis=0) / max(1, photos)
        return {f"{r:g}": {"value": float(v)} for r, v in zip(scale.radii_m, found, strict=True)}

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


def slice_numbers(
    outcomes: Outcomes, rows: npt.NDArray[np.int64], scale: Scale, seed: int, resamples: int
) -> Numbers:
    """The headline numbers of some of the photos."""
    drawn = Resamples(len(rows), resamples=resamples, seed=seed)
    error_m = outcomes.error_m[rows]
    return {
        "photos": len(rows),
        "without_answer": int(np.isinf(error_m).sum()),
        "median_m": drawn.quantile(error_m, 0.5).to_json(),
        "p90_m": drawn.quantile(error_m, 0.9).to_json(),
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
            key: recall_by_area(one.error_m, distances).tolist() for key, one in outcomes.items()
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
            key: recall_by_area(one.searched_m2 / 1e6, km2 * (1 + 1e-9)).tolist()
            for key, one in outcomes.items()
        },
        "chance": (shares * inside).tolist(),
    }
