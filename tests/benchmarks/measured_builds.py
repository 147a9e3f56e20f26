"""Builds by the command line in processes of their own, and what they say of themselves."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.index.index import open_index
from indexer.index.manifest import Manifest


@dataclass(frozen=True)
class MeasuredBuild:
    """A finished build."""

    manifest: Manifest
    wall_s: float
    """Of the process, from its start to its end."""
    peak_gb: float
    index_bytes: int

    @property
    def seconds(self) -> dict[str, float]:
        """Where the time went, by what a reader asks for."""
        parts = self.manifest.seconds
        groups = {
            "reading": ("reading (beside)", "preprocessing (beside)"),
            "waiting for reading": ("waiting for imagery",),
            "forward": ("imagery encoder",),
            "sampling": ("dense sampling", "location encoder", "keeping token maps"),
            "writing units": ("writing units (beside)",),
            "waiting for writing": ("waiting for the disk",),
            "the index's files": ("vector stores", "token maps", "cell table", "hashing"),
            "planning": ("planning", "identifying the imagery"),
        }
        return {name: sum(parts.get(p, 0.0) for p in group) for name, group in groups.items()}


def measured_build(argv: Sequence[str], name: str, out: Path) -> MeasuredBuild:
    """Run a build to its end."""
    since = time.perf_counter()
    command = [sys.executable, "-m", "indexer", "build", *argv, "--name", name, "--out", str(out)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    wall_s = time.perf_counter() - since
    index = open_index(out / name)
    peak = re.search(r"peak memory: ([\d.]+) GB", run.stdout)
    size = sum(file.stat().st_size for file in index.path.iterdir())
    return MeasuredBuild(index.manifest, wall_s, float(peak[1]) if peak else 0.0, size)


def described(build: MeasuredBuild) -> list[str]:
    """Lines for people."""
    m = build.manifest
    total_s = m.seconds["total"]
    return [
        f"{m.cells_indexed:,} cells, {m.frames['count']:,} frames, {m.computed['units']} units, "
        f"{m.computed['precision']}: {total_s:.1f} s, {m.cells_indexed / total_s:,.0f} cells/s, "
        f"peak memory {build.peak_gb:.2f} GB, index {build.index_bytes / 1e6:,.0f} MB",
        "  " + ", ".join(f"{part} {seconds:.1f} s" for part, seconds in build.seconds.items()),
    ]
