"""What can be set about packing a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gair.config import GairConfig
from gair.errors import UsageError
from training.dataset.pack.dated_imagery import ImageryOptions
from training.dataset.pack.footprints import FootprintMode
from training.dataset.pack.split import SplitOptions


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
    footprint_m: float = GairConfig.footprint_mercator_m
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
