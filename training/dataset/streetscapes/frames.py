"""The imagery of a build: files, or a catalogue asked about the footprints of the chosen photos."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gair.errors import UsageError
from training.dataset.pack.dated_imagery import DatedImagery
from training.dataset.pack.footprints import tile_squares
from training.dataset.pack.frame_source import FewDays, FrameSource
from training.dataset.pack.split import city_places
from training.dataset.pack.stac_frames import StacFrames
from training.dataset.streetscapes.options import StreetscapesOptions
from training.dataset.streetscapes.selection import Selection


def open_files(options: StreetscapesOptions) -> FrameSource:
    """The imagery of a build that is on this machine.

    Raises:
        ImageryError: it cannot be used.
        UsageError: there is none.
    """
    if not options.imagery:
        raise UsageError(
            "no imagery: pass Sentinel-2 files or folders with --imagery, or --imagery stac"
        )
    return FewDays(DatedImagery(options.imagery, options.reading), options.dates)


def open_catalogue(options: StreetscapesOptions, selection: Selection) -> FrameSource:
    """The imagery of a build that a catalogue has.

    Raises:
        ImageryError: the catalogue refuses, or has no such scene.
        UsageError: an option cannot work, or catalogues cannot be read here.
    """
    assert options.catalogue is not None
    places = grounds(options, selection)
    return StacFrames(places, options.catalogue, options.dates, options.work / "scenes")


def grounds(options: StreetscapesOptions, selection: Selection) -> dict[str, BaseGeometry]:
    """The ground of the chosen photos' footprints by place, longitude and latitude."""
    table = selection.photos
    lonlat_deg = np.stack([table["lon_deg"].to_numpy(), table["lat_deg"].to_numpy()], axis=1)
    cities = table["city"].to_pylist()
    places = city_places(lonlat_deg, cities, options.split.join_km)
    found: defaultdict[str, list[BaseGeometry]] = defaultdict(list)
    numbers = range(len(places))
    for square in tile_squares(numbers, lonlat_deg, places, options.footprint_m):
        corners = square.footprint.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        found[square.place].append(shapely.Polygon(corners))
    return {place: shapely.union_all(squares) for place, squares in sorted(found.items())}
