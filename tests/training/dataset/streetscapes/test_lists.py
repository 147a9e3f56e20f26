"""Lists of photos as their authors publish them, and the choice among them."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from street_samples import listed_photos, write_tables

from gair.errors import DatasetError, RegionError, UsageError
from indexer.regions.cells import cells_at
from training.dataset.pack.checks import IMPOSSIBLE, NO_COORDINATES, NULL_ISLAND, POLAR
from training.dataset.streetscapes import selection
from training.dataset.streetscapes.areas import Tile, parse_area, tiles_of
from training.dataset.streetscapes.listings import points_of
from training.dataset.streetscapes.options import SelectionOptions
from training.dataset.streetscapes.selection import SCHEMA, joined, select
from training.dataset.streetscapes.tables import INDOOR_SCENES, global_streetscapes, osv5m

# By mapbox-vector-tile 2.2.0, encode(..., default_options={"y_coord_down": True}): a line in a
# layer "sequence", and in "image" the points (1024, 512) and (4095, 4096) of 4096.
TILE = bytes.fromhex(
    "1a280a0873657175656e6365120e12020000180222060900000a14141a02696422030a017328802078021aaa010a05"
    "696d6167651215120a00000101020203030404180122050980108008121312080005010603070404180122"
    "0509fe3f80401a0269641a0b63617074757265645f61741a0d636f6d706173735f616e676c651a0769735f70616e6f"
    "1a0b73657175656e63655f6964220920d1f8a6fafed0b703220720e8f6858df02b220919f6285c8fc21d6940220238"
    "0022060a0466316968220220022207208080babbc82e220238012880207802"
)

# The first two rows as Global Streetscapes' authors published them in their repository's samples.
STUTTGART = (
    "uuid,source,orig_id,lat,lon,datetime_local,year,month,day,hour,width,height,heading,"
    "projection_type,hFoV,vFoV,sequence_index,sequence_id,sequence_img_count\n"
    "d39b5e69-6291-46fc-a2f8-5947a7e024ee,Mapillary,1666317524185318,48.76894355452018,"
    "9.1716206073761,2024-07-09 03:24:18.913000+02:00,2024,7,9,3,7680.0,3840.0,29.87899474976217,"
    "spherical,,,1330,aE5o7bTMH0UtscOYxhVwID,660\n"
    "f8be9181-606c-4f23-88c5-2608d6cdea7b,Mapillary,2762100457273030,48.76964361287517,"
    "9.169775247573853,2024-07-07 21:33:39.769000+02:00,2024,7,7,21,4032.0,3024.0,"
    "157.37857520322677,perspective,100.17182580189085,83.75511531847577,25,"
    "VWRknQTjyX4sEMFlL8CP7h,50\n"
)
OSV5M = (
    "id,latitude,longitude,thumb_original_url,country,sequence,captured_at,lon_bin,lat_bin,cell,"
    "region,sub-region,city,land_cover,unique_city,creator_username,creator_id\n"
    '3859149887465501,-43.804769384023,-176.61409250805,,NZ,x,1507560881000,8,8,"(0, 8)",'
    "Chatham Islands,,Waitangi,4,Waitangi_NaN,roadroid,111336221091714.0\n"
    '17,48.5,x,,FR,x,,8,8,"(0, 8)",,,,4,,roadroid,1\n'
)


def test_rows_as_they_are_published(tmp_path: Path) -> None:
    (tmp_path / "metadata_common_attributes.csv").write_text(STUTTGART)
    sphere, plane = joined([global_streetscapes(tmp_path)]).to_pylist()
    assert sphere == {
        "source": "mapillary",
        "image_id": "1666317524185318",
        "lon_deg": 9.1716206073761,
        "lat_deg": 48.76894355452018,
        "city": "",
        "captured_at": "2024-07-09 03:24:18.913000+02:00",
        "heading_deg": 29.87899474976217,
        "panorama": True,
        "indoor": None,
        "poor": None,
        "longest_px": 7680,
    }
    assert (plane["panorama"], plane["longest_px"]) == (False, 4032)


def test_osv5m_as_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(OSV5M)
    second, first = joined([osv5m(tmp_path / "train.csv")]).to_pylist()
    assert first["image_id"] == "3859149887465501"
    assert (first["lon_deg"], first["lat_deg"]) == (-176.61409250805, -43.804769384023)
    assert first["city"] == "Waitangi, NZ"
    assert first["captured_at"] == "2017-10-09T14:54:41+00:00"
    assert (second["lon_deg"], second["city"], second["captured_at"]) == (None, "", None)


def test_parquet_says_what_csv_says(tmp_path: Path) -> None:
    rows = listed_photos(12)
    rows[3] = dataclasses.replace(rows[3], place="kitchen", quality="very poor")
    folder = write_tables(tmp_path / "csv", rows)
    expected = joined([global_streetscapes(folder)])
    (tmp_path / "parquet").mkdir()
    for path in folder.glob("*.csv"):
        table = pyarrow.csv.read_csv(path)  # with the types that pyarrow guesses
        pq.write_table(table, tmp_path / "parquet" / f"{path.stem}.parquet")
    of_parquet = joined([global_streetscapes(tmp_path / "parquet")])
    assert of_parquet.drop_columns("captured_at") == expected.drop_columns("captured_at")
    assert of_parquet["indoor"].to_pylist().count(True) == 1
    assert of_parquet["poor"].to_pylist().count(True) == 1


@pytest.mark.parametrize(
    ("suffix", "content", "kind", "words"),
    [
        (
            "csv",
            "uuid,source\n1,2\n",
            UsageError,
            "no column orig_id, lat, lon: its columns are",
        ),
        ("parquet", "PAR1 no more", DatasetError, "cannot read"),
        ("txt", "", UsageError, "has no metadata_common_attributes.csv or .parquet: download"),
    ],
)
def test_tables_that_are_none(
    tmp_path: Path, suffix: str, content: str, kind: type[Exception], words: str
) -> None:
    (tmp_path / f"metadata_common_attributes.{suffix}").write_text(content)
    with pytest.raises(kind, match=words):
        global_streetscapes(tmp_path)


def test_scenes_of_which_some_are_outdoors_are_not_indoor() -> None:
    assert {"kitchen", "church/indoor", "movie_theater", "shopping_mall"} <= INDOOR_SCENES
    assert not {"church", "market", "street", "church/outdoor", "stage"} & INDOOR_SCENES
    assert sum("/" in name or f"{name}/indoor" not in INDOOR_SCENES for name in INDOOR_SCENES) > 150


def table_of(rows: list[dict[str, object]]) -> pa.Table:
    full = [{"source": "mapillary", "city": "", "lon_deg": 9.0, "lat_deg": 48.0} | r for r in rows]
    return joined([pa.Table.from_pylist(full, schema=SCHEMA)])


def test_why_photos_are_not_wanted() -> None:
    rows: list[dict[str, object]] = [
        {"image_id": "1"},
        {"image_id": "2", "source": "flickr"},
        {"image_id": "3"}, {"image_id": "3"},
        {"image_id": "4", "lat_deg": None},
        {"image_id": "5", "lon_deg": 0.0, "lat_deg": 0.0},
        {"image_id": "6", "lat_deg": 91.0},
        {"image_id": "7", "lat_deg": 86.0},
        {"image_id": "8", "panorama": True},
        {"image_id": "9", "indoor": True},
        {"image_id": "10", "poor": True},
        {"image_id": "11", "longest_px": 300},
        {"image_id": "../12"},
        {"image_id": "13", "longest_px": 480},
    ]  # fmt: skip
    selected = select(table_of(rows), SelectionOptions())
    assert selected.photos["image_id"].to_pylist() == ["1", "13", "3"]
    assert selected.left_out == {
        selection.OTHER_SOURCE: 1, selection.LISTED_TWICE: 1, NO_COORDINATES: 1, NULL_ISLAND: 1,
        IMPOSSIBLE: 1, POLAR: 1, selection.PANORAMA: 1, selection.INDOOR: 1, selection.POOR: 1,
        selection.TINY: 1, selection.ODD_ID: 1,
    }  # fmt: skip
    assert selected.candidates == len(rows)


def many(count: int = 900, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return table_of(
        [
            {
                "image_id": str(number),
                "city": ("Ulm, DE", "Bonn, DE", "Metz, FR")[number % 3],
                "lon_deg": float(9 + 3 * (number % 3) + rng.uniform(0, 0.02)),
                "lat_deg": float(48 + rng.uniform(0, 0.02)),
                "captured_at": f"2020-{rng.integers(1, 4):02d}-01",
            }
            for number in range(count)
        ]
    )


def cells_of_table(table: pa.Table) -> list[int]:
    lonlat = np.stack([table["lon_deg"].to_numpy(), table["lat_deg"].to_numpy()], axis=1)
    return [int(cell) for cell in cells_at(lonlat, 9)]


def test_caps_hold_and_all_are_counted() -> None:
    table = many()
    selected = select(table, SelectionOptions(per_cell=6, per_city=50, photos=120))
    photos = selected.photos
    assert len(photos) == 120
    assert max(Counter(cells_of_table(photos)).values()) <= 6
    by_city = Counter(photos["city"].to_pylist())
    assert set(by_city.values()) == {40}  # cities take turns
    assert sum(selected.left_out.values()) + 120 == 900
    assert set(selected.left_out) == {selection.CELL_FULL, selection.CITY_FULL, selection.ENOUGH}
    cells = {city: Counter() for city in by_city}
    for city, cell in zip(photos["city"].to_pylist(), cells_of_table(photos), strict=True):
        cells[city][cell] += 1
    for counts in cells.values():
        assert max(counts.values()) - min(counts.values()) <= 1 or len(counts) > 40


def test_months_take_turns_in_a_cell() -> None:
    def months(table: pa.Table) -> dict[int, set[str]]:
        months_of_cell: dict[int, set[str]] = {}
        for cell, when in zip(cells_of_table(table), table["captured_at"].to_pylist(), strict=True):
            months_of_cell.setdefault(cell, set()).add(when)
        return months_of_cell

    there = months(many())
    assert Counter(map(len, there.values()))[3] > 50
    assert months(select(many(), SelectionOptions(per_cell=3)).photos) == there


def test_the_choice_follows_from_the_seed_and_not_from_the_order() -> None:
    table = many()
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(len(table))))
    options = SelectionOptions(per_cell=2, most_cities=2)
    first, again = select(joined([table]), options), select(joined([shuffled]), options)
    assert first.photos == again.photos
    assert len(set(first.photos["city"].to_pylist())) == 2
    other = select(joined([table]), dataclasses.replace(options, seed=1))
    assert set(other.photos["image_id"].to_pylist()) != set(first.photos["image_id"].to_pylist())


def test_cities_by_name() -> None:
    selected = select(many(), SelectionOptions(cities=("metz", "Ulm, DE"), per_cell=100))
    assert set(selected.photos["city"].to_pylist()) == {"Metz, FR", "Ulm, DE"}
    assert selected.left_out == {selection.OTHER_CITY: 300}
    with pytest.raises(UsageError, match=r"no usable photo is of a city 'Paris': there are 3"):
        select(many(), SelectionOptions(cities=("Paris",)))


def test_many_cities_are_no_trouble() -> None:
    """OSV-5M has tens of thousands; each was once looked up in a set made for it alone."""
    rows = [{"image_id": str(n), "city": f"c{n}", "lon_deg": n / 250} for n in range(30_000)]
    table = table_of(rows)
    began = time.process_time()
    assert len(select(table, SelectionOptions(per_cell=30_000)).photos) == 30_000
    assert time.process_time() - began < 6  # 1 where it is quick, 15 where it is not


def test_options_that_cannot_work() -> None:
    for wrong in ({"per_cell": 0}, {"cell_resolution": 16}, {"sources": ("google",)}, {"seed": -1}):
        with pytest.raises(UsageError):
            SelectionOptions(**wrong)


def test_points_of_a_tile_by_another_encoder() -> None:
    first, second = points_of(TILE, "image", "tile")
    assert first == (0.25, 0.125, {
        "id": 1933525276802129, "captured_at": 1507560881000, "compass_angle": 200.93,
        "is_pano": False, "sequence_id": "f1ih"})  # fmt: skip
    assert second[:2] == (4095 / 4096, 1.0)
    assert "compass_angle" not in second[2]
    assert list(points_of(TILE, "sequence", "tile")) == []
    assert list(points_of(b"", "image", "tile")) == []
    for broken in (TILE[:100], b"<html>no tile</html>"):
        with pytest.raises(DatasetError, match="tile is no vector tile"):
            list(points_of(broken, "image", "tile"))


def test_tiles_of_an_area() -> None:
    area = parse_area("Hamlet=-0.14,51.49,-0.09,51.52")
    tiles = tiles_of(area)
    # By https://wiki.openstreetmap.org/wiki/Slippy_map_tilenames for the corners
    assert tiles[0] == Tile(8185, 5447)
    assert tiles[-1] == Tile(8187, 5449)
    assert len(tiles) == 9
    assert tiles[0].lonlat_deg(0, 0) == pytest.approx((-0.15380859, 51.52241608))
    with pytest.raises(UsageError, match="give cities, not countries"):
        tiles_of(parse_area("Land=0,40,20,60"))
    over_the_date_line = tiles_of(parse_area("Taveuni=179.97,-16.95,-179.97,-16.93"))
    assert {tile.x for tile in over_the_date_line} == {0, 1, 16382, 16383}
    assert over_the_date_line == sorted(over_the_date_line, key=lambda tile: (tile.y, tile.x))
    with pytest.raises(UsageError, match="has no name"):
        parse_area("=0,1,2,3")
    with pytest.raises(RegionError):
        parse_area("nowhere")
