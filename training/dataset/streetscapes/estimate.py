"""Estimate of what a build takes: photos, requests, bytes and time, before anything is fetched.

Rates are those measured in the working folder where a build has begun, else those stated below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gair.progress import duration
from indexer.regions.cells import cells_of
from training.dataset.pack.footprints import tile_squares
from training.dataset.streetscapes.areas import parse_area, tiles_of
from training.dataset.streetscapes.choosing import from_tables
from training.dataset.streetscapes.journal import Effort, measured_effort
from training.dataset.streetscapes.options import StreetscapesOptions
from training.dataset.streetscapes.selection import Selection, joined, lonlat_deg_of, select

REQUEST_S = 0.5
"""From a question to its answer, stated: a distant server and a photo of 1,024 pixels."""
PHOTO_BYTES = 200_000
"""Of a photo of 1,024 pixels on the wire and on the disk; 15 at quality 90 have 207,000."""
PHOTO_REQUESTS = 2
"""Where a photo's file is, and the file."""
TILE_BYTES = 200_000
"""Of a coverage tile, stated."""
FRAME_BYTES = 900_000
"""Of a packed frame: ten bands, 16 bit, a zoom-14 tile at 10 m at middle latitudes."""
PACKED_PHOTOS_A_S = 60.0
"""Photos packed in a second on two cores, stated."""


@dataclass(frozen=True)
class Estimate:
    """What a build will take."""

    photos: int
    """Those chosen from tables."""
    listed: int
    """Most photos that areas can add; they are not asked about now."""
    tiles: int
    """Tiles to ask for."""
    footprints: int
    """Of the photos chosen from tables."""
    dates: int
    effort: Effort
    """What fetching takes, measured or stated."""
    measured: bool
    concurrency: int
    selection: Selection

    @property
    def requests(self) -> int:
        """To be made."""
        each = self.effort.requests / self.effort.photos
        return self.tiles + math.ceil((self.photos + self.listed) * each)

    @property
    def bytes_in(self) -> float:
        """To come in."""
        each = self.effort.bytes_in / self.effort.photos
        return self.tiles * TILE_BYTES + (self.photos + self.listed) * each

    @property
    def photos_a_s(self) -> float:
        """Photos fetched in a second."""
        return self.effort.photos / self.effort.seconds

    @property
    def seconds(self) -> float:
        """Until all photos are there and packed."""
        photos = self.photos + self.listed
        tiles_s = self.tiles * REQUEST_S / self.concurrency
        return photos / self.photos_a_s + tiles_s + photos / PACKED_PHOTOS_A_S

    @property
    def lines(self) -> list[str]:
        """The estimate for a terminal."""
        at_most = "at most " if self.listed else ""
        photos = self.photos + self.listed
        frames = self.footprints * self.dates
        disk = photos * PHOTO_BYTES * 2 + frames * FRAME_BYTES
        basis = "measured in this build so far" if self.measured else "stated, not measured"
        return [
            f"photos: {self.selection.candidates:,} in the tables, {self.photos:,} chosen"
            + (f"; areas add at most {self.listed:,} ({self.tiles:,} tiles)" if self.tiles else ""),
            *(f"  {count:9,}  {reason}" for reason, count in self.selection.left_out.most_common()),
            f"to fetch: {at_most}{photos:,} photos, {self.requests:,} requests, "
            f"{self.bytes_in / 1e9:,.2f} GB",
            f"imagery: {self.footprints:,} footprints, {frames:,} frames at {self.dates} dates, "
            f"{frames * FRAME_BYTES / 1e9:,.2f} GB packed"
            + ("; those of areas come on top" if self.tiles else ""),
            f"disk: {at_most}{disk / 1e9:,.2f} GB while it is made, photos twice",
            f"time: {at_most}{duration(max(1, self.seconds))} at {self.photos_a_s:,.1f} photos/s "
            f"({basis}) and {self.concurrency} at once",
        ]


def estimate(options: StreetscapesOptions) -> Estimate:
    """Reckon what a build will take; nobody is asked for anything.

    Raises:
        DatasetError: a table cannot be read.
        UsageError: an option cannot work.
    """
    selection = select(joined(from_tables(options)), options.selection)
    table = selection.photos
    lonlat_deg = lonlat_deg_of(table)
    cities = table["city"].to_pylist()
    numbers = list(range(len(table)))
    squares = tile_squares(numbers, lonlat_deg, cities, options.footprint_m) if numbers else []
    lists, chosen = options.lists, options.selection
    tiles = listed = 0
    for text in (*lists.mapillary_areas, *lists.kartaview_areas):
        region = parse_area(text)
        tiles += len(tiles_of(region))
        cells = len(cells_of(region.geometry, chosen.cell_resolution))
        listed += min(chosen.per_city, chosen.per_cell * cells)
    if chosen.photos is not None:
        listed = min(listed, chosen.photos - len(table))
    concurrency, measured = options.fetch.concurrency, measured_effort(options.work)
    stated = Effort(1, PHOTO_REQUESTS, PHOTO_BYTES, PHOTO_REQUESTS * REQUEST_S / concurrency)
    return Estimate(
        photos=len(table),
        listed=listed,
        tiles=tiles,
        footprints=len(squares),
        dates=options.dates_per_footprint,
        effort=measured or stated,
        measured=measured is not None,
        concurrency=concurrency,
        selection=selection,
    )
