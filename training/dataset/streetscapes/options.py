"""Options of a data set of street photos: lists, choice, fetching and imagery.

Their fields make the flags of the command line (:mod:`gair.fields`), so nothing heavy is imported.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from gair.fields import check_range, option
from gair.http import Patience
from training.dataset.pack.options import (
    IMAGERY,
    RESULT,
    CatalogueOptions,
    DatasetOptions,
    PackOptions,
)
from training.dataset.streetscapes.web import PATIENCE, is_address

MAPILLARY = "mapillary"
KARTAVIEW = "kartaview"
SOURCES = (MAPILLARY, KARTAVIEW)

LISTS, CHOICE, FETCHING = "which photos there are", "which photos to have", "fetching"
"""Titles of groups of flags, beside those of every data set."""


@dataclass(frozen=True)
class Lists:
    """Where to learn which photos there are."""

    tables: tuple[Path, ...] = option((), many="words", metavar="DIR")
    """Folders with the tables of Global Streetscapes, CSV or Parquet: metadata_common_attributes
    and, if there, simplemaps (cities), places365 (indoor), contextual (quality)."""
    osv5m: tuple[Path, ...] = option((), many="words", metavar="FILE")
    """Tables of OSV-5M: train.csv or test.csv."""
    mapillary_areas: tuple[str, ...] = option((), flags="--mapillary-area", metavar="AREA")
    """Ask Mapillary what it has in an area: NAME=W,S,E,N, NAME=FILE.geojson or a region that ships;
    may be given again."""
    kartaview_areas: tuple[str, ...] = option((), flags="--kartaview-area", metavar="AREA")
    """Ask KartaView what it has in an area."""

    def __post_init__(self) -> None:
        if not any(dataclasses.astuple(self)):
            raise UsageError(
                "nothing says which photos there are: pass `tables`, `osv5m`, `mapillary_areas` or "
                "`kartaview_areas`"
            )


@dataclass(frozen=True)
class SelectionOptions:
    """Which photos to have."""

    sources: tuple[str, ...] = option(SOURCES, many="words", metavar="NAME")
    """Whose photos to take: mapillary, kartaview, or both."""
    cities: tuple[str, ...] = option((), flags="--city", metavar="NAME")
    """Only this city (Paris, or Paris, FR); may be given again."""
    most_cities: int | None = None
    """Draw so many cities at random."""
    per_city: int = 5000
    """Most photos of a city."""
    per_cell: int = 4
    """Most photos of an H3 cell, months taking turns."""
    cell_resolution: int = option(9, metavar="R")
    """H3 resolution of such a cell; 9 is 0.1 km2."""
    photos: int | None = None
    """Most photos of all."""
    panoramas: bool = False
    """Take photos that look all around, too."""
    min_px: int = option(480, metavar="PX")
    """Least length of a photo's longer side."""
    seed: int = 0
    """Of the choice and of the split, which is by city."""

    def __post_init__(self) -> None:
        if unknown := set(self.sources) - set(SOURCES):
            raise UsageError(f"unknown source {min(unknown)!r}: there are {', '.join(SOURCES)}")
        check_range(self, 1, "most_cities", "per_city", "per_cell", "photos", "min_px")
        check_range(self, 0, "cell_resolution", most=15)
        check_range(self, 0, "seed")


@dataclass(frozen=True)
class FetchOptions:
    """How photos are fetched, and which are kept."""

    concurrency: int = 16
    """Photos on their way at a time."""
    max_px: int = option(1024, metavar="PX")
    """Longest side of a photo; larger ones are shrunk."""
    min_px: int = option(480, metavar="PX")
    """Least length of a photo's longer side."""
    least_sharpness: float = option(30.0, metavar="V")
    """Least variance of the Laplacian at 512 pixels; 0 keeps all."""
    panoramas: bool = False
    """Keep photos that look all around, too."""

    def __post_init__(self) -> None:
        check_range(self, 1, "concurrency", most=256)
        check_range(self, 0, "least_sharpness")


@dataclass(frozen=True)
class Endpoints:
    """Addresses of the providers, or of mirrors."""

    mapillary_graph: str = option(
        "https://graph.mapillary.com", flags="--mapillary-url", metavar="URL"
    )
    """Mapillary's API, or a mirror of it."""
    mapillary_tiles: str = option(
        "https://tiles.mapillary.com/maps/vtp/mly1_public/2",
        flags="--mapillary-tiles-url",
        metavar="URL",
    )
    """Mapillary's coverage tiles, or a mirror of them."""
    kartaview: str = option("https://api.openstreetcam.org", flags="--kartaview-url", metavar="URL")
    """KartaView's API, or a mirror of it."""

    def __post_init__(self) -> None:
        for url in dataclasses.astuple(self):
            if not is_address(url):
                raise UsageError(f"{url!r} is no address: give one such as https://mirror.org/api")


@dataclass(frozen=True)
class StreetscapesOptions(DatasetOptions):
    """What goes into a data set of the public's photos, and how."""

    lists: Lists = option(group=LISTS)
    """Where to learn which photos there are."""
    out: Path = option(metavar="DIR", group=RESULT)
    """Folder of the data set; work goes on in DIR.unfinished."""
    imagery: tuple[Path, ...] = option((), many="words", group=IMAGERY)
    """Sentinel-2 files and folders, as for pack; or stac: ask a catalogue."""
    catalogue: CatalogueOptions | None = None
    """Imagery from there instead of files."""
    dates_per_footprint: int = option(4, group=IMAGERY)
    """Most dates of a footprint, far apart."""
    selection: SelectionOptions = option(SelectionOptions(), group=CHOICE)
    """Which photos to have."""
    fetch: FetchOptions = option(FetchOptions(), group=FETCHING)
    """How they are fetched, and which are kept."""
    endpoints: Endpoints = option(Endpoints(), group=FETCHING)
    """Whom to ask."""
    patience: Patience = option(
        PATIENCE, group=FETCHING, leave_out=("first_pause_s", "answer_s", "longest_pause_s")
    )
    """How long servers are borne with."""
    accept_missing: bool = option(False, group=FETCHING)
    """Go on without photos that cannot be had now; they are counted."""
    keep_photos: bool = option(False, group=RESULT)
    """Keep the fetched files when all is done."""

    def __post_init__(self) -> None:
        if self.dates_per_footprint < 1:
            raise UsageError(
                f"`dates_per_footprint` {self.dates_per_footprint} is below 1: a data set needs "
                "imagery"
            )
        self.packing(Path())  # refuses what packing would, before anything is fetched

    @property
    def work(self) -> Path:
        """Folder of a build that is not complete, beside the data set's."""
        return self.out.with_name(f"{self.out.name}.unfinished")

    def packing(self, manifest: Path) -> PackOptions:
        """How the fetched photos are packed."""
        common = (field.name for field in dataclasses.fields(DatasetOptions))
        return PackOptions(
            photos=manifest,
            imagery=self.imagery,
            out=self.out,
            max_px=self.fetch.max_px,
            **{name: getattr(self, name) for name in common},
        )

    def photos_recipe(self) -> dict[str, Any]:
        """What decides which photos are fetched and how they are kept; plain JSON, no paths."""
        fetch = dataclasses.asdict(self.fetch)
        fetch.pop("concurrency")
        recipe = {
            "tables": [_contents(folder) for folder in self.lists.tables],
            "osv5m": [[path.name, _size(path)] for path in self.lists.osv5m],
            "mapillary_areas": [_without_folder(text) for text in self.lists.mapillary_areas],
            "kartaview_areas": [_without_folder(text) for text in self.lists.kartaview_areas],
            "selection": dataclasses.asdict(self.selection),
            "fetch": fetch,
        }
        return dict(json.loads(json.dumps(recipe)))

    def recipe(self) -> dict[str, Any]:
        """What decides the whole data set, but for the imagery's own contents."""
        catalogue = self.catalogue and {**dataclasses.asdict(self.catalogue), "cache": None}
        recipe = {
            **self.photos_recipe(),
            "imagery": [path.name for path in self.imagery],
            "catalogue": catalogue,
            "dates": self.dates_per_footprint,
            "footprint_m": self.footprint_m,
            "min_valid": self.min_valid,
            "split": dataclasses.asdict(self.split),
            "reading": dataclasses.asdict(self.reading),
            "synthetic": self.synthetic,
            "accept_missing": self.accept_missing,
        }
        return dict(json.loads(json.dumps(recipe)))


def _contents(folder: Path) -> list[list[object]]:
    """Tables of a folder by name and size: reading gigabytes to hash them would take too long."""
    files = [*folder.glob("*.csv"), *folder.glob("*.parquet")] if folder.is_dir() else []
    return sorted([path.name, _size(path)] for path in files)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _without_folder(area: str) -> str:
    name, equals, where = area.partition("=")
    return f"{name}{equals}{Path(where).name}"
