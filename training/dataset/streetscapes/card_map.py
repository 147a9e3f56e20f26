"""Where the photos of a data set were taken: the world, and its largest cities, by split."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

COLOURS = {"train": "#4269d0", "val": "#efb118", "test": "#ff725c"}
_LARGEST = 6
_MOST_POINTS = 200_000


def draw_map(photos: pa.Table) -> bytes:
    """A PNG; the same photos give the same bytes.

    Args:
        photos: columns lon_deg, lat_deg, place, split.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lonlat = np.stack([photos["lon_deg"].to_numpy(), photos["lat_deg"].to_numpy()], axis=1)
    place = np.array(photos["place"].to_pylist())
    split = np.array(photos["split"].to_pylist())
    counts = Counter(place.tolist())
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:_LARGEST]
    rows = -(-len(largest) // 3)
    figure = Figure(figsize=(12, 6 + 3.6 * rows), dpi=100)
    FigureCanvasAgg(figure)
    edges = {"left": 0.06, "right": 0.98, "bottom": 0.04, "top": 0.96, "hspace": 0.25}
    grid = figure.add_gridspec(1 + rows, 3, height_ratios=[6, *[3.6] * rows], **edges)
    _world(figure.add_subplot(grid[0, :]), lonlat, place, split, counts)
    for number, name in enumerate(largest):
        axes = figure.add_subplot(grid[1 + number // 3, number % 3])
        here = place == name
        _points(axes, lonlat[here], split[here])
        axes.set_title(f"{name}: {counts[name]:,}", fontsize=9)
        axes.set_aspect(1 / max(np.cos(np.radians(lonlat[here, 1].mean())), 0.05), "datalim")
        axes.tick_params(labelsize=7)
        axes.ticklabel_format(useOffset=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _world(axes: Any, lonlat: Any, place: Any, split: Any, counts: Counter[str]) -> None:  # noqa: ANN401
    """A dot a place, its area by the number of photos."""
    largest = max(counts.values())
    for name, colour in COLOURS.items():
        in_split = split == name
        if not in_split.any():
            continue
        names, first = np.unique(place[in_split], return_index=True)
        sizes = [10 + 140 * counts[str(n)] / largest for n in names]
        x, y = lonlat[in_split][first].T
        axes.scatter(x, y, s=sizes, c=colour, alpha=0.7, linewidths=0, label=name)
    axes.set(xlim=(-180, 180), ylim=(-85, 85), xlabel="longitude", ylabel="latitude")
    axes.set_xticks(range(-180, 181, 30))
    axes.set_yticks(range(-60, 61, 30))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(f"{len(lonlat):,} photos of {len(counts):,} places", fontsize=11)
    axes.legend(loc="lower left", frameon=False)


def _points(axes: Any, lonlat: Any, split: Any) -> None:  # noqa: ANN401
    step = max(1, len(lonlat) // _MOST_POINTS)
    for name, colour in COLOURS.items():
        x, y = lonlat[split == name][::step].T
        axes.scatter(x, y, s=min(max(2000 / len(lonlat), 3), 20), c=colour, linewidths=0)
