"""Choice of the photos of a build: made once, and kept in its working folder."""

from __future__ import annotations

import io
import json
import os
import re
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from gair.errors import DatasetError, UsageError
from gair.files import write_whole
from gair.inputs.documents import json_of
from gair.photos.exif import parse_date
from training.dataset.streetscapes.areas import parse_area
from training.dataset.streetscapes.fetch import Wanted
from training.dataset.streetscapes.journal import Journal
from training.dataset.streetscapes.listings import Lister
from training.dataset.streetscapes.options import KARTAVIEW, MAPILLARY, StreetscapesOptions
from training.dataset.streetscapes.providers import TOKEN_VARIABLE
from training.dataset.streetscapes.selection import Selection, joined, select
from training.dataset.streetscapes.tables import global_streetscapes, osv5m
from training.dataset.streetscapes.web import Web

_RECIPE, _CHOSEN, _COUNTS = "recipe.json", "chosen.parquet", "chosen.json"


def begin(options: StreetscapesOptions, journal: Journal) -> None:
    """Mark a working folder as that of a build, or see that it is.

    Args:
        options: the build's.
        journal: of the folder. As long as it is empty, other options may take the folder over: all
            that would be lost is a choice, which may have been made with a slip.

    Raises:
        UsageError: it belongs to a build with other options.
    """
    other = other_options(options)
    if other and not journal.is_empty():
        raise UsageError(
            f"{options.work} holds an unfinished build with other options ({', '.join(other)}): "
            "pass the same ones to go on with it, or remove the folder to begin anew"
        )
    path = options.work / _RECIPE
    if other or not path.exists():
        (options.work / _COUNTS).unlink(missing_ok=True)
        write_whole(path, json.dumps(options.photos_recipe(), indent=1).encode())


def other_options(options: StreetscapesOptions) -> list[str]:
    """Names of the options in which the build of the working folder differs; none if none is."""
    path = options.work / _RECIPE
    if not path.exists():
        return []
    recipe = options.photos_recipe()
    try:
        before = json_of(path.read_bytes())
        return [name for name in recipe if recipe[name] != before.get(name)]
    except (ValueError, AttributeError, OSError) as error:
        raise DatasetError(f"{path} cannot be read: remove {options.work}") from error


def chosen(options: StreetscapesOptions, web: Web) -> Selection:
    """The photos of a build: those it chose when it began, or chosen now.

    Raises:
        DatasetError: a list cannot be read, or nothing is left to fetch.
        DownloadError: a provider does not answer, or refuses.
        UsageError: an option cannot work, or there is no token.
    """
    counts = options.work / _COUNTS
    if counts.exists():
        try:
            counted = json_of(counts.read_bytes())
            table = pq.read_table(options.work / _CHOSEN)
            return Selection(table, counted["candidates"], Counter(counted["left_out"]))
        except (ValueError, KeyError, OSError) as error:
            raise DatasetError(
                f"{counts} or {_CHOSEN} cannot be read: remove {options.work} and begin again"
            ) from error
    lister = Lister(
        web, options.endpoints, token(options), options.work, options.fetch.concurrency,
        options.quiet,
    )  # fmt: skip
    lists = options.lists
    tables = from_tables(options)
    tables += lister.mapillary([parse_area(text) for text in lists.mapillary_areas])
    tables += lister.kartaview([parse_area(text) for text in lists.kartaview_areas])
    selection = select(joined(tables), options.selection)
    if not len(selection.photos):
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in selection.left_out.most_common())
        raise DatasetError(
            f"none of {selection.candidates:,} photos is wanted: {reasons or 'the lists are empty'}"
        )
    buffer = io.BytesIO()
    pq.write_table(selection.photos, buffer)
    # The counts come last: the choice stands as soon as their file is there.
    write_whole(options.work / _CHOSEN, buffer.getvalue())
    counted = {"candidates": selection.candidates, "left_out": dict(selection.left_out)}
    write_whole(counts, json.dumps(counted).encode())
    return selection


def from_tables(options: StreetscapesOptions) -> list[pa.Table]:
    """The candidates of all tables on this machine."""
    tables = [global_streetscapes(folder) for folder in options.lists.tables]
    return tables + [osv5m(path) for path in options.lists.osv5m]


def wanted_photos(selection: Selection) -> list[Wanted]:
    """The chosen photos, in order."""
    return [
        Wanted(
            source=row["source"],
            image_id=row["image_id"],
            lonlat_deg=(row["lon_deg"], row["lat_deg"]),
            heading_deg=row["heading_deg"],
            captured_at=parse_date(row["captured_at"]) if row["captured_at"] else None,
        )
        for row in selection.photos.to_pylist()
    ]


def token(options: StreetscapesOptions, sources: set[str] | None = None) -> str:
    """The token for Mapillary; empty where it is neither there nor needed.

    Args:
        options: the build's.
        sources: whose photos are to be fetched; None for those that are only listed so far.

    Raises:
        UsageError: it is needed and not there.
    """
    value = os.environ.get(TOKEN_VARIABLE, "").strip()
    needed = bool(options.lists.mapillary_areas) if sources is None else MAPILLARY in sources
    if not re.fullmatch(r"[!-~]*", value):
        raise UsageError(
            f"what the environment variable {TOKEN_VARIABLE} holds is no token: copy it again, "
            "without blanks and line breaks"
        )
    if needed and not value:
        raise UsageError(
            f"Mapillary wants a token: put one into the environment variable {TOKEN_VARIABLE} "
            "(https://www.mapillary.com/dashboard/developers gives one)"
            + (f", or pass `sources` {KARTAVIEW}" if sources and KARTAVIEW in sources else "")
        )
    return value
