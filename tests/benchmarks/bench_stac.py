"""Greater London from a STAC catalogue on loopback, with synthetic imagery laid over it.

The build runs as its own process, so its memory is its own: once with an empty cache, once with a
full one. ``GAIR_BENCH_MODEL=untrained:base`` takes the released architecture instead of a small one
that leaves imagery the larger share of the work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench_london import compare
from file_server import Served
from measuring import report
from stac_london import london_scenes
from stac_world import published

SUMMER = "2024-05-01/2024-07-31"
DAYS = ("2024-06-01", "2024-06-11", "2024-07-01")
# What ru_maxrss tells includes the parent, which holds all scenes while it publishes them.
PROGRAM = """
import sys
from indexer.commands.cli import main
status = main(sys.argv[1:])
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(f"most memory: {int(most.split()[1]) * 1024 / 1e9:.2f} GB")
sys.exit(status)
"""


def test_london_from_a_catalogue(tmp_path: Path) -> None:
    with published(tmp_path, london_scenes(DAYS)) as world:
        runs = [_build(world.url, world.files, tmp_path) for _ in range(2)]
    for name, (seconds, megabytes, requests, manifest, said) in zip(
        ("empty cache", "full cache"), runs, strict=True
    ):
        spent = manifest["seconds"]
        report(
            f"london, {manifest['cells_indexed']:,} cells, {manifest['frames']['count']} frames, "
            f"{manifest['model']['name']}, {name}",
            f"wall {seconds:.0f} s, of it waiting for imagery "
            f"{spent.get('waiting for imagery', float('nan')):.0f} s",
            f"{megabytes:,.0f} MB in {requests:,} requests for pixels",
            *said,
        )
    assert runs[1][2] == 0
    assert runs[0][3]["missing"] == runs[1][3]["missing"] == {}


def test_london_from_a_catalogue_killed_twenty_times(tmp_path: Path) -> None:
    """The released architecture; each of the two builds fetches for itself."""
    with published(tmp_path, london_scenes(DAYS)) as world:
        argv = ["--region", "london", "--imagery", f"stac:{world.url}", "--dates", SUMMER]
        argv += ["--imagery-cache", str(tmp_path / "cache"), "--model", "untrained:base", "--quiet"]
        own_cache = ["--imagery-cache", str(tmp_path / "cache of the killed")]
        whole = compare(argv, tmp_path, 20, seed=0, only_killed=own_cache)
    assert whole.manifest.cells_in_region == 116_589


def _build(url: str, files: Served, folder: Path) -> tuple[float, float, int, Any, list[str]]:
    model = os.environ.get("GAIR_BENCH_MODEL", "untrained:tiny")
    requests, sent = len(files.log), files.bytes_sent
    flags = ["--region", "london", "--imagery", f"stac:{url}", "--dates", SUMMER]
    flags += ["--imagery-cache", str(folder / "cache"), "--out", str(folder), "--model", model]
    since = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "build", *flags],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - since
    info = [sys.executable, "-m", "indexer", "info", "--json", "--indexes", str(folder)]
    manifest = json.loads(subprocess.run(info, check=True, capture_output=True).stdout)
    told = [line.strip() for line in run.stdout.splitlines() if line.startswith("most memory")]
    told += [f"said before: {line}" for line in run.stderr.splitlines() if "about" in line]
    return seconds, (files.bytes_sent - sent) / 1e6, len(files.log) - requests, manifest, told
