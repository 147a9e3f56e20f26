"""What tests of resumed builds share: a build of many small units, and ways to end it early."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from repository import REPOSITORY
from small_builds import tiny_model
from warm_processes import WarmProcess

from gair.geo import Footprint
from indexer.build.build import BuildOptions, BuildReport, build_index
from indexer.build.engine import Engine
from indexer.imagery import FramePixels, LocalImagery, open_imagery
from indexer.index.storage import work_folders
from indexer.regions.region import Region, region_from_bbox

CITY_WSEN_DEG = (-0.142, 51.488, -0.078, 51.522)
"""Nearly all of the made-up city, and some ground outside it."""
RESOLUTION = 9
UNIT_FRAMES = 3
"""So that there are many units."""


def city_region() -> Region:
    return region_from_bbox(CITY_WSEN_DEG, "city")


class Watched:
    """Real imagery, with something that happens before a frame is read."""

    def __init__(self, inner: LocalImagery, before_read: Callable[[int], None]) -> None:
        self._inner = inner
        self._before_read = before_read
        self.reads = 0
        self.coverage = inner.coverage
        self.resolution_m = inner.resolution_m
        self.warnings = inner.warnings
        self.describe = inner.describe
        self.by_day = inner.by_day

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        self._before_read(self.reads)
        self.reads += 1
        return self._inner.read(footprint, shape)


def build_city(
    city: Path,
    out: Path,
    *,
    before_read: Callable[[int], None] = lambda _: None,
    engine: Engine | None = None,
    name: str = "city",
    quiet: bool = True,
    resolution: int = RESOLUTION,
    **options: Any,
) -> tuple[BuildReport, int]:
    """The report of a build in this process, and how many frames it read."""
    with open_imagery(city) as inner:
        imagery = Watched(inner, before_read)
        chosen = BuildOptions(
            resolution=resolution, quiet=quiet, **{"frames_a_unit": UNIT_FRAMES, **options}
        )
        report = build_index(
            name, city_region(), imagery, tiny_model(), out, options=chosen, engine=engine
        )
    return report, imagery.reads


def build_argv(city: Path, out: Path, *more: str) -> list[str]:
    bbox = ",".join(map(str, CITY_WSEN_DEG))
    argv = ["build", "--imagery", str(city), "--model", "untrained:tiny", f"--bbox={bbox}"]
    argv += ["--resolution", str(RESOLUTION), "--name", "city", "--out", str(out)]
    argv += ["--unit-frames", str(UNIT_FRAMES)]
    return [*argv, *more]


def start(argv: Sequence[str], program: Sequence[str] = ("-m", "indexer")) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    return WarmProcess(
        [sys.executable, *program, *argv],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished_units(index_folder: Path) -> list[Path]:
    """The records of all units that are done."""
    return sorted(f for work in work_folders(index_folder) for f in work.glob("units/*.json"))


def wait_for_units(index_folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Return when so many units are done, or the process has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if len(finished_units(index_folder)) >= count:
            return
        time.sleep(0.002)


def content(report: BuildReport) -> dict[str, Any]:
    """What must be the same of two equal builds: every byte, and the rows of the cell table."""
    files = {name: record for name, record in report.manifest.files.items()}
    del files["cells.duckdb"]
    return {"files": files, "content": report.manifest.content_sha256}
