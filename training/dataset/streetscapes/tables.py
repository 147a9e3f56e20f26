"""Reader of the lists of photos that researchers published: Global Streetscapes and OSV-5M.

Global Streetscapes (https://huggingface.co/datasets/NUS-UAL/global-streetscapes, 10 million photos,
CC BY-SA 4.0) is a folder of tables that share the column ``uuid``. Read are::

    metadata_common_attributes  uuid, source, orig_id, lat, lon, datetime_local, width, height,
                                heading, projection_type                              needed
    simplemaps                  uuid, city_ascii (or city), iso2                      the city
    places365                   uuid, place                                           indoor scenes
    contextual                  uuid, quality, pano_status                            bad photos

OSV-5M (https://huggingface.co/datasets/osv5m/osv5m, 5 million photos of Mapillary, CC BY-SA 4.0) is
one table, ``train.csv`` or ``test.csv``: id, latitude, longitude, captured_at, city, country.

Both may be CSV or Parquet under the same names. Tables are read by DuckDB, which needs no memory
for columns and rows that nobody asks for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from gair.errors import DatasetError, UsageError
from gair.files import check_is_file
from gair.interrupts import interruptible_sql
from training.dataset.streetscapes.selection import SCHEMA

MAIN_TABLE = "metadata_common_attributes"
_MAIN = ("uuid", "source", "orig_id", "lat", "lon")
_MAIN_OPTIONAL = ("datetime_local", "width", "height", "heading", "projection_type")
_OSV5M = ("id", "latitude", "longitude")
_OSV5M_OPTIONAL = ("captured_at", "city", "country")
_READERS = {".csv": "read_csv", ".parquet": "read_parquet"}
_ROUND = ("spherical", "equirectangular", "sphere", "360")  # projections of both providers
_UNUSABLE = "very poor"  # of: good, slightly poor, very poor

# Scenes of Places365 inside buildings or vehicles: all with a 1 in the list of its authors,
# https://github.com/CSAILVision/places365/blob/master/IO_places365.txt, but swimming_hole.
_INDOOR = """
airplane_cabin airport_terminal alcove amusement_arcade aquarium arcade archive arena/hockey
arena/performance arena/rodeo art_gallery art_school art_studio artists_loft assembly_line
atrium/public attic auditorium auto_factory auto_showroom bakery/shop ball_pit ballroom bank_vault
banquet_hall bar basement basketball_court/indoor bathroom bazaar/indoor beauty_salon bedchamber
bedroom beer_hall berth biology_laboratory bookstore booth/indoor bow_window/indoor bowling_alley
boxing_ring burial_chamber bus_interior bus_station/indoor butchers_shop cafeteria candy_store
car_interior catacomb chemistry_lab childs_room church/indoor classroom clean_room closet
clothing_store cockpit coffee_shop computer_room conference_center conference_room corridor
delicatessen department_store dining_hall dining_room discotheque dorm_room dressing_room drugstore
elevator/door elevator_lobby elevator_shaft engine_room entrance_hall escalator/indoor fabric_store
fastfood_restaurant flea_market/indoor florist_shop/indoor food_court galley garage/indoor
general_store/indoor gift_shop greenhouse/indoor gymnasium/indoor hangar/indoor hardware_store
home_office home_theater hospital_room hotel_room ice_cream_parlor ice_skating_rink/indoor
jacuzzi/indoor jail_cell jewelry_shop kindergarden_classroom kitchen laundromat lecture_room
legislative_chamber library/indoor living_room lobby locker_room market/indoor martial_arts_gym
mezzanine movie_theater/indoor museum/indoor music_studio natural_history_museum nursery
nursing_home office office_cubicles operating_room orchestra_pit pantry parking_garage/indoor
pet_shop pharmacy physics_laboratory pizzeria playroom pub/indoor reception recreation_room
repair_shop restaurant restaurant_kitchen sauna science_museum server_room shoe_shop
shopping_mall/indoor shower stable stage/indoor staircase storage_room subway_station/platform
supermarket sushi_bar swimming_pool/indoor television_room television_studio throne_room
ticket_booth toyshop train_interior train_station/platform utility_room veterinarians_office
waiting_room wet_bar youth_hostel
"""
# Global Streetscapes gives some scenes without what comes after the slash: such a name counts as
# indoors only if all scenes of the name are.
_ALSO_OUTDOORS = frozenset(
    "basketball_court bazaar church garage general_store greenhouse hangar ice_skating_rink "
    "library market museum parking_garage stage swimming_pool".split()
)

INDOOR_SCENES = frozenset(_INDOOR.split()) | (
    {name.split("/")[0] for name in _INDOOR.split()} - _ALSO_OUTDOORS
)
"""Names of scenes that show no street."""


def global_streetscapes(folder: Path) -> pa.Table:
    """The photos of a folder with Global Streetscapes' tables.

    Raises:
        DatasetError: a table cannot be read.
        UsageError: the main table or a column is missing.
    """
    connection = _connection()
    main = _table(folder, MAIN_TABLE)
    if main is None:
        raise UsageError(
            f"{folder} has no {MAIN_TABLE}.csv or .parquet: download the tables of Global "
            "Streetscapes there (huggingface.co/datasets/NUS-UAL/global-streetscapes, data/)"
        )
    has = _columns(connection, main, _MAIN)
    m = {name: f"m.{name}" if name in has else "NULL" for name in _MAIN_OPTIONAL}
    joins, city, scene, quality, pano = "", "''", "NULL", "NULL", "NULL"
    if cities := _table(folder, "simplemaps"):
        columns = _columns(connection, cities, ("uuid",))
        name = next((c for c in ("city_ascii", "city") if c in columns), None)
        if name is None:
            raise UsageError(f"{cities} has no column city_ascii or city: download it again")
        country = "coalesce(', ' || s.iso2, '')" if "iso2" in columns else "''"
        city = f"coalesce(s.{name} || {country}, '')"
        joins += f" LEFT JOIN {_once(cities)} s USING (uuid)"
    if scenes := _table(folder, "places365"):
        _columns(connection, scenes, ("uuid", "place"))
        joins += f" LEFT JOIN {_once(scenes)} p USING (uuid)"
        scene = "p.place"
    if context := _table(folder, "contextual"):
        columns = _columns(connection, context, ("uuid",))
        joins += f" LEFT JOIN {_once(context)} c USING (uuid)"
        quality = "c.quality" if "quality" in columns else "NULL"
        pano = "c.pano_status" if "pano_status" in columns else "NULL"
    width, height = (f"try_cast({m[side]} AS DOUBLE)" for side in ("width", "height"))
    query = f"""
        SELECT lower(m.source) AS source, m.orig_id AS image_id,
            try_cast(m.lon AS DOUBLE) AS lon_deg, try_cast(m.lat AS DOUBLE) AS lat_deg,
            {city} AS city, {m["datetime_local"]} AS captured_at,
            try_cast({m["heading"]} AS DOUBLE) AS heading_deg,
            lower({m["projection_type"]}) IN {_ROUND}
                OR coalesce({width} >= 2 * {height}, false)
                OR coalesce(lower({pano}) = 'true', false) AS panorama,
            {scene} IN {tuple(sorted(INDOOR_SCENES))} AS indoor, {quality} = '{_UNUSABLE}' AS poor,
            try_cast(greatest({width}, {height}) AS BIGINT) AS longest_px
        FROM {_rows(main)} m {joins}
        WHERE m.orig_id IS NOT NULL AND m.source IS NOT NULL
    """
    return _candidates(connection, query, main)


def osv5m(path: Path) -> pa.Table:
    """The photos of OSV-5M's train or test table; all are Mapillary's.

    Raises:
        DatasetError: it cannot be read.
        UsageError: a column is missing.
    """
    connection = _connection()
    has = _columns(connection, path, _OSV5M)
    m = {name: f'm."{name}"' if name in has else "NULL" for name in _OSV5M_OPTIONAL}
    query = f"""
        SELECT 'mapillary' AS source, m.id AS image_id, try_cast(m.longitude AS DOUBLE) AS lon_deg,
            try_cast(m.latitude AS DOUBLE) AS lat_deg,
            coalesce({m["city"]} || coalesce(', ' || {m["country"]}, ''), '') AS city,
            {_iso(m["captured_at"])} AS captured_at, NULL AS heading_deg, NULL AS panorama,
            NULL AS indoor, NULL AS poor, NULL AS longest_px
        FROM {_rows(path)} m WHERE m.id IS NOT NULL
    """
    return _candidates(connection, query, path)


def _connection() -> Any:  # noqa: ANN401
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    return connection


def _table(folder: Path, name: str) -> Path | None:
    paths = [folder / f"{name}{suffix}" for suffix in reversed(_READERS)]
    return next((path for path in paths if path.is_file()), None)


def _rows(path: Path) -> str:
    """The rows of a file in SQL, every value as text."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path} is neither a .csv nor a .parquet table of photos")
    quoted = str(path).replace("'", "''")
    if reader == "read_csv":
        return f"read_csv('{quoted}', header=true, all_varchar=true)"
    return f"(SELECT columns(*)::VARCHAR FROM read_parquet('{quoted}'))"


def _once(path: Path) -> str:
    """One row for each photo, should a table have several."""
    return f"(SELECT DISTINCT ON (uuid) * FROM {_rows(path)} ORDER BY ALL)"


def _columns(connection: Any, path: Path, needed: tuple[str, ...]) -> set[str]:  # noqa: ANN401
    query = f"DESCRIBE SELECT * FROM {_rows(path)}"
    with _reading(path):
        check_is_file(path)
        columns = [str(row[0]) for row in connection.execute(query).fetchall()]
    if missing := [name for name in needed if name not in columns]:
        raise UsageError(
            f"{path} has no column {', '.join(missing)}: its columns are {', '.join(columns)}"
        )
    return set(columns)


def _candidates(connection: Any, query: str, path: Path) -> pa.Table:  # noqa: ANN401
    with _reading(path):
        table = connection.sql(query).to_arrow_table()
    return table.cast(SCHEMA)


def _iso(milliseconds: str) -> str:
    """Milliseconds since 1970 as ISO 8601, in SQL."""
    return f"strftime(epoch_ms(try_cast({milliseconds} AS BIGINT)), '%Y-%m-%dT%H:%M:%S+00:00')"


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Let Ctrl-C stop a query, and name the table that DuckDB cannot read."""
    try:
        with interruptible_sql():
            yield
    except Exception as error:  # DuckDB has a dozen kinds over broken files
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(
            f"cannot read {path} or a table beside it ({reason}): download it again"
        ) from error
