"""Options of what an index is made of: an area, and imagery from files or a STAC catalogue."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gair.errors import UsageError
from gair.fields import option
from indexer.imagery.options import Composite, FileReading
from indexer.imagery.stac.query import StacQuery, require_packages

if TYPE_CHECKING:
    from indexer.imagery.source import ImagerySource
    from indexer.regions.region import Region

STAC = "stac"
_FILES = "imagery from files"
_CATALOGUE = "imagery from a STAC catalogue"

Opened = tuple["ImagerySource", Callable[[], "ImagerySource"]]
"""Imagery, and what opens it anew in another process."""


@dataclass(frozen=True, kw_only=True)
class RegionChoice:
    """Which area: by name, by edges, by outline, or by a geocoder."""

    region: str | None = option(None, metavar="NAME", one_of="area")
    """A region that ships with us; python -m indexer regions."""
    bbox: str | None = option(None, metavar="W,S,E,N", one_of="area")
    """Degrees, for example -0.2,51.4,0.1,51.6; W above E goes over the antimeridian."""
    polygon: str | None = option(None, metavar="FILE", one_of="area")
    """A GeoJSON file, longitude and latitude."""
    place: str | None = option(None, metavar="NAME", one_of="area")
    """A place that a geocoder on the network knows."""
    geocoder: str | None = option(None, metavar="URL")
    """For --place: a server with Nominatim's search, asked for nothing but the name (default:
    https://nominatim.openstreetmap.org)."""
    place_number: int | None = None
    """For --place: which of several matches."""

    def __post_init__(self) -> None:
        if self.place is None and (self.geocoder or self.place_number is not None):
            raise UsageError("--geocoder and --place-number go with --place NAME: add it")

    def chosen(self, name: str | None) -> Region | None:
        """The region, None for whatever the imagery shows.

        Args:
            name: of a region that has none of its own.

        Raises:
            RegionError: there is none, or it makes no sense.
        """
        from indexer.regions.region import (
            named_region,
            parse_bbox,
            region_from_bbox,
            region_from_geojson,
        )

        if self.region is not None:
            return named_region(self.region)
        if self.bbox is not None:
            return region_from_bbox(parse_bbox(self.bbox), name=name or "bbox")
        if self.polygon is not None:
            return region_from_geojson(self.polygon, name=name)
        if self.place is not None:
            from indexer.regions.geocoder import NOMINATIM, find_place

            return find_place(
                self.place, self.geocoder or NOMINATIM, place_number=self.place_number
            )
        return None


@dataclass(frozen=True, kw_only=True)
class ImageryChoice:
    """Where pixels come from: files on disk, or a STAC catalogue."""

    imagery: str = option("stac", metavar="PATH|stac[:URL]")
    """A Sentinel-2 file or a folder of them: GeoTIFF, COG or JP2, any CRS, ten bands (B2 B3 B4 B5
    B6 B7 B8 B8A B11 B12) found by name; or stac: cloud-free composites from a STAC catalogue, by
    default Earth Search."""

    composite: Composite = "median"
    """Where imagery of several days shows a place: the median of the days, or for each pixel the
    best one (of files the first by name)."""
    reading: FileReading = option(FileReading(), group=_FILES)
    query: StacQuery = option(factory=StacQuery, group=_CATALOGUE)
    imagery_cache: Path | None = option(None, metavar="DIR", group=_CATALOGUE)
    """Where fetched pixels are kept; prune --imagery limits it (default: $GAIR_IMAGERY_CACHE, else
    ~/.cache/gair/imagery)."""

    @property
    def catalogue_url(self) -> str | None:
        """The catalogue's URL, empty for the default one; None where files were named."""
        word, _, url = self.imagery.partition(":")
        return url if word == STAC and not Path(self.imagery).exists() else None

    @property
    def catalogue_said(self) -> str:
        """Which catalogue imagery comes from, for people; empty where files were named."""
        if self.catalogue_url is None:
            return ""
        url = self.catalogue_url or self.query.url
        local = "--imagery PATH takes files instead"
        return f"the catalogue {url}, collection {self.query.collection} ({local})"

    @contextmanager
    def opened(self, region: Region | None, *, quiet: bool) -> Iterator[Opened]:
        """The imagery; with a catalogue, of this region."""
        if self.catalogue_url is not None:
            with self._opened_catalogue(region, quiet=quiet) as opened:
                yield opened
            return
        from indexer.imagery import open_imagery

        reading = self.reading
        reopen = partial(
            open_imagery,
            Path(self.imagery).absolute(),  # a link is named as it is
            bands=reading.bands,
            force_bands=reading.force_bands,
            dn_offset=reading.dn_offset,
            dn_scale=reading.dn_scale,
            composite=self.composite,
        )
        with reopen() as imagery:
            yield imagery, reopen

    @contextmanager
    def _opened_catalogue(self, region: Region | None, *, quiet: bool) -> Iterator[Opened]:
        if region is None:
            raise UsageError(
                "imagery from a catalogue needs an area: pass --region, --bbox, --polygon or "
                "--place, or --imagery PATH to index all that files show"
            )
        if self.reading != FileReading():
            raise UsageError(
                "--bands, --force-bands, --dn-scale and --dn-offset are for files; a catalogue "
                "says these itself: leave them out"
            )
        require_packages()
        from indexer.imagery.stac.imagery import open_stac

        query = replace(
            self.query,
            url=self.catalogue_url or self.query.url,
            composite=self.composite,
            spare_dates=2 * self.query.dates_a_place,
        )
        with open_stac(region, query, cache=self.imagery_cache) as imagery:
            yield imagery, imagery.opener()
            if not quiet:
                kept = imagery.windows.cache
                print(
                    f"imagery: {imagery.windows.fetched_bytes / 1e6:,.1f} MB fetched and kept; "
                    f"{kept.size_bytes() / 1e6:,.1f} MB in {kept.folder}",
                    file=sys.stderr,
                    flush=True,
                )
