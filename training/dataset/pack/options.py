"""Options of packing: photos, imagery, footprints and split.

Nothing heavy is imported, so that a command line can be made of the fields without delay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gair.errors import UsageError

FootprintMode = Literal["tiles", "centred"]


def model_footprint_m() -> float:
    """Side of the footprints that GAIR was trained on, EPSG:3857 metres."""
    from gair.config import GairConfig  # imports NumPy

    return GairConfig.footprint_mercator_m


@dataclass(frozen=True)
class ImageryOptions:
    """How files become imagery."""

    bands: tuple[str, ...] | None = None
    """Order of the bands in files that do not name them, by :func:`gair.bands.parse_bands`."""
    dn_scale: float = 1.0
    """Multiplies stored values; 10000 for reflectance in 0..1."""
    dn_offset: float = 0.0
    """Added after that; -1000 for Level-2A of baseline 04.00 and later, as ESA delivers it."""
    date_from_name: bool = False
    """Whether a day in a file's name (20240131, 2024-01-31, 2024_01_31) goes before metadata."""


@dataclass(frozen=True)
class CatalogueOptions:
    """Which scenes of which catalogue."""

    dates: str
    """``FROM/TO``, both days included."""
    url: str = ""
    """Empty for the usual one (Earth Search), as is the collection."""
    collection: str = ""
    max_cloud: float = 20.0
    """Scenes with more clouds, per cent, are not used."""
    cache: Path | None = None
    """Folder of fetched pixels; None for the usual one."""


@dataclass(frozen=True)
class SplitOptions:
    """How photos are divided."""

    by: Literal["city", "block"] = "city"
    """What a place is: a city (or a group of photos, where none is named), or a grid block."""
    shares: tuple[float, ...] = (0.8, 0.1, 0.1)
    """Of train, val and test; they sum to 1."""
    buffer_m: float = 500.0
    """Least gap between footprints of different splits, metres on the ground."""
    block_m: float = 2000.0
    """Side of a block, metres on the ground."""
    join_km: float = 5.0
    """Photos without a city that lie nearer than this are of one group, kilometres."""
    seed: int = 0
    """Of the order in which places are dealt out."""

    def __post_init__(self) -> None:
        shares = self.shares
        sound = all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-6
        if len(shares) != 3 or not sound:
            raise UsageError(
                f"--shares {','.join(f'{share:g}' for share in shares)} are not three shares of "
                "train, val and test that sum to 1: give, for example, 0.8,0.1,0.1"
            )
        if not 0 <= self.buffer_m < math.inf:
            raise UsageError(f"--buffer-m {self.buffer_m} is no distance: give metres, such as 500")
        if not 100 <= self.block_m < math.inf:
            raise UsageError(f"--block-m {self.block_m} is below 100 metres: give 2000 or so")
        if not 0.1 <= self.join_km < math.inf:
            raise UsageError(f"--join-km {self.join_km} is below 0.1 kilometres: give 5 or so")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed} is below 0: give 0 or more")


def parse_shares(text: str) -> tuple[float, ...]:
    """The value of ``--shares``: numbers with commas between.

    Raises:
        UsageError: it is something else.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--shares {text!r} are no numbers: give, for example, 0.8,0.1,0.1"
        ) from None


@dataclass(frozen=True)
class PackOptions:
    """What goes into a data set, and how."""

    photos: Path
    """A folder of photos with GPS tags, or a manifest."""
    imagery: tuple[Path, ...]
    """Sentinel-2 files and folders."""
    out: Path
    """Folder of the data set."""
    reading: ImageryOptions = ImageryOptions()
    """How the imagery is read."""
    footprints: FootprintMode = "tiles"
    """Where footprints lie."""
    footprint_m: float = field(default_factory=model_footprint_m)
    """Side of a footprint, EPSG:3857 metres; on the ground it is this times cos(latitude)."""
    min_valid: float = 0.5
    """A frame with a smaller share of imagery is not used."""
    split: SplitOptions = SplitOptions()
    """How photos are divided."""
    max_px: int = 1024
    """Longest side of a photo; larger ones are shrunk."""
    licence: str = ""
    """Of photos whose manifest names none."""
    source: str = ""
    """Of photos whose manifest names none."""
    synthetic: bool = False
    """Whether photos and imagery are made up; the data set says so."""
    overwrite: bool = False
    """Whether a data set in the folder is replaced."""
    quiet: bool = False
    """No progress."""

    def __post_init__(self) -> None:
        if not 100 <= self.footprint_m <= 100_000:
            raise UsageError(
                f"--footprint-m {self.footprint_m:g} is not between 100 and 100000 Web-Mercator "
                "metres: a zoom-14 tile has 2446"
            )
        if not 0 < self.min_valid <= 1:
            raise UsageError(f"--min-valid {self.min_valid:g} is not above 0 and at most 1")
        if self.max_px < 64:
            raise UsageError(f"--max-px {self.max_px} is too small for a photo: give 224 or more")
