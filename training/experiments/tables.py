"""Tables of an evaluation, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.retrieval import KS, RADII_M, recall_name


def markdown(unseen: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]]) -> str:
    """Both tables, each with its heading; chance is the last row."""
    parts = []
    for title, rows in (
        ("A city that no training saw, from imagery alone", unseen),
        ("Held-out blocks of a city that was trained on otherwise", seen),
    ):
        if not rows:
            continue
        first = rows[0]
        parts.append(
            f"**{title}**: {first['area_km2']:,.0f} km2, {first['cells']:,.0f} cells, "
            f"{first['photos']:,.0f} photos\n\n{table(rows)}"
        )
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One row a model, and chance; recalls in percent, the error in metres."""
    recalls = [(k, radius_m) for radius_m in RADII_M for k in KS]
    heads = [f"R@{k} {_distance(radius_m)}" for k, radius_m in recalls]
    lines = [
        "| | " + " | ".join([*heads, "median error"]) + " |",
        "|---" + "|---:" * (len(recalls) + 1) + "|",
    ]
    names = [recall_name(k, radius_m) for k, radius_m in recalls]
    for row in rows:
        lines.append(_line(row["label"], [row[n] for n in names], row["median_error_m"]))
    chance = rows[0]
    lines.append(
        _line("chance", [chance[f"chance_{n}"] for n in names], chance["chance_median_error_m"])
    )
    return "\n".join(lines)


def _line(label: str, recalls: Sequence[float], error_m: float) -> str:
    cells = [label, *(f"{recall:.1%}" for recall in recalls), f"{error_m:,.0f} m"]
    return "| " + " | ".join(cells) + " |"


def _distance(radius_m: float) -> str:
    return f"{radius_m / 1000:g} km" if radius_m >= 1000 else f"{radius_m:g} m"
