"""Card of a data set: what is in it, whose it is, what is not in it and why.

``README.md`` and ``map.png`` beside the shards; both follow from the data set alone, so writing
them again changes nothing.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gair.files import write_whole
from training.dataset.shards.schema import PHOTOS_FOLDER, read_manifest
from training.dataset.streetscapes.providers import LICENCE
from training.dataset.streetscapes.selection import lonlat_deg_of

CARD_FILE, MAP_FILE = "README.md", "map.png"

_MOST_CITIES = 60
_COLUMNS = ["lon_deg", "lat_deg", "place", "captured_at", "licence", "source"]


def write_card(folder: Path) -> None:
    """Write the card of a data set that is complete.

    Raises:
        DatasetError: it cannot be read.
        StorageError: the disk refused.
    """
    manifest, _ = read_manifest(folder)
    photos = photos_of(folder, manifest)
    write_whole(folder / MAP_FILE, draw_map(photos))
    write_whole(folder / CARD_FILE, card(manifest, photos).encode())


def photos_of(folder: Path, manifest: Mapping[str, Any]) -> pa.Table:
    """A row a photo, with its split, in the order of the shards."""
    tables = []
    for name in sorted(manifest["shards"]):
        if name.startswith(f"{PHOTOS_FOLDER}/"):
            table = pq.read_table(folder / name, columns=_COLUMNS)
            split = Path(name).name.split("-")[0]
            tables.append(table.append_column("split", pa.array([split] * len(table))))
    return pa.concat_tables(tables)


def card(manifest: Mapping[str, Any], photos: pa.Table) -> str:
    """The card as Markdown."""
    facts = manifest["facts"]
    build = facts.get("streetscapes", {})
    years = Counter(day[:4] if day else "unknown" for day in photos["captured_at"].to_pylist())
    return "\n".join(
        [
            "# Street photos and Sentinel-2 frames",
            "",
            *(["**SYNTHETIC: made up, of no real place.**", ""] if manifest["synthetic"] else []),
            f"{len(photos):,} photos of {len(set(photos['place'].to_pylist())):,} places, made by "
            "`python -m training.dataset streetscapes`; read it with `training.dataset.shards`.",
            "",
            f"![Where the photos were taken]({MAP_FILE})",
            "",
            *_splits(manifest),
            *_counted("City", Counter(photos["place"].to_pylist()), most=_MOST_CITIES),
            *_counted("Year of capture", years, by_name=True),
            *_counted("Source", Counter(photos["source"].to_pylist())),
            *_counted("Licence of the photo", Counter(photos["licence"].to_pylist())),
            *_imagery(manifest, facts),
            *_left_out(manifest, build),
            *_terms(),
            "## How it was made",
            "",
            "```json",
            json.dumps(build.get("recipe", {}), indent=1, sort_keys=True),
            "```",
            "",
        ]
    )


def _splits(manifest: Mapping[str, Any]) -> list[str]:
    lines = ["| split | photos | footprints | frames | places |", "|---|---:|---:|---:|---:|"]
    for name, counts in manifest["splits"].items():
        cells = (f"{counts[key]:,}" for key in ("photos", "footprints", "frames", "places"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Whole cities are in one split, and footprints of different splits keep the distance that "
        "the recipe below says.",
        "",
    ]


def _counted(
    title: str, counts: Counter[str], *, most: int | None = None, by_name: bool = False
) -> list[str]:
    """A table of counts, the most frequent first or by name."""
    ordered = sorted(counts.items(), key=lambda item: (0 if by_name else -item[1], item[0]))
    shown = ordered[:most]
    lines = [f"| {title} | photos |", "|---|---:|"]
    lines += [f"| {_plain(name)} | {count:,} |" for name, count in shown]
    if rest := ordered[len(shown) :]:
        lines.append(f"| {len(rest):,} others | {sum(count for _, count in rest):,} |")
    return [*lines, ""]


def _imagery(manifest: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    days = [layer["day"] for layer in facts.get("imagery", []) if layer.get("day")]
    span = f"of {min(days)} to {max(days)}" if days else "of unknown days"
    return [
        "## Imagery",
        "",
        f"Sentinel-2, ten bands, {span}; footprints of {manifest['footprint_mercator_m']:,.0f} "
        "Web-Mercator metres. "
        + " ".join(f"{_plain(credit)}." for credit in manifest["attributions"]),
        "",
    ]


def _left_out(manifest: Mapping[str, Any], build: Mapping[str, Any]) -> list[str]:
    """Every photo that was listed and is not here, by stage and reason."""
    choosing = Counter(build.get("left_out_choosing", {}))
    fetching = Counter(build.get("left_out_fetching", {}))
    packing = Counter(manifest["left_out"]) - choosing - fetching
    lines = [
        "## What was left out",
        "",
        f"{build.get('candidates', 0):,} photos were listed, {build.get('chosen', 0):,} chosen and "
        f"{build.get('fetched', 0):,} fetched in good order.",
        "",
        "| while | reason | photos |",
        "|---|---|---:|",
    ]
    for stage, counts in (("choosing", choosing), ("fetching", fetching), ("packing", packing)):
        lines += [
            f"| {stage} | {_plain(reason)} | {count:,} |"
            for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]
    return [*lines, ""]


def _terms() -> list[str]:
    return [
        "## Terms",
        "",
        f"Photos of Mapillary and KartaView are {LICENCE} "
        "(https://creativecommons.org/licenses/by-sa/4.0/): name the credit in the column "
        "`attribution` with every photo that you show, and share what you adapt under the same "
        "licence. Providers blur faces and number plates; cameras' tags were taken out here. A "
        "photo that its author takes back is found by its id: `photo_id` ends with the provider's.",
        "",
    ]


def _plain(text: str) -> str:
    """Text that Markdown takes as it is, in a table too."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in " ".join(str(text).split()))


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

    lonlat = lonlat_deg_of(photos)
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
