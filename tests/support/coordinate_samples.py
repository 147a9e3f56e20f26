"""Made-up tables of CoordBench in their published layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

PLACES = 30
HEALTH = ("phlth", "diabetes", "copd", "cancer", "chd", "mhlth", "checkup", "sleep", "casthma")
MORE_HEALTH = ("obesity", "csmoking", "highchol")
SURVEYS = ("asset_index", "water_index", "sanitation_index", "under5_mort", "women_edu")
LAND = (
    "africa_crop_mask", "canada_crops_coarse", "canada_crops_fine", "descals", "ethiopia_crops",
    "glance", "lcmap_lc", "lcmap_lcc", "lcmap_lu", "lcmap_luc", "lucas_lc", "lucas_lu", "us_trees",
)  # fmt: skip


def write_table(folder: Path, name: str, columns: Mapping[str, Any]) -> Path:
    """A table whose places lie all over the globe, with the columns that all have."""
    count = len(next(iter(columns.values())))
    rng = np.random.default_rng(sum(map(ord, name)))
    common = {
        "lon": rng.uniform(-180, 180, count),
        "lat": rng.uniform(-60, 70, count),
        "timestamp": pa.nulls(count, pa.int64()),
        "timestamp_end": pa.nulls(count, pa.int64()),
        "split": pa.nulls(count, pa.string()),
        "id": pa.nulls(count, pa.string()),
    }
    path = folder / "data" / name / "data.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({**common, **columns}), path)
    return path


def write_coordbench(folder: Path) -> Path:
    """All 33 tables, small."""
    rng = np.random.default_rng(0)

    def numbers() -> Any:
        return rng.normal(size=PLACES)

    zip_codes = {f"health {number}": numbers() for number in range(27)}
    texts = {name: [f"{name} {row}" for row in range(PLACES)] for name in ("place", "state")}
    counted = {"Count_Person": numbers(), "extrapolation_split": ["test"] * PLACES}
    write_table(folder, "pdfm_conus27", {**texts, **counted, **zip_codes})
    write_table(folder, "air_temp", {"meanP": numbers(), "meanT": numbers()})
    write_table(folder, "california_housing", {"HouseAge": numbers(), "MedHouseVal": numbers()})
    surveys = {name: numbers() for name in (*SURVEYS, "women_bmi")}
    surveys["water_index"][:5] = np.nan
    write_table(folder, "sustainbench", {**surveys, "urban": ["R"] * PLACES})
    for label in ("treecover", "elevation", "population", "nightlights", "income", "roads"):
        write_table(folder, f"usavars_{label}", {label: np.abs(numbers())})
    price = np.r_[-999.0, np.abs(numbers())[1:]]
    write_table(folder, "usavars_housing", {"price": price})
    write_table(folder, "satclip_country", {"country": np.arange(PLACES) % 4})
    regions = np.arange(PLACES) % 5 - 1
    biomes = {"ecoregion_class_index": regions, "biome_class_index": np.abs(regions) % 2}
    write_table(folder, "satclip_ecoregion", biomes)
    write_table(folder, "satclip_population", {"log_population": numbers()})
    write_table(folder, "satclip_elevation", {"elevation": numbers()})
    write_table(folder, "worldclim_bio", {"bio1": numbers(), "bio12": numbers()})
    write_table(folder, "soilgrids", {"soc": numbers(), "phh2o": numbers()})
    health = {f"{name}_crudeprev": numbers() for name in (*HEALTH, *MORE_HEALTH)}
    write_table(folder, "cdc_places", {**health, "zcta5": ["00601"] * PLACES})
    for name in LAND:
        write_table(folder, f"dm_{name}", {"label": np.arange(PLACES) % 3})
    for name in ("aster_ged", "openet_ensemble"):
        write_table(folder, f"dm_{name}", {"label": numbers()})
    return folder
