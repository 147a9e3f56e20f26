"""Options of packing: photos, imagery, footprints and split.

Their fields make the flags of the command line (:mod:`gair.fields`), so nothing heavy is imported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gair.config import GairConfig
from gair.errors import UsageError
from gair.fields import option
from indexer.imagery.options import FileReading

FootprintMode = Literal["tiles", "centred"]

IMAGERY, RESULT = "imagery", "the data set"
"""Titles of groups of flags."""


def parse_shares(text: str) -> tuple[float, ...]:
    """Shares from numbers with commas between.

    Raises:
        UsageError: it is something else.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"`shares` {text!r} are no numbers: give, for example, 0.8,0.1,0.1"
        ) from None


@dataclass(frozen=True)
class ImageryOptions(FileReading):
    """How files become imagery, and of which day."""

    date_from_name: bool = False
    """Take the day from file names such as city_20240131.tif (or 2024-01-31, 2024_01_31) before the
    metadata."""


@dataclass(frozen=True)
class CatalogueOptions:
    """Which scenes of which catalogue."""

    dates: str = option("", metavar="FROM/TO")
    """Of the catalogue's scenes, both days included: 2023-01-01/2025-12-31."""
    url: str = option("", flags="--stac-url", metavar="URL")
    """Another catalogue than Earth Search."""
    collection: str = option("", flags="--stac-collection", metavar="NAME")
    """Another collection of it."""
    max_cloud: float = option(20.0, metavar="P")
    """Leave out the catalogue's scenes with more clouds, per cent."""
    cache: Path | None = option(None, flags="--imagery-cache", metavar="DIR")
    """Folder where fetched pixels of a catalogue are kept, if not the usual one."""

    def __post_init__(self) -> None:
        if not self.dates:
            raise UsageError(
                "`imagery` stac needs to know which dates: pass, for example, "
                "`dates` 2023-01-01/2025-12-31"
            )


@dataclass(frozen=True)
class SplitOptions:
    """How photos are divided into training, validation and test."""

    by: Literal["city", "block"] = option("city", flags="--split-by")
    """Hold out whole cities (the manifest's column city or place; groups of near photos where it
    names none) or blocks of a grid."""
    shares: tuple[float, ...] = option(
        (0.8, 0.1, 0.1), many="word", parse=parse_shares, metavar="T,V,T"
    )
    """Shares of train, val and test; they sum to 1."""
    buffer_m: float = option(500.0, metavar="M")
    """Least gap between footprints of different splits, metres on the ground; photos in it are left
    out."""
    block_m: float = option(2000.0, metavar="M")
    """Side of a block, metres on the ground."""
    join_km: float = option(5.0, metavar="KM")
    """Photos without a city belong together if they are nearer than this, kilometres."""
    seed: int = 0
    """Of the split, that is of the order in which places are dealt out, and of centred
    footprints."""

    def __post_init__(self) -> None:
        shares = self.shares
        sound = all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-6
        if len(shares) != 3 or not sound:
            raise UsageError(
                f"`shares` {','.join(f'{share:g}' for share in shares)} are not three shares of "
                "train, val and test that sum to 1: give, for example, 0.8,0.1,0.1"
            )
        if not 0 <= self.buffer_m < math.inf:
            raise UsageError(f"`buffer_m` {self.buffer_m} is no distance: give metres, such as 500")
        if not 100 <= self.block_m < math.inf:
            raise UsageError(f"`block_m` {self.block_m} is below 100 metres: give 2000 or so")
        if not 0.1 <= self.join_km < math.inf:
            raise UsageError(f"`join_km` {self.join_km} is below 0.1 kilometres: give 5 or so")
        if self.seed < 0:
            raise UsageError(f"`seed` {self.seed} is below 0: give 0 or more")


@dataclass(frozen=True, kw_only=True)
class DatasetOptions:
    """How any data set is made, wherever its photos come from."""

    reading: ImageryOptions = option(ImageryOptions(), group=IMAGERY)
    """How the imagery is read."""
    footprint_m: float = option(GairConfig.footprint_mercator_m, metavar="M", group=IMAGERY)
    """Side of a footprint in Web-Mercator metres (EPSG:3857); on the ground it is this times
    cos(latitude) (default: 2446, a zoom-14 tile)."""
    min_valid: float = option(0.5, metavar="SHARE", group=IMAGERY)
    """Leave out frames with less imagery than this."""
    split: SplitOptions = option(SplitOptions(), group=RESULT)
    """How photos are divided."""
    synthetic: bool = option(False, group=RESULT)
    """Photos and imagery are made up: record that."""
    overwrite: bool = option(False, group=RESULT)
    """Replace the data set that is there."""
    quiet: bool = option(False, group=RESULT)
    """No progress."""

    def __post_init__(self) -> None:
        if not 100 <= self.footprint_m <= 100_000:
            raise UsageError(
                f"`footprint_m` {self.footprint_m:g} is not between 100 and 100000 Web-Mercator "
                "metres: a zoom-14 tile has 2446"
            )
        if not 0 < self.min_valid <= 1:
            raise UsageError(f"`min_valid` {self.min_valid:g} is not above 0 and at most 1")


@dataclass(frozen=True)
class PackOptions(DatasetOptions):
    """What goes into a data set of one's own photos, and how."""

    photos: Path
    """A folder of photos with GPS tags, or a .csv, .tsv or .parquet manifest with the columns file,
    lat, lon and, where known, id, heading, captured_at, licence, source, city."""
    imagery: tuple[Path, ...] = option(many="words")
    """Sentinel-2 files and folders: GeoTIFF, COG or JP2, any CRS, ten bands found by name; each day
    of acquisition becomes a frame of its own."""
    out: Path = option(metavar="DIR")
    """Folder of the data set."""
    footprints: FootprintMode = option("tiles", group=IMAGERY)
    """Squares of imagery: the web map tile a photo lies in, or a square around it, moved at random
    and into the imagery, for few photos or small images."""
    max_px: int = option(1024, metavar="PX", group=RESULT)
    """Longest side of a photo; larger ones are shrunk."""
    licence: str = ""
    """Of photos whose manifest names none."""
    source: str = ""
    """Of photos whose manifest names none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_px < 64:
            raise UsageError(f"`max_px` {self.max_px} is too small for a photo: give 224 or more")
