"""Selection of photos: chosen cities, few from each cell, spread over places and months.

Every candidate that is not taken is counted under the first reason that holds. The choice depends
on the seed and on the candidates, not on their order: each photo draws a number from its own id.
In a cell, photos of different months take turns; in a city, cells take turns; and cities do, where
the whole is capped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gair.arrays import Bools, Floats, Ints
from gair.errors import UsageError
from indexer.regions.cells import cells_at
from training.dataset.pack.checks import coordinate_checks, first_reasons
from training.dataset.streetscapes.options import SelectionOptions

SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),  # of SOURCES
        pa.field("image_id", pa.string(), nullable=False),  # the source's own
        pa.field("lon_deg", pa.float64()),  # null where there is none or it is no number
        pa.field("lat_deg", pa.float64()),
        pa.field("city", pa.string(), nullable=False),  # "" where nobody says
        pa.field("captured_at", pa.string()),  # ISO 8601, or a blank instead of the T
        pa.field("heading_deg", pa.float64()),
        pa.field("panorama", pa.bool_()),  # null where nobody says, as in the next three
        pa.field("indoor", pa.bool_()),
        pa.field("poor", pa.bool_()),  # too bad to use, says a table
        pa.field("longest_px", pa.int64()),  # longer side of the original
    ]
)
"""Columns of a table of candidates."""


def key_of(source: str, image_id: str) -> str:
    """What a photo is called here: ``mapillary-1666317524185318``."""
    return f"{source}-{image_id}"


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """All candidates in one order that does not depend on the order of the sources' rows."""
    table = pa.concat_tables([SCHEMA.empty_table(), *tables]).combine_chunks()
    keys = ["source", "image_id", "city", "captured_at", "lon_deg", "lat_deg"]
    return table.sort_by([(key, "ascending") for key in keys])


def lonlat_deg_of(table: pa.Table) -> Floats:
    """(N, 2) longitude, latitude of photos in a table; NaN where there is none."""
    columns = (table[name].to_numpy(zero_copy_only=False) for name in ("lon_deg", "lat_deg"))
    return np.stack([column.astype(float) for column in columns], axis=1)


OTHER_SOURCE = "of a source that was not asked for"
ODD_ID = "an id that is none"
LISTED_TWICE = "listed twice"
OTHER_CITY = "in a city that was not chosen"
PANORAMA = "a panorama"
INDOOR = "indoors, by its table"
POOR = "of very poor quality, by its table"
TINY = "too small"
CELL_FULL = "beyond the cap of its cell"
CITY_FULL = "beyond the cap of its city"
ENOUGH = "beyond the cap of the whole"

_CITYLESS_RESOLUTION = 4  # photos of no known city share the cap of such a cell, 1,770 km2
_ID = r"^[A-Za-z0-9_-]{1,64}$"  # it becomes part of a file's name


@dataclass(frozen=True)
class Selection:
    """What was chosen."""

    photos: pa.Table
    """Chosen candidates, by city and id."""
    candidates: int
    left_out: Counter[str]
    """The others, by reason."""


def select(table: pa.Table, options: SelectionOptions) -> Selection:
    """Choose photos.

    Args:
        table: candidates as :func:`.candidates.joined` gives them.
        options: how.

    Raises:
        UsageError: a city that was asked for is not there.
    """
    total = len(table)
    city_of, cities = _coded(table["city"])
    reasons = first_reasons(_checks(table, options), total)
    _mark_other_cities(city_of, cities, reasons, options)
    draw = _draws(table, options.seed)
    lonlat_deg = lonlat_deg_of(table)
    month_of, months = _coded(pc.utf8_slice_codeunits(table["captured_at"].fill_null(""), 0, 7))

    # Three caps, one after the other: of a cell, of a city, of the whole. What each keeps is
    # ordered by the rank in the next smaller group, so that these take turns: a cell's photos by
    # their rank in their month, a city's by that in their cell, all by that in their city. Lots
    # break ties, so the order of rows does not matter.
    left = np.flatnonzero(reasons == "")  # numbers of rows; cell, in_month, ... go with it
    cell = _numbered(cells_at(lonlat_deg[left], options.cell_resolution))
    in_month = _ranks(cell * len(months) + month_of[left], draw[left])
    in_cell = _ranks(cell, draw[left], in_month)
    reasons[left[in_cell >= options.per_cell]] = CELL_FULL

    kept = in_cell < options.per_cell
    left, in_cell = left[kept], in_cell[kept]
    city = _capped_together(city_of[left], cities, lonlat_deg[left])
    in_city = _ranks(city, draw[left], in_cell)
    reasons[left[in_city >= options.per_city]] = CITY_FULL

    kept = in_city < options.per_city
    left, in_city = left[kept], in_city[kept]
    if options.photos is not None:
        in_all = _ranks(np.zeros(len(left), dtype=np.int64), draw[left], in_city)
        reasons[left[in_all >= options.photos]] = ENOUGH
        left = left[in_all < options.photos]
    chosen = table.take(pa.array(np.sort(left))).sort_by(
        [("city", "ascending"), ("source", "ascending"), ("image_id", "ascending")]
    )
    return Selection(chosen, total, Counter(str(reason) for reason in reasons if reason))


def _checks(table: pa.Table, o: SelectionOptions) -> list[tuple[str, Bools]]:
    """What can be wrong with a photo by itself, and (N,) for which each reason holds."""
    lonlat = lonlat_deg_of(table)
    size = np.nan_to_num(table["longest_px"].to_numpy(zero_copy_only=False).astype(float), nan=1e9)
    source, image_id = table["source"].combine_chunks(), table["image_id"].combine_chunks()
    again = np.zeros(len(table), dtype=bool)
    # The table is sorted by source and id: what is listed twice follows itself.
    again[1:] = _flags(
        pc.and_(pc.equal(source[1:], source[:-1]), pc.equal(image_id[1:], image_id[:-1]))
    )
    return [
        (OTHER_SOURCE, ~_flags(pc.is_in(source, pa.array(o.sources)))),
        (ODD_ID, ~_flags(pc.match_substring_regex(image_id, _ID))),
        (LISTED_TWICE, again),
        *coordinate_checks(lonlat, ~np.logical_and(*np.isfinite(lonlat).T)),
        (PANORAMA, _true(table, "panorama") & (not o.panoramas)),
        (INDOOR, _true(table, "indoor")),
        (POOR, _true(table, "poor")),
        (TINY, size < o.min_px),
    ]


def _mark_other_cities(
    city_of: Ints, cities: list[str], reasons: npt.NDArray[np.object_], o: SelectionOptions
) -> None:
    usable = sorted(cities[number] for number in np.unique(city_of[reasons == ""]))
    if o.cities:
        names_of = {c: {c.casefold(), c.rsplit(", ", 1)[0].casefold()} for c in usable}
        wanted = {name.casefold() for name in o.cities}
        chosen = {city for city, names in names_of.items() if names & wanted}
        matched = set().union(*(names_of[city] for city in chosen))
        if missing := [name for name in o.cities if name.casefold() not in matched]:
            examples = ", ".join(repr(city) for city in usable[:8] if city)
            raise UsageError(
                f"no usable photo is of a city {missing[0]!r}: there are {len(usable):,} cities "
                f"({examples}{', ...' if len(usable) > 8 else ''})"
            )
        usable = sorted(chosen)
    if o.most_cities is not None:
        named = [city for city in usable if city]
        usable = sorted(named, key=lambda city: _number(f"{o.seed}:city:{city}"))[: o.most_cities]
    number_of = {city: number for number, city in enumerate(cities)}
    other = ~np.isin(city_of, [number_of[city] for city in usable])
    reasons[other & (reasons == "")] = OTHER_CITY


def _capped_together(city_of: Ints, cities: list[str], lonlat_deg: npt.NDArray[np.float64]) -> Ints:
    """(N,) a number for what shares a cap: a city, or a large cell for photos of none."""
    group = city_of.copy()
    if "" in cities:
        nowhere = city_of == cities.index("")
        around = _numbered(cells_at(lonlat_deg[nowhere], _CITYLESS_RESOLUTION))
        group[nowhere] = len(cities) + around
    return group


def _coded(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """(N,) numbers of a column's values, and the values."""
    coded = pa.chunked_array(column).combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _flags(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)


def _true(table: pa.Table, column: str) -> npt.NDArray[np.bool_]:
    return _flags(table[column].fill_null(False))


def _draws(table: pa.Table, seed: int) -> npt.NDArray[np.uint64]:
    """A number for each photo that depends on the seed and its id only."""
    drawn = np.empty(len(table), dtype=np.uint64)
    at = 0
    for batch in table.select(["source", "image_id"]).to_batches(max_chunksize=100_000):
        ids = zip(batch["source"].to_pylist(), batch["image_id"].to_pylist(), strict=True)
        drawn[at : at + len(batch)] = [_number(f"{seed}:{key_of(*pair)}") for pair in ids]
        at += len(batch)
    return drawn


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _numbered(cells: npt.NDArray[np.uint64]) -> Ints:
    return np.unique(cells, return_inverse=True)[1].astype(np.int64)


def _ranks(group: Ints, draw: npt.NDArray[np.uint64], first: Ints | None = None) -> Ints:
    """(N,) place of each in its group, by ``first`` and then by lot."""
    first = np.zeros(len(group), dtype=np.int64) if first is None else first
    order = np.lexsort((draw, first, group))  # by group, then first, then lot
    # start: (N,) where the group of each begins in that order, by a running maximum of the begins.
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    start = np.zeros(len(group), dtype=np.int64)
    start[begins] = begins
    ranks = np.empty(len(group), dtype=np.int64)
    ranks[order] = np.arange(len(group)) - np.maximum.accumulate(start)
    return ranks
