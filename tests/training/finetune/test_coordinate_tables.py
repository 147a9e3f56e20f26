"""Reader of CoordBench: what is asked of which rows, and refusals."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from coordinate_samples import PLACES, write_coordbench, write_table
from pyarrow import parquet

from gair.errors import DatasetError
from training.finetune.coordbench.suite import Suite, Target
from training.finetune.readers.coordinate_tables import read_coordbench


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coordbench(tmp_path_factory.mktemp("coordbench"))


@pytest.fixture(scope="module")
def suite(published: Path) -> Suite:
    return read_coordbench(published)


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "copied"))


def target_of(suite: Suite, dataset: str) -> Target:
    (target,) = [target for target in suite.targets if target.dataset == dataset]
    return target


def column(folder: Path, table: str, name: str) -> np.ndarray:
    content = parquet.read_table(folder / "data" / table / "data.parquet")
    return np.asarray(content[name].to_numpy())


def test_there_are_78_targets_of_52_data_sets_in_33_tables(suite: Suite) -> None:
    assert len(suite.tables) == 33
    assert len(suite.targets) == 78
    assert len({target.dataset for target in suite.targets}) == 52
    goals = [target.goal for target in suite.targets]
    assert goals.count("classification") == 13 + 3
    assert sum(target.dataset == "pdfm-conus27" for target in suite.targets) == 27
    assert all(table.lonlat_deg.shape == (PLACES, 2) for table in suite.tables)


def test_places_and_numbers_are_those_of_the_file(suite: Suite, published: Path) -> None:
    (table,) = [table for table in suite.tables if table.name == "air_temp"]
    assert table.lonlat_deg[:, 0].tolist() == column(published, "air_temp", "lon").tolist()
    assert table.lonlat_deg[:, 1].tolist() == column(published, "air_temp", "lat").tolist()
    temperature = column(published, "air_temp", "meanT")  # and not meanP, before it
    assert target_of(suite, "satclip-air-temp").values.tolist() == temperature.tolist()


def test_the_sea_is_left_out_and_classes_are_numbered(suite: Suite) -> None:
    country = target_of(suite, "satclip-country")
    assert country.rows.tolist() == [row for row in range(PLACES) if row % 4]
    assert country.values.tolist() == [row % 4 - 1 for row in range(PLACES) if row % 4]
    for name in ("ecoregion", "biome"):
        assert target_of(suite, f"satclip-{name}").rows.tolist() == [
            row for row in range(PLACES) if row % 5
        ]


def test_no_data_goes_and_skewed_numbers_are_logarithms(suite: Suite, published: Path) -> None:
    housing = target_of(suite, "mosaiks-housing")
    price = column(published, "usavars_housing", "price")
    assert housing.rows.tolist() == list(range(1, PLACES))
    assert housing.values == pytest.approx(np.log(1 + price[1:]))
    roads = target_of(suite, "mosaiks-roads")
    assert roads.values.tolist() == column(published, "usavars_roads", "roads").tolist()
    water = target_of(suite, "sustainbench-water_index")
    assert water.rows.tolist() == list(range(5, PLACES))


def test_a_label_of_many_different_numbers_is_no_class(copied: Path) -> None:
    assert target_of(read_coordbench(copied), "dm-aster_ged").goal == "regression"
    write_table(copied, "dm_glance", {"label": np.arange(101)})
    assert target_of(read_coordbench(copied), "dm-glance").goal == "regression"
    write_table(copied, "dm_glance", {"label": np.arange(101) % 100})
    assert target_of(read_coordbench(copied), "dm-glance").goal == "classification"


def spoil(folder: Path, table: str, name: str, values: object) -> None:
    path = folder / "data" / table / "data.parquet"
    content = parquet.read_table(path)
    at = content.column_names.index(name)
    parquet.write_table(content.set_column(at, name, pa.array(values)), path)


@pytest.mark.parametrize(
    ("table", "name", "values", "words"),
    [
        ("air_temp", "lat", [91.0] * PLACES, "row 1: longitude .*, latitude 91.0"),
        ("air_temp", "lon", [0.0] * 29 + [None], "row 30: lon or lat is no number"),
        ("air_temp", "lon", ["east"] * PLACES, "lon holds string, no numbers"),
        ("soilgrids", "soc", ["much"] * PLACES, "soc holds string, no numbers"),
        ("soilgrids", "soc", [1.0] * 9 + [None] * 21, "soc is known at 9 places, and 10 are"),
        ("usavars_income", "income", [-1.0] * PLACES, "income is -1, which has no logarithm"),
        ("dm_glance", "label", [True] * PLACES, "label holds bool, no numbers"),
        ("satclip_country", "country", [0] * PLACES, "country is known at 0 places"),
    ],
)
def test_a_bad_field_is_one_line_that_names_it(
    copied: Path, table: str, name: str, values: object, words: str
) -> None:
    spoil(copied, table, name, values)
    with pytest.raises(DatasetError, match=words) as told:
        read_coordbench(copied)
    assert str(copied / "data" / table / "data.parquet") in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("table", "kept", "words"),
    [
        ("worldclim_bio", ["bio1"], "has no column bio12; it has lon, lat, "),
        ("air_temp", ["meanP"], "has no column of a temperature"),
        ("pdfm_conus27", ["health 1"], "targets: 1 found, 27 are published"),
        ("usavars_housing", ["id"], "has no column price"),
    ],
)
def test_a_column_that_is_missing_is_named(
    copied: Path, table: str, kept: list[str], words: str
) -> None:
    write_table(copied, table, {name: np.arange(PLACES) * 1.0 for name in kept})
    with pytest.raises(DatasetError, match=words):
        read_coordbench(copied)


def test_a_table_that_is_missing_or_damaged_is_named(copied: Path) -> None:
    path = copied / "data" / "dm_glance" / "data.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"dm_glance.data\.parquet is no Parquet file"):
        read_coordbench(copied)
    path.unlink()
    with pytest.raises(DatasetError, match=r"dm_glance.data\.parquet is missing"):
        read_coordbench(copied)
