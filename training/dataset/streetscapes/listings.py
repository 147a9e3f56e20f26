"""Lists of the photos that providers have in an area, tile by tile.

*Mapillary*: the layer ``image`` of the z14 coverage tiles, a point a photo with its id,
``captured_at``, ``compass_angle`` and ``is_pano``; 50,000 tiles a day at most
(https://www.mapillary.com/developer/api-documentation, "Rate limits").

*KartaView*: ``/1.0/list/nearby-photos/`` in a box, page by page
(http://api.openstreetcam.org/api/doc.html).

Every sound answer is kept in the working folder, so a build that dies asks for no tile twice, and
what it chose from does not change under it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely

from gair.errors import DatasetError, DownloadError, UsageError
from gair.files import make_folder, write_whole
from gair.info import import_problem
from gair.photos.exif import parse_date, parse_heading_deg
from gair.progress import Progress
from indexer.regions.region import Region
from training.dataset.streetscapes.areas import ZOOM, Tile, tiles_of
from training.dataset.streetscapes.options import KARTAVIEW, MAPILLARY, Endpoints
from training.dataset.streetscapes.providers import (
    kartaview_passes_by,
    refuse_kartaview,
    refuse_mapillary,
)
from training.dataset.streetscapes.selection import SCHEMA
from training.dataset.streetscapes.web import Web

Point = tuple[float, float, dict[str, Any]]
"""x and y in a tile, 0 to 1 from its north-west corner, and properties."""

_PAGE = 500
_MOST_PAGES = 400


@dataclass(frozen=True)
class Lister:
    """Lists photos; its answers are kept in a folder."""

    web: Web
    endpoints: Endpoints
    token: str
    folder: Path
    concurrency: int
    quiet: bool

    def mapillary(self, regions: Sequence[Region]) -> list[pa.Table]:
        """What Mapillary has in some areas, a table each.

        Raises:
            DownloadError: it does not answer, or refuses.
        """
        return self._listed(regions, MAPILLARY, self._mapillary_tile, _mapillary_rows)

    def kartaview(self, regions: Sequence[Region]) -> list[pa.Table]:
        """What KartaView has in some areas, a table each.

        Raises:
            DownloadError: it does not answer, or refuses.
        """
        return self._listed(regions, KARTAVIEW, self._kartaview_tile, _kartaview_rows)

    def _listed(
        self,
        regions: Sequence[Region],
        source: str,
        ask: Callable[[Tile], bytes],
        rows_of: Callable[[Tile, bytes], Iterable[dict[str, Any]]],
    ) -> list[pa.Table]:
        tiles = [tiles_of(region) for region in regions]
        total = sum(map(len, tiles))

        def content(tile: Tile) -> bytes:
            path = self.folder / "listings" / source / f"{ZOOM}-{tile.x}-{tile.y}"
            if path.is_file():
                return path.read_bytes()
            answer = ask(tile)
            make_folder(path.parent)
            write_whole(path, answer)
            return answer

        tables = []
        with (
            Progress(f"listing {source}", total, "tile", quiet=self.quiet) as progress,
            self.web.threads(self.concurrency) as pool,
        ):
            for region, here in zip(regions, tiles, strict=True):
                shapely.prepare(region.geometry)
                rows: list[dict[str, Any]] = []
                for tile, answer in zip(here, pool.map(content, here), strict=True):
                    rows += _inside(region, source, rows_of(tile, answer))
                    progress.advance(1, f"{self.web.traffic.bytes_in / 1e6:,.1f} MB")
                tables.append(pa.Table.from_pylist(rows, schema=SCHEMA))
        return tables

    def _mapillary_tile(self, tile: Tile) -> bytes:
        url = f"{self.endpoints.mapillary_tiles.rstrip('/')}/{ZOOM}/{tile.x}/{tile.y}"
        reply = self.web.get(url, {"access_token": self.token})
        if reply.status == 204 or refuse_mapillary(reply, self.token):
            return b""
        if reply.status != 200:
            raise DownloadError(f"{url} answers with status {reply.status}: run again later")
        content = reply.content
        try:
            if content.startswith(b"\x1f\x8b"):
                content = gzip.decompress(content)
            for _ in points_of(content, "image", url):  # what is broken must not be kept
                pass
        except (OSError, EOFError, zlib.error, DatasetError) as error:
            raise DownloadError(f"{url} answers with no tile: run again later") from error
        return content

    def _kartaview_tile(self, tile: Tile) -> bytes:
        (west, north), (east, south) = tile.lonlat_deg(0, 0), tile.lonlat_deg(1, 1)
        url = f"{self.endpoints.kartaview.rstrip('/')}/1.0/list/nearby-photos/"
        box = {"bbTopLeft": f"{north:.6f},{west:.6f}", "bbBottomRight": f"{south:.6f},{east:.6f}"}
        photos: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            form = {**box, "ipp": str(_PAGE), "page": str(page)}
            reply = self.web.get(url, form=form, pass_by=kartaview_passes_by)
            if refuse_kartaview(reply):
                raise DownloadError(f"{url} answers with status {reply.status}: run again later")
            items = _items(reply.content)
            if items is None:
                raise DownloadError(f"{url} answers with no list: run again later")
            photos += items
            if len(items) < _PAGE:
                break
        return json.dumps(photos).encode()


def points_of(content: bytes, layer: str, name: str) -> list[Point]:
    """The points of a layer of a Mapbox Vector Tile.

    Args:
        content: a tile, decompressed.
        layer: which of its layers; one that is not there has no points.
        name: what to call the tile in errors.

    Returns:
        Its points; those in the tile's margin lie a little beyond 0 to 1.

    Raises:
        DatasetError: it is no vector tile.
        UsageError: the library is not installed.
    """
    try:
        import mapbox_vector_tile
    except ImportError as error:
        absent = (
            "coverage tiles need mapbox-vector-tile: install it with "
            "pip install 'gair-geolocator[streets]'"
        )
        raise UsageError(import_problem(error, "mapbox_vector_tile", absent)) from error
    try:
        tile = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})
        if layer not in tile:
            return []
        extent = tile[layer]["extent"]
        points: list[Point] = []
        for feature in tile[layer]["features"]:
            kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
            places = {"Point": [coordinates], "MultiPoint": coordinates}.get(kind, [])
            points += [(x / extent, y / extent, feature["properties"]) for x, y in places]
        return points
    except Exception as error:  # the decoder lets IndexError, AssertionError and others through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{name} is no vector tile ({reason}): ask again later") from error


def _inside(
    region: Region, source: str, rows: Iterable[dict[str, Any]]
) -> Iterable[dict[str, Any]]:
    for row in rows:
        if shapely.intersects_xy(region.geometry, row["lon_deg"], row["lat_deg"]):
            yield {**row, "source": source, "city": region.name}


def _mapillary_rows(tile: Tile, content: bytes) -> Iterable[dict[str, Any]]:
    for x, y, properties in points_of(content, "image", f"tile {ZOOM}/{tile.x}/{tile.y}"):
        lon, lat = tile.lonlat_deg(x, y)
        panorama = properties.get("is_pano")
        yield {
            "image_id": str(properties.get("id", "")),
            "lon_deg": lon,
            "lat_deg": lat,
            "captured_at": parse_date(properties.get("captured_at")),
            "heading_deg": parse_heading_deg(properties.get("compass_angle")),
            "panorama": panorama if isinstance(panorama, bool) else None,
        }


def _items(content: bytes) -> list[dict[str, Any]] | None:
    """The photos of a page of KartaView's; None if it is none."""
    try:
        items = json.loads(content).get("currentPageItems") or []
    except (ValueError, AttributeError):
        return None
    sound = isinstance(items, list) and all(isinstance(item, dict) for item in items)
    return items if sound else None


def _kartaview_rows(tile: Tile, content: bytes) -> Iterable[dict[str, Any]]:
    for item in json.loads(content):
        try:
            lon, lat = float(item["lng"]), float(item["lat"])
        except (KeyError, TypeError, ValueError):
            lon, lat = float("nan"), float("nan")
        yield {
            "image_id": str(item.get("id", "")),
            "lon_deg": lon,
            "lat_deg": lat,
            "captured_at": parse_date(item.get("shot_date")),
            "heading_deg": parse_heading_deg(item.get("heading")),
        }
