"""Tables of results: rows that were measured, published, or not run and why."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PERCENT = ("mIoU", "macro F1", "top-1", "top-3", "accuracy")
"""Beginnings of metrics that tables give in percent."""


@dataclass(frozen=True)
class Row:
    """One encoder on one task."""

    model: str
    """Name and how it was used, such as ``demo, frozen``."""
    scores: tuple[Mapping[str, float], ...] = ()
    """Of each seed; empty if it was not run."""
    not_run: str = ""
    """Why not."""
    fingerprint: str = ""
    """Of the GAIR model that was used; empty for others."""


@dataclass(frozen=True)
class Section:
    """One task: its rows share the columns."""

    title: str
    pipeline: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    about: str = ""
    """What was fitted and tested on."""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metric to model to value."""
    task: str = ""
    """Its name on the command line; empty for a synthetic one."""
    published_source: str = ""
    """Where the published values are from."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with mean and deviation of each metric; null is not finite."""
        values = dataclasses.asdict(self)
        for row, plain in zip(self.rows, values["rows"], strict=True):
            plain["scores"] = [_plain(scores) for scores in row.scores]
            plain["mean"] = _plain({m: mean_sd(row, m)[0] for m in self.metrics if row.scores})
            plain["sd"] = _plain({m: mean_sd(row, m)[1] for m in self.metrics if row.scores})
        return values


def mean_sd(row: Row, metric: str) -> tuple[float, float]:
    """Mean over the seeds and the sample's standard deviation; 0 for a single seed."""
    values = np.array([scores[metric] for scores in row.scores], dtype=np.float64)
    with np.errstate(invalid="ignore"):  # of infinitely bad scores
        return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def markdown(sections: Sequence[Section]) -> str:
    """One table a task, under the heading of its pipeline; the best of each column is bold."""
    parts: list[str] = []
    pipeline = ""
    for section in sections:
        if section.pipeline != pipeline:
            pipeline = section.pipeline
            parts.append(f"### {pipeline[0].upper()}{pipeline[1:]}")
        about = f": {section.about}" if section.about else ""
        parts.append(f"**{section.title}**{about}\n\n{_table(section)}")
    return "\n\n".join(parts) + "\n"


def _table(section: Section) -> str:
    heads = [f"{m} (%)" if m.startswith(PERCENT) else m for m in section.metrics]
    lines = [
        "| | " + " | ".join(heads) + " |",
        "|---" + "|---:" * len(heads) + "|",
    ]
    best = {m: _best(section, m) for m in section.metrics}
    for row in section.rows:
        if not row.scores:
            reason = " | ".join(["-"] * len(section.metrics))
            lines.append(f"| {row.model}: not run: {row.not_run} | {reason} |")
            continue
        cells = [_cell(row, m, best[m]) for m in section.metrics]
        lines.append(f"| {row.model} | " + " | ".join(cells) + " |")
    models = dict.fromkeys(name for by_model in section.published.values() for name in by_model)
    for model in models:
        values = [section.published.get(m, {}).get(model) for m in section.metrics]
        cells = ["" if v is None else f"{v:g}" for v in values]
        lines.append(f"| {model}, as published | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _best(section: Section, metric: str) -> float | None:
    means = [mean_sd(row, metric)[0] for row in section.rows if row.scores]
    if len(means) < 2:
        return None
    return min(means) if metric in ("MAE", "RMSE") else max(means)


def _cell(row: Row, metric: str, best: float | None) -> str:
    mean, sd = mean_sd(row, metric)
    scale, digits = (100.0, 1) if metric.startswith(PERCENT) else (1.0, 3)
    text = f"{mean * scale:.{digits}f}"
    if len(row.scores) > 1:
        text += f" ± {sd * scale:.{digits}f}"
    return f"**{text}**" if best is not None and mean == best else text
