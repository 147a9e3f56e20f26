"""Description of a data set in a few lines: how much, where, when, whose, what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.dataset.shards import ShardedDataset
from training.dataset.shards.schema import read_manifest


def info_lines(folder: Path, *, verify: bool) -> list[str]:
    """Describe a data set.

    Args:
        folder: the data set's.
        verify: whether to read every file and compare its sha256.

    Raises:
        DatasetError: There is none, or a file is missing or damaged.
    """
    manifest, digest = read_manifest(folder)
    splits = [ShardedDataset.open(folder, name, verify=verify) for name in manifest["splits"]]
    size_mb = sum(shard["size_bytes"] for shard in manifest["shards"].values()) / 1e6
    lines = [
        f"data set {folder}, {size_mb:,.1f} MB, {digest[:12]}",
        *(["  SYNTHETIC: made up, of no real place"] if manifest["synthetic"] else []),
    ]
    for split in splits:
        counts = manifest["splits"][split.split]
        west, south = split.lonlat_deg.min(axis=0)
        east, north = split.lonlat_deg.max(axis=0)
        lines.append(
            f"  {split.split:9} {counts['photos']:,} photos, {counts['footprints']:,} footprints, "
            f"{counts['frames']:,} frames, {counts['places']:,} places; "
            f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"
            + (", drawn in training" if split.is_drawn else "")
        )
    days = sorted({day for split in splits for dates in split.dates for day in dates})
    dated = [day for day in days if day]
    headings = sum(int(np.isfinite(split.heading_deg).sum()) for split in splits)
    lines += [
        f"  frames    {manifest['footprint_mercator_m']:,.0f} Web-Mercator metres; "
        f"{_days(dated)}{', some of unknown day' if dated and '' in days else ''}",
        f"  headings  of {headings:,} photos",
        f"  licences  {_counted(manifest['licences'])}",
        f"  sources   {_counted(manifest['sources'])}",
        f"  imagery   {'; '.join(manifest['attributions']) or 'no credit asked'}",
        f"  left out  {_counted(manifest['left_out']) or 'nothing'}",
    ]
    if drawn := manifest.get("drawn"):
        worlds_mb = sum(city["size_bytes"] for city in drawn["cities"].values()) / 1e6
        lines.insert(
            -1,
            f"  drawn     photos of {', '.join(drawn['splits'])}: other places and conditions "
            f"({drawn['mix']}) in each epoch, from {len(drawn['cities']):,} cities in worlds/ "
            f"({worlds_mb:,.0f} MB)",
        )
    if verify:
        lines.append(f"  verified  {len(manifest['shards']):,} files are as they were written")
    return lines


def _days(days: list[str]) -> str:
    if not days:
        return "unknown days"
    return days[0] if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"


def _counted(counts: dict[str, int], most: int = 8) -> str:
    """``name: count`` of the most frequent ones."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name}: {count:,}" for name, count in ordered[:most])
    return shown + (f", and {len(ordered) - most:,} others" if len(ordered) > most else "")
