"""The same numbers for parts of the photos, by what a column of their manifest says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.evaluate.judge import Outcomes
from indexer.evaluate.summary import Scale, slice_numbers

if TYPE_CHECKING:
    from indexer.photos.listing import ListedPhoto

MOST_VALUES = 12
"""Rows of one table; numbers beyond are grouped by quarters, words as ``other``."""
OTHER, NOTHING = "(other)", "(empty)"

_RESAMPLES = 1000


def slice_tables(
    photos: Sequence[ListedPhoto],
    outcomes: Outcomes,
    scale: Scale,
    columns: Sequence[str],
    seed: int,
) -> list[dict[str, Any]]:
    """A table a column; every photo is in one row of each.

    Args:
        photos: with the columns as ``extra``.
        outcomes: of the same photos.
        scale: of the index.
        columns: which.
        seed: of the resamples.
    """
    tables = []
    for column in columns:
        labels = np.array(grouped([photo.extra.get(column, "") for photo in photos]), dtype=object)
        values = list(dict.fromkeys(sorted(labels, key=_order)))
        rows = [
            {"value": value}
            | slice_numbers(outcomes, np.flatnonzero(labels == value), scale, seed, _RESAMPLES)
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
    known = np.isfinite(numbers)
    if known[[bool(value) for value in values]].all() and known.any():
        edges = np.unique(np.quantile(numbers[known], [0, 0.25, 0.5, 0.75, 1]))
        quarter = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
        return [
            f"{edges[q]:g} to {edges[q + 1]:g}" if ok else NOTHING
            for q, ok in zip(quarter, known, strict=True)
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
