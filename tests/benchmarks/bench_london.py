r"""A city at H3 10, killed with -9 at random moments and resumed: the same hash, what it costs.

Greater London (116,589 cells) with the released architecture, from imagery made up over its
footprint::

    python tests/benchmarks/bench_london.py

or from any imagery that ``--imagery`` of the build takes, here of a part of it::

    python tests/benchmarks/bench_london.py --imagery FILE --kills 5 -- \
        --bbox=-0.2,51.45,0.0,51.55 --model untrained:tiny
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyproj

from indexer.index.index import open_index
from indexer.index.storage import work_folders
from indexer.regions.region import named_region

sys.path.insert(0, str(Path(__file__).parent))

from measured_builds import MeasuredBuild, described, measured_build
from measuring import report
from wide_city import write_wide_city

CRS = "EPSG:27700"
MARGIN_M = 1500.0
"""Frames reach past the region."""
WHOLE_LONDON = ("--region", "london", "--model", "untrained:base")
STARTUP_S = 8.0
"""About what a build takes before its first unit."""


def london_imagery(folder: Path) -> Path:
    """Made-up imagery over Greater London."""
    to_metres = pyproj.Transformer.from_crs("OGC:CRS84", CRS, always_xy=True)
    bounds = named_region("london").bbox_wsen_deg
    west, south, east, north = to_metres.transform_bounds(*bounds, densify_pts=51)
    around = (west - MARGIN_M, south - MARGIN_M, east + MARGIN_M, north + MARGIN_M)
    return write_wide_city(folder / "london.tif", around, CRS)


def kill_and_resume(
    argv: Sequence[str], name: str, out: Path, kills: int, whole_s: float, seed: int
) -> tuple[int, int, float]:
    """Kill builds until there were so many kills, then let one finish.

    Returns:
        How many processes there were, the most bytes of units at a kill, and the seconds in all.
    """
    rng, starts, most_bytes, since = random.Random(seed), 0, 0, time.perf_counter()
    command = [sys.executable, "-m", "indexer", "build", *argv, "--name", name, "--out", str(out)]
    left = kills
    while left:
        starts += 1
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.communicate(timeout=rng.uniform(0, 2 * (STARTUP_S + whole_s / kills)))
            if process.returncode:
                raise SystemExit(f"the build ended with status {process.returncode}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            left -= 1
            print(f"kill {kills - left} of {kills}: {_units(out / name)} units", flush=True)
            files = (f for work in work_folders(out / name) for f in work.rglob("*"))
            most_bytes = max(most_bytes, sum(f.stat().st_size for f in files if f.is_file()))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return starts + 1, most_bytes, time.perf_counter() - since


def _units(index_folder: Path) -> int:
    return sum(len(list(work.glob("units/*.json"))) for work in work_folders(index_folder))


def compare(
    argv: Sequence[str], out: Path, kills: int, seed: int, only_killed: Sequence[str] = ()
) -> MeasuredBuild:
    """A build in one go beside one that is killed and resumed; they must hold the same.

    ``only_killed`` are further flags of the second.
    """
    load = os.getloadavg()[0]
    whole = measured_build(argv, "whole", out)
    report(f"in one go, load before {load:.1f}", *described(whole), f"wall {whole.wall_s:.1f} s")
    starts, most_bytes, seconds = kill_and_resume(
        [*argv, *only_killed], "killed", out, kills, whole.manifest.seconds["total"], seed
    )
    resumed = open_index(out / "killed").manifest
    same = resumed.content_sha256 == whole.manifest.content_sha256
    report(
        f"killed {kills} times, {starts} processes, {seconds:.1f} s in all, units of up to "
        f"{most_bytes / 1e6:,.0f} MB",
        f"in one go: {whole.manifest.content_sha256}",
        f"killed:    {resumed.content_sha256}",
        f"the hashes are {'the same' if same else 'NOT THE SAME'}",
    )
    assert same
    for file in ("rs.faiss", "location.faiss", "tokens.npy", "region.geojson"):
        assert resumed.files.get(file) == whole.manifest.files.get(file), file
    return whole


def test_london_killed_twenty_times(tmp_path: Path) -> None:
    argv = ["--imagery", str(london_imagery(tmp_path)), *WHOLE_LONDON, "--quiet"]
    whole = compare(argv, tmp_path, 20, seed=0)
    assert whole.manifest.cells_in_region == 116_589


def main() -> None:
    """Run it with other imagery, fewer kills, another region or model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--imagery", help="as build takes it (default: made up over London)")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("build", nargs="*", help="further flags of build, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        imagery = arguments.imagery or str(london_imagery(Path(folder)))
        flags = arguments.build or WHOLE_LONDON
        argv = ["--imagery", imagery, *flags, "--quiet"]
        compare(argv, Path(folder), arguments.kills, arguments.seed)


if __name__ == "__main__":
    main()
