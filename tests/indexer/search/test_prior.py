"""What is known beforehand: conditions, weights and areas over the cells of a real index."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pytest
import shapely
from some_cells import rows_of

from gair.errors import GairError, RegionError, UsageError
from indexer.index.index import Index, open_index
from indexer.probability.posterior import area_log_prior, posterior
from indexer.regions.cells import cell_hex
from indexer.search.prior import Prior, build_prior


@pytest.fixture(scope="module")
def index(boxes: Path) -> Index:
    return open_index(boxes / "box")


def kept(prior: Prior) -> npt.NDArray[np.bool_]:
    return np.isfinite(prior.log_weight)


@pytest.fixture
def landcover(index: Index, tmp_path: Path) -> Path:
    """Hexadecimal ids, a kind for every cell but the first four, and a cell of elsewhere."""
    path = tmp_path / "landcover.csv"
    rows = [
        f"{cell_hex(cell)},{'water' if n % 3 else 'land'},{n}" for n, cell in enumerate(ids(index))
    ]
    path.write_text("h3,kind,people\n" + "\n".join([*rows[4:], "8a2a1072b59ffff,sea,0"]))
    return path


def ids(index: Index) -> list[int]:
    return [int(cell) for cell in index.cells.h3]


def test_nothing_known_is_no_weight(index: Index) -> None:
    prior = build_prior(index)
    assert not prior.log_weight.any()
    assert prior.description == "23 of 23 cells: nothing is known beforehand"


def test_a_condition_keeps_the_cells_it_is_true_for(index: Index) -> None:
    prior = build_prior(index, where="lat_deg > 51.5055 AND area_m2 < 1e9")
    assert (kept(prior) == (index.cells.lonlat_deg[:, 1] > 51.5055)).all()
    assert 0 < kept(prior).sum() < 23
    assert (prior.log_weight[kept(prior)] == 0).all()
    assert f"{kept(prior).sum()} of 23 cells: where lat_deg > 51.5055" in prior.description


def test_every_column_of_the_cells_is_there(index: Index) -> None:
    cells = index.cells
    row, cell, frame = 7, int(cells.h3[7]), int(cells.frame[7])
    valid = index.frames.valid_fraction[frame]
    where = f'"row" = {row} AND h3 = {cell} AND frame = {frame} AND valid_fraction = {valid}'
    assert np.flatnonzero(kept(build_prior(index, where=where))).tolist() == [7]
    near = f"abs(lon_deg - {cells.lonlat_deg[7, 0]}) < 1e-9 AND area_m2 = {cells.area_m2[7]}"
    assert np.flatnonzero(kept(build_prior(index, where=near))).tolist() == [7]


def test_a_weight_is_a_share_of_the_largest(index: Index) -> None:
    prior = build_prior(index, weight='CAST("row" AS DECIMAL(9, 2)) * 2')
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(prior.log_weight, np.log(np.arange(23) / 22))
    assert "22 of 23 cells: weighted by" in prior.description


def test_the_posterior_of_no_photo_is_area_times_weight(index: Index) -> None:
    prior = build_prior(index, where='"row" < 20', weight='"row" + 1.5')
    p = posterior(np.zeros((1, 23)), area_log_prior(index.cells.area_m2) + prior.log_weight)
    wanted = index.cells.area_m2 * (np.arange(23) + 1.5) * (np.arange(23) < 20)
    np.testing.assert_allclose(p[0], wanted / wanted.sum())


def test_a_weight_of_cells_that_a_condition_left_out_does_not_matter(index: Index) -> None:
    prior = build_prior(index, where='"row" >= 3', weight='"row" - 3.0 + 1')
    np.testing.assert_allclose(np.exp(prior.log_weight[3:]), np.arange(1, 21) / 20)


HALF = shapely.box(-0.1080, 51.5030, -0.1040, 51.5080)


@pytest.mark.parametrize("form", ["geometry", "mapping", "file"])
def test_an_area_keeps_the_cells_whose_centre_it_holds(
    index: Index, form: str, tmp_path: Path
) -> None:
    file = tmp_path / "west.geojson"
    file.write_text(shapely.to_geojson(HALF))
    forms: dict[str, Any] = {
        "geometry": HALF,
        "mapping": json.loads(file.read_text()),
        "file": file,
    }
    prior = build_prior(index, within=forms[form])
    assert (kept(prior) == (index.cells.lonlat_deg[:, 0] <= -0.1040)).all()
    assert 0 < kept(prior).sum() < 23
    assert prior.description.endswith("within west.geojson" if form == "file" else "the area")


def test_all_that_is_known_holds_together(index: Index) -> None:
    prior = build_prior(index, within=HALF, where="lat_deg > 51.5055", weight="2")
    lon, lat = index.cells.lonlat_deg.T
    assert (kept(prior) == ((lon <= -0.1040) & (lat > 51.5055))).all()


def test_a_table_of_ones_own_and_what_it_does_not_know(index: Index, landcover: Path) -> None:
    tables = {"landcover": landcover}
    prior = build_prior(index, where="landcover.kind <> 'water'", tables=tables)
    assert np.flatnonzero(kept(prior)).tolist() == [n for n in range(4, 23) if n % 3 == 0]
    assert "(4 cells where that is unknown are left out)" in prior.description
    assert prior.description.endswith("landcover has no row for 4 cells")
    loose = build_prior(index, where="kind IS NULL OR kind <> 'water'", tables=tables)
    assert np.flatnonzero(kept(loose)).tolist() == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21]
    weighed = build_prior(index, weight="coalesce(landcover.people, 1)", tables=tables)
    np.testing.assert_allclose(np.exp(weighed.log_weight[[0, 5, 22]]), np.array([1, 5, 22]) / 22)


@pytest.mark.parametrize("form", ["hex.parquet", "integer.parquet", "integer.csv"])
def test_ids_may_be_text_or_numbers(index: Index, tmp_path: Path, form: str) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    cells = ids(index)[::-1]  # another order than the index's
    named = [cell_hex(cell) for cell in cells] if form.startswith("hex") else cells
    table = pa.table({"H3": named, "n": list(range(23))})
    path = tmp_path / form
    if form.endswith("csv"):
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)
    prior = build_prior(index, weight="t.n + 1", tables={"t": path})
    np.testing.assert_allclose(np.exp(prior.log_weight), np.arange(23, 0, -1) / 23)


def test_two_tables_at_once(index: Index, landcover: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(
        "h3,people\n" + "\n".join(f"{cell_hex(c)},{n % 2}" for n, c in enumerate(ids(index)))
    )
    tables = {"landcover": landcover, "other": other}
    prior = build_prior(index, where="kind = 'land' AND other.people = 1", tables=tables)
    assert np.flatnonzero(kept(prior)).tolist() == [9, 15, 21]


def refused(index: Index, **said: Any) -> str:
    with pytest.raises(UsageError) as caught:
        build_prior(index, **said)
    text = str(caught.value)
    assert "\n" not in text
    return text


COLUMNS = "columns are row, h3, lon_deg, lat_deg, area_m2, frame, valid_fraction"


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("elevation > 10", 'Referenced column "elevation" not found'),
        ("lat_deg >", "syntax error"),
        ("", "SELECT clause without selection list"),
        ("true, false", "single expression"),
        ("true; DROP TABLE cells", "more than one statement"),
        ("true) FROM cells; DROP TABLE cells; SELECT (true", "syntax error"),
        ("true) FROM cells --", "syntax error"),
        ("true /*", "unterminated"),
        ("lat_deg > 51 FROM cells", "FROM clause"),
        ("count(*) > 1", "GROUP BY"),
        ("unnest([true, false])", "does not give each cell one value"),
        ("*", "does not give each cell one value"),
        ("'x'::INTEGER = 1", "Could not convert"),
        ("nothing(h3)", "nothing does not exist"),
    ],
)
def test_conditions_that_are_none(index: Index, where: str, told: str) -> None:
    text = refused(index, where=where)
    assert text.startswith(f"where {where!r}")
    assert told in text
    assert text.endswith(COLUMNS)


def test_conditions_must_be_true_or_false(index: Index) -> None:
    assert "gives DOUBLE, not true or false: compare it" in refused(index, where="lat_deg")


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ("lat_deg - 51.5055", "no number of 0 or more for"),
        ('1 / ("row" - 1)', "of 23 cells (the first: -1)"),
        ("'NaN'::DOUBLE", "for 23 of 23 cells (the first: nan)"),
        ('CASE WHEN "row" > 2 THEN 1 END', "for 3 of 23 cells (the first: NULL); coalesce(..., 1)"),
        ("'five'", "gives VARCHAR, not a number"),
        ("[1, 2]", "gives INTEGER[], not a number"),
        ("0", "no cell of 23 is left (weighted by 0): loosen it"),
    ],
)
def test_weights_that_are_none(index: Index, weight: str, told: str) -> None:
    assert told in refused(index, weight=weight)


def test_what_leaves_nothing_is_refused(index: Index) -> None:
    assert "no cell of 23 is left (where lat_deg > 60): loosen it" in refused(
        index, where="lat_deg > 60"
    )
    elsewhere = refused(index, within=shapely.box(10, 10, 11, 11))
    assert "within the area" in elsewhere
    assert "exchange" not in elsewhere
    west, south, east, north = shapely.total_bounds(shapely.points(index.cells.lonlat_deg))
    assert "or exchange its latitudes and longitudes: then it holds cells" in refused(
        index, within=shapely.box(south, west, north, east)
    )
    with pytest.raises(RegionError, match="cannot read nowhere.geojson"):
        build_prior(index, within=Path("nowhere.geojson"))
    with pytest.raises(RegionError, match="holds no polygon"):
        build_prior(index, within={"type": "Point", "coordinates": [0, 0]})


def test_expressions_see_no_file_and_change_nothing(index: Index, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for source in (f"read_csv('{secret}')", f"'{secret}'", f"read_text('{secret}')"):
        told = refused(index, where=f"(SELECT count(*) FROM {source}) > 0")
        assert "disabled by configuration" in told
    for action in (f"COPY cells TO '{tmp_path / 'out'}'", "SET threads = 1", "DELETE FROM cells"):
        refused(index, where=f"({action})")
        refused(index, where=action)
    assert list(tmp_path.iterdir()) == [secret]


def table_refusal(index: Index, text: str, path: Path, name: str = "t") -> str:
    path.write_text(text)
    return refused(index, tables={name: path})


def test_tables_that_cannot_be_used(index: Index, tmp_path: Path) -> None:
    first, second = (cell_hex(cell) for cell in ids(index)[:2])
    csv = tmp_path / "t.csv"
    assert "it needs a column h3" in table_refusal(index, "cell,n\na,1\n", csv)
    told = table_refusal(index, f"h3,n\n{first},1\nhello,2\n", csv)
    assert f"table t ({csv}), row 2: h3 is 'hello', which is no H3 cell" in told
    assert "h3 is None" in table_refusal(index, f"h3,n\n{first},1\n,2\n", csv)
    told = table_refusal(index, f"h3,n\n{first},1\n{second},2\n{first},3\n", csv)
    assert f"has cell {first} more than once" in told
    told = table_refusal(index, "h3,n\n8a2a1072b59ffff,1\n", csv)
    assert "no row for any cell of the index: its h3 must be of resolution 10" in told
    assert "neither .csv nor .parquet" in table_refusal(index, "", tmp_path / "t.xlsx")
    assert "table t: " in table_refusal(index, "no parquet", tmp_path / "t.parquet")
    assert "there is no file" in refused(index, tables={"t": tmp_path / "missing.csv"})
    for name in ("cells", "Land", "a b", "1st", 't" AS SELECT 1; --'):
        assert "take another of small letters" in table_refusal(index, "h3\n", csv, name)


def test_a_refusal_is_one_line_however_long_the_question(index: Index) -> None:
    with pytest.raises(GairError) as caught:
        build_prior(index, where="nope\n= 1\nAND true")
    assert "\n" not in str(caught.value)
    assert "\n" not in build_prior(index, where="true\nAND true").description


def test_ids_that_look_like_numbers_with_exponents_stay_text(index: Index, tmp_path: Path) -> None:
    tile = h3.latlng_to_cell(3.0, -68.3, 11)
    looks_so = [c for c in h3.cell_to_children(tile, 14) if re.fullmatch(r"8e\d+", cell_hex(c))]
    assert looks_so
    path = tmp_path / "t.csv"
    path.write_text("h3,n\n" + "\n".join(f"{cell_hex(cell)},1" for cell in looks_so))
    fine = dataclasses.replace(index, cells=rows_of(looks_so))
    prior = build_prior(fine, where="t.n = 1", tables={"t": path})
    assert kept(prior).all()
