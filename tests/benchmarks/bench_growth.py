"""How the time of a build grows with the area: 25, 100, 400 and 1,600 square kilometres."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from measured_builds import described, measured_build
from measuring import report
from wide_city import write_wide_city

SIDES_KM = (5, 10, 20, 40)
MOST_EXPONENT = 1.05
WEST_M, SOUTH_M = 660_000.0, 5_680_000.0
"""EPSG:32630, the west of London."""


def test_growth_with_area(tmp_path: Path) -> None:
    lines, seconds = [], []
    for side_km in SIDES_KM:
        side_m = 1000.0 * side_km
        bounds = (WEST_M, SOUTH_M, WEST_M + side_m, SOUTH_M + side_m)
        city = write_wide_city(tmp_path / f"{side_km}.tif", bounds, "EPSG:32630")
        argv = ["--imagery", str(city), "--model", "untrained:tiny", "--quiet"]
        build = measured_build(argv, f"side{side_km}", tmp_path)
        lines += [f"{side_km**2:,} km2: {described(build)[0]}", described(build)[1]]
        seconds.append(build.manifest.seconds["total"])
        city.unlink()
    areas_km2 = np.square(SIDES_KM)
    exponent = float(np.polyfit(np.log(areas_km2), np.log(seconds), 1)[0])
    last = float(np.log(seconds[-1] / seconds[-2]) / np.log(areas_km2[-1] / areas_km2[-2]))
    report(
        f"growth with area, tiny model, load now {os.getloadavg()[0]:.1f}",
        *lines,
        f"seconds grow as area to the {exponent:.3f} over all four, {last:.3f} over the last two "
        f"(wanted at most {MOST_EXPONENT})",
    )
    assert max(exponent, last) <= MOST_EXPONENT
