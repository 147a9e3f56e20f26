"""Options of a data set of street photos: lists, choice, fetching and imagery.

Nothing heavy is imported, so that a command line can be made of the fields.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gair.errors import UsageError
from gair.http import Patience
from training.dataset.pack.options import (
    CatalogueOptions,
    ImageryOptions,
    PackOptions,
    SplitOptions,
    model_footprint_m,
)
from training.dataset.streetscapes.web import PATIENCE, is_address

MAPILLARY = "mapillary"
KARTAVIEW = "kartaview"
SOURCES = (MAPILLARY, KARTAVIEW)


@dataclass(frozen=True)
class Lists:
    """Where to learn which photos there are."""

    tables: tuple[Path, ...] = ()
    """Folders with the tables of Global Streetscapes."""
    osv5m: tuple[Path, ...] = ()
    """Tables of OSV-5M."""
    mapillary_areas: tuple[str, ...] = ()
    """Areas to ask Mapillary about, as :func:`.areas.parse_area` reads them."""
    kartaview_areas: tuple[str, ...] = ()
    """Areas to ask KartaView about."""

    def __post_init__(self) -> None:
        if not any(dataclasses.astuple(self)):
            raise UsageError(
                "nothing says which photos there are: pass --tables, --osv5m, --mapillary-area or "
                "--kartaview-area"
            )


@dataclass(frozen=True)
class SelectionOptions:
    """Which photos to have."""

    sources: tuple[str, ...] = SOURCES
    """Whose photos to take."""
    cities: tuple[str, ...] = ()
    """Names, with or without the country (``Paris`` or ``Paris, FR``); empty for all."""
    most_cities: int | None = None
    """Cities to draw at random from those; None for all."""
    per_city: int = 5000
    """Most photos of a city."""
    per_cell: int = 4
    """Most photos of a cell."""
    cell_resolution: int = 9
    """H3 resolution of such a cell; 9 is 0.1 km2."""
    photos: int | None = None
    """Most photos of all."""
    panoramas: bool = False
    """Whether to take photos that look all around."""
    min_px: int = 480
    """Least length of a photo's longer side."""
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := set(self.sources) - set(SOURCES):
            raise UsageError(f"unknown source {min(unknown)!r}: there are {', '.join(SOURCES)}")
        for name in ("most_cities", "per_city", "per_cell", "photos"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} {value} is below 1")
        if not 0 <= self.cell_resolution <= 15:
            raise UsageError(f"--cell-resolution {self.cell_resolution} is not in 0..15: try 9")
        if self.min_px < 1 or self.seed < 0:
            raise UsageError("--min-px must be 1 or more, and --seed 0 or more")


@dataclass(frozen=True)
class FetchOptions:
    """How photos are fetched, and which are kept."""

    concurrency: int = 16
    """Photos on their way at a time."""
    max_px: int = 1024
    """Longest side of what is kept; larger photos are shrunk."""
    min_px: int = 480
    """Least length of a photo's longer side."""
    least_sharpness: float = 30.0
    """Least variance of the Laplacian, see :func:`.fetch.sharpness`; 0 keeps all."""
    panoramas: bool = False
    """Whether photos are kept that look all around."""

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= 256:
            raise UsageError(f"--concurrency {self.concurrency} is not in 1..256")
        if self.least_sharpness < 0:
            raise UsageError(f"--least-sharpness {self.least_sharpness:g} is below 0")


@dataclass(frozen=True)
class Endpoints:
    """Addresses of the providers, or of mirrors."""

    mapillary_graph: str = "https://graph.mapillary.com"
    mapillary_tiles: str = "https://tiles.mapillary.com/maps/vtp/mly1_public/2"
    kartaview: str = "https://api.openstreetcam.org"

    def __post_init__(self) -> None:
        for url in dataclasses.astuple(self):
            if not is_address(url):
                raise UsageError(f"{url!r} is no address: give one such as https://mirror.org/api")


@dataclass(frozen=True)
class StreetscapesOptions:
    """What goes into a data set, and how."""

    lists: Lists
    out: Path
    imagery: tuple[Path, ...] = ()
    """Sentinel-2 files and folders."""
    reading: ImageryOptions = ImageryOptions()
    catalogue: CatalogueOptions | None = None
    """Imagery from there instead of files."""
    dates: int = 4
    """Most dates of imagery for each footprint."""
    selection: SelectionOptions = SelectionOptions()
    fetch: FetchOptions = FetchOptions()
    endpoints: Endpoints = Endpoints()
    patience: Patience = PATIENCE
    split: SplitOptions = SplitOptions()
    footprint_m: float = field(default_factory=model_footprint_m)
    min_valid: float = 0.5
    synthetic: bool = False
    overwrite: bool = False
    accept_missing: bool = False
    """Whether photos that cannot be had now are left out and counted, not an error."""
    keep_photos: bool = False
    """Whether the fetched files stay once the data set is complete."""
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.dates < 1:
            raise UsageError(
                f"--dates-per-footprint {self.dates} is below 1: a data set needs imagery"
            )
        self.packing(Path())

    @property
    def work(self) -> Path:
        """Folder of a build that is not complete, beside the data set's."""
        return self.out.with_name(f"{self.out.name}.unfinished")

    def packing(self, manifest: Path) -> PackOptions:
        """How the fetched photos are packed."""
        return PackOptions(
            photos=manifest,
            imagery=self.imagery,
            out=self.out,
            reading=self.reading,
            footprint_m=self.footprint_m,
            min_valid=self.min_valid,
            split=self.split,
            max_px=self.fetch.max_px,
            synthetic=self.synthetic,
            overwrite=self.overwrite,
            quiet=self.quiet,
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
        recipe = {
            **self.photos_recipe(),
            "imagery": [path.name for path in self.imagery],
            "catalogue": self._catalogue(),
            "dates": self.dates,
            "footprint_m": self.footprint_m,
            "min_valid": self.min_valid,
            "split": dataclasses.asdict(self.split),
            "reading": dataclasses.asdict(self.reading),
            "synthetic": self.synthetic,
            "accept_missing": self.accept_missing,
        }
        return dict(json.loads(json.dumps(recipe)))

    def _catalogue(self) -> dict[str, Any] | None:
        if self.catalogue is None:
            return None
        return {**dataclasses.asdict(self.catalogue), "cache": None}


def _contents(folder: Path) -> list[list[object]]:
    """Tables of a folder by name and size: reading gigabytes to hash them would take too long."""
    files = [*folder.glob("*.csv"), *folder.glob("*.parquet")] if folder.is_dir() else []
    return sorted([path.name, _size(path)] for path in files)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _without_folder(area: str) -> str:
    name, equals, where = area.partition("=")
    return f"{name}{equals}{Path(where).name}"
