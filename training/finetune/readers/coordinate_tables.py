"""Reader of CoordBench: 33 Parquet tables of places, 52 data sets, 78 targets.

https://huggingface.co/datasets/taylor-geospatial/CoordBench, as downloaded::

    data/california_housing/data.parquet
    data/dm_lcmap_lc/data.parquet
    data/...

Each table has the columns ``lon`` and ``lat`` (WGS84, never null), ``timestamp``,
``timestamp_end``, ``split`` and ``id``, then those of its source as they were. What the benchmark
makes of them is done here: which columns are targets, which values stand for the sea or for no
data, and the logarithm of four skewed numbers. Its licences are mixed, table by table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bools, Floats, Ints
from gair.check.coordbench import Goal
from gair.errors import DatasetError
from training.finetune.coordbench.suite import Suite, Table, Target
from training.finetune.readers.checking import check_count, check_places, check_sums, needed

TARGETS, DATASETS = 78, 52
FEWEST = 10
"""Known places that a target must have for folds within folds."""
_COMMON = ("lon", "lat", "timestamp", "timestamp_end", "split", "id")
_NOT_ASKED = {
    *_COMMON, "place", "county", "state", "latitude", "longitude", "Count_Person",
    "imputation_split", "superresolution_split", "extrapolation_split",
}  # fmt: skip
"""Columns of the table of ZIP codes that are no targets; the other 27 are."""
_ZIP_CODE_TARGETS = 27
_MOSAIKS = ("treecover", "elevation", "population", "nightlights", "income", "roads", "housing")
_MOSAIKS_LOGARITHM = ("population", "nightlights", "income", "housing")
_MOSAIKS_NO_DATA = -999.0
_SURVEYS = (
    "asset_index", "water_index", "sanitation_index", "under5_mort", "women_edu", "women_bmi",
)  # fmt: skip
_HEALTH = (
    "phlth", "diabetes", "copd", "cancer", "chd", "mhlth", "checkup", "sleep", "casthma", "obesity",
    "csmoking", "highchol",
)  # fmt: skip
_LAND = (
    "africa_crop_mask", "aster_ged", "canada_crops_coarse", "canada_crops_fine", "descals",
    "ethiopia_crops", "glance", "lcmap_lc", "lcmap_lcc", "lcmap_lu", "lcmap_luc", "lucas_lc",
    "lucas_lu", "openet_ensemble", "us_trees",
)  # fmt: skip
_MOST_CLASSES = 100
"""Whole numbers with at most this many different ones are classes, in the tables of land."""


@dataclass(frozen=True)
class _Columns:
    """A table as it was read."""

    path: Path
    lonlat_deg: Floats
    """(N, 2)."""
    content: Any
    """The pyarrow table."""

    @property
    def names(self) -> list[str]:
        """Of its columns, in their order."""
        names: list[str] = self.content.column_names
        return names

    def numbers(self, column: str) -> Floats:
        """(N,) a column of numbers, NaN where there is none.

        Raises:
            DatasetError: it is not there, or holds something else.
        """
        import pyarrow as pa

        if column not in self.names:
            raise DatasetError(
                f"{self.path} has no column {column}; it has {', '.join(self.names)}"
            )
        values = self.content[column]
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise DatasetError(f"{self.path}: {column} holds {values.type}, no numbers")
        numbers: Floats = values.cast(pa.float64()).to_numpy()
        return np.where(np.isfinite(numbers), numbers, np.nan)


def read_coordbench(folder: Path) -> Suite:
    """The whole benchmark.

    Args:
        folder: that holds ``data/TABLE/data.parquet``.

    Raises:
        DatasetError: a table is missing or damaged, lacks a column, or has another content than is
            published.
    """
    check_sums(folder)
    tables = tuple(_table(folder, name, targets_of) for name, targets_of in _TABLES.items())
    suite = Suite(tables)
    check_count(f"{folder}: targets", len(suite.targets), TARGETS)
    datasets = {target.dataset for target in suite.targets}
    check_count(f"{folder}: data sets", len(datasets), DATASETS)
    return suite


def _table(folder: Path, name: str, targets_of: Callable[[_Columns], Iterable[Target]]) -> Table:
    columns = _columns(needed(folder / "data" / name / "data.parquet"))
    targets = tuple(targets_of(columns))
    for target in targets:
        count = int(target.has_answer.sum())
        if count < FEWEST:
            raise DatasetError(
                f"{columns.path}: {target.name} is known at {count} places, and {FEWEST} are "
                "needed: download it again"
            )
    return Table(name, columns.lonlat_deg, targets)


def _columns(path: Path) -> _Columns:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        content = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DatasetError(f"{path} is no Parquet file ({reason}): download it again") from error
    columns = _Columns(path, np.empty((0, 2)), content)
    places = np.stack([columns.numbers("lon"), columns.numbers("lat")], axis=1)
    unknown = np.flatnonzero(np.isnan(places).any(axis=1))
    if len(unknown):
        raise DatasetError(f"{path}, row {unknown[0] + 1}: lon or lat is no number")
    check_places(str(path), places)
    return _Columns(path, places, content)


def _target(
    dataset: str, name: str, goal: Goal, values: Floats, here: Bools | None = None
) -> Target:
    """A target at all rows, or at those that are told; classes are numbered from 0."""
    rows: Ints = np.arange(len(values)) if here is None else np.flatnonzero(here)
    kept: npt.NDArray[Any] = values[rows]
    if goal == "classification":
        finite = np.isfinite(kept)
        numbered = np.full(len(kept), -1, dtype=np.int64)
        numbered[finite] = np.unique(kept[finite], return_inverse=True)[1]
        kept = numbered
    return Target(dataset, name, goal, rows, kept)


def _zip_codes(columns: _Columns) -> Iterable[Target]:
    """27 numbers of health, society and environment of the United States, one data set."""
    asked = [name for name in columns.names if name not in _NOT_ASKED]
    check_count(f"{columns.path}: targets", len(asked), _ZIP_CODE_TARGETS)
    return [_target("pdfm-conus27", name, "regression", columns.numbers(name)) for name in asked]


def _air_temperature(columns: _Columns) -> Iterable[Target]:
    """The mean temperature of weather stations, whatever its source calls it."""
    lower = {name.lower(): name for name in columns.names}
    named = [key for key in lower if "temp" in key or key == "meant"]
    if not named:
        raise DatasetError(
            f"{columns.path} has no column of a temperature; it has {', '.join(columns.names)}"
        )
    values = columns.numbers(lower[named[0]])
    yield _target("satclip-air-temp", "air_temperature", "regression", values)


def _mosaiks(label: str) -> Callable[[_Columns], Iterable[Target]]:
    """A number of the United States; housing's column is called price, others like their label."""

    def targets(columns: _Columns) -> Iterable[Target]:
        own = [name for name in columns.names if label in name.lower() and name not in _COMMON]
        column = own[0] if own else "price"
        values = columns.numbers(column)
        here = values != _MOSAIKS_NO_DATA
        if label in _MOSAIKS_LOGARITHM:
            lowest = np.nanmin(values[here], initial=0)
            if lowest <= -1:
                raise DatasetError(
                    f"{columns.path}: {column} is {lowest:g}, which has no logarithm"
                )
            values = np.log1p(np.where(here, values, 0))
        yield _target(f"mosaiks-{label}", label, "regression", values, here)

    return targets


def _country(columns: _Columns) -> Iterable[Target]:
    """Countries; 0 is the sea."""
    values = columns.numbers("country")
    yield _target("satclip-country", "country", "classification", values, values != 0)


def _ecoregion(columns: _Columns) -> Iterable[Target]:
    """Ecoregions and biomes; where the ecoregion is -1 there is sea."""
    land = columns.numbers("ecoregion_class_index") != -1
    for name in ("ecoregion", "biome"):
        column = f"{name}_class_index"
        values = columns.numbers(column)
        yield _target(f"satclip-{name}", column, "classification", values, land)


def _each_alone(
    names: dict[str, str], *, where_known: bool = False
) -> Callable[[_Columns], Iterable[Target]]:
    """Columns of numbers that are a data set each, by the data sets' names.

    With ``where_known`` a data set has the rows alone that have a number.
    """

    def targets(columns: _Columns) -> Iterable[Target]:
        for dataset, column in names.items():
            values = columns.numbers(column)
            here = np.isfinite(values) if where_known else None
            yield _target(dataset, column, "regression", values, here)

    return targets


def _land(name: str) -> Callable[[_Columns], Iterable[Target]]:
    """Land cover, land use, crops or trees; two of these tables hold numbers."""

    def targets(columns: _Columns) -> Iterable[Target]:
        values = columns.numbers("label")
        whole = bool(np.isfinite(values).all() and np.allclose(values, np.round(values)))
        classes = whole and len(np.unique(values)) <= _MOST_CLASSES
        goal: Goal = "classification" if classes else "regression"
        yield _target(f"dm-{name}", name, goal, np.round(values) if classes else values)

    return targets


_TABLES: dict[str, Callable[[_Columns], Iterable[Target]]] = {
    "pdfm_conus27": _zip_codes,
    "air_temp": _air_temperature,
    "california_housing": _each_alone({"california-housing": "MedHouseVal"}),
    "sustainbench": _each_alone({f"sustainbench-{name}": name for name in _SURVEYS},
                                where_known=True),
    **{f"usavars_{label}": _mosaiks(label) for label in _MOSAIKS},
    "satclip_country": _country,
    "satclip_ecoregion": _ecoregion,
    "satclip_population": _each_alone({"satclip-population": "log_population"}),
    "satclip_elevation": _each_alone({"satclip-elevation": "elevation"}),
    "worldclim_bio": _each_alone({"worldclim-bio1": "bio1", "worldclim-bio12": "bio12"}),
    "soilgrids": _each_alone({"soilgrids-soc": "soc", "soilgrids-phh2o": "phh2o"}),
    "cdc_places": _each_alone({f"places-{name}": f"{name}_crudeprev" for name in _HEALTH},
                              where_known=True),
    **{f"dm_{name}": _land(name) for name in _LAND},
}  # fmt: skip
"""Folder to what is asked of its places, in the benchmark's order."""
