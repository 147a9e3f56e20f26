"""What a data set of street photos takes: choosing, fetching from loopback, packing.

python -m pytest tests/benchmarks/bench_streetscapes.py -o "python_files=bench_*.py" -m "" -s
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from repository import REPOSITORY
from street_samples import listed_photos, write_tables
from street_servers import TOKEN, street_photo, street_server
from toy_city import write_city

from training.dataset.pack.options import SplitOptions
from training.dataset.streetscapes.build import build
from training.dataset.streetscapes.options import (
    Endpoints,
    FetchOptions,
    Lists,
    SelectionOptions,
    StreetscapesOptions,
)
from training.dataset.streetscapes.providers import TOKEN_VARIABLE

ROWS = 2_000_000
PHOTOS = 400
DELAY_S = 0.1

CHOOSE = """
import resource, sys, time
from pathlib import Path
from training.dataset.streetscapes.selection import joined
from training.dataset.streetscapes.selection import select
from training.dataset.streetscapes.options import SelectionOptions
from training.dataset.streetscapes.tables import global_streetscapes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, cpu = time.time(), time.process_time()
table = joined([global_streetscapes(Path(sys.argv[1]))])
found = select(table, SelectionOptions())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{len(table):,} rows: {time.time() - began:.1f} s, {time.process_time() - cpu:.1f} s CPU, "
      f"{(peak - before) / 1e6:.2f} GB more memory, {len(found.photos):,} chosen")
"""


def test_choosing(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv

    rng = np.random.default_rng(0)
    number = np.arange(ROWS)
    city = number % 688
    uuid = pa.array([f"{n:032x}" for n in range(ROWS)])
    days = [f"20{15 + n % 10}-{1 + n % 12:02d}-09 03:24:18+02:00" for n in range(120)]
    metadata = {
        "uuid": uuid,
        "source": pa.array(["Mapillary", "KartaView"]).take(pa.array(number % 2)),
        "orig_id": number + 10**14,
        "lat": rng.uniform(-60, 60, 688)[city] + rng.uniform(0, 0.1, ROWS),
        "lon": rng.uniform(-170, 170, 688)[city] + rng.uniform(0, 0.1, ROWS),
        "datetime_local": pa.array(days).take(pa.array(number % 120)),
        "width": np.full(ROWS, 4032.0),
        "height": np.full(ROWS, 3024.0),
        "heading": rng.uniform(0, 360, ROWS),
        "projection_type": pa.array(["perspective"] * ROWS),
    }
    cities = pa.array([f"City{n}" for n in range(688)]).take(pa.array(city))
    tables = {
        "metadata_common_attributes": metadata,
        "simplemaps": {"uuid": uuid, "city_ascii": cities, "iso2": pa.array(["DE"] * ROWS)},
        "places365": {"uuid": uuid, "place": pa.array(["street"] * ROWS)},
    }
    for name, columns in tables.items():
        pa.csv.write_csv(pa.table(columns), tmp_path / f"{name}.csv")
    argv = [sys.executable, "-c", CHOOSE, str(tmp_path)]
    print("\nchoosing:", subprocess.check_output(argv, cwd=REPOSITORY, text=True).strip())


@pytest.mark.parametrize("concurrency", [8, 32])
def test_fetching_and_packing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    rows = listed_photos(PHOTOS, per_photo=1)
    for number, row in enumerate(rows):
        row.served.jpeg = street_photo(number, (1024, 768))
    imagery = tmp_path / "imagery"
    imagery.mkdir()
    for day in ("20230102", "20240501"):
        write_city(imagery / f"s_{day}T101010.tif")
    with street_server(*(row.served for row in rows)) as server:
        server.delay_s = DELAY_S
        options = StreetscapesOptions(
            lists=Lists(tables=(write_tables(tmp_path / "tables", rows),)),
            out=tmp_path / "out",
            imagery=(imagery,),
            dates_per_footprint=2,
            selection=SelectionOptions(per_cell=100),
            fetch=FetchOptions(concurrency=concurrency),
            endpoints=Endpoints(f"{server.base_url}/graph", "", f"{server.base_url}/kartaview"),
            split=SplitOptions(shares=(0.5, 0.25, 0.25), buffer_m=100),
            footprint_m=600,
            quiet=True,
        )
        last = [0.0]
        server.before_file = lambda count: last.__setitem__(0, time.monotonic())
        began, cpu = time.monotonic(), time.process_time()
        build(options)
        fetching_s, all_s = last[0] - began, time.monotonic() - began
    size = sum(len(row.served.jpeg) for row in rows) / PHOTOS
    print(
        f"\n{PHOTOS} photos of {size / 1e3:.0f} kB, {concurrency} at once, an answer after "
        f"{DELAY_S} s: fetched in {fetching_s:.1f} s ({PHOTOS / fetching_s:.0f}/s), then packed in "
        f"{all_s - fetching_s:.1f} s; {time.process_time() - cpu:.1f} s of CPU with the server's"
    )
