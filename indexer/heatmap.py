"""Every cell of an index coloured by what a photo says about it, as a picture, raster or GeoJSON.

Four things can be shown: the cosine with the imagery, the cosine with the location embedding, the
posterior of a calibrated index, and, where nothing is calibrated, the mean of both cosines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from gair.errors import UsageError
from gair.files import write_whole
from indexer.answer import UNCALIBRATED
from indexer.answering import Scored, cell_posterior
from indexer.cells import cell_hex
from indexer.outlines import (
    DECIMALS,
    Region,
    cell_rings,
    dissolved,
    geojson_geometry,
    make_region,
)
from indexer.table import CellRows

if TYPE_CHECKING:
    from indexer.geolocate import Geolocator
    from indexer.prior import Prior

Of = Literal["imagery", "location", "posterior"]
What = Literal["imagery", "location", "posterior", "score"]

UNITS: Mapping[What, str] = {
    "imagery": "cosine with the imagery",
    "location": "cosine with the location embedding",
    "posterior": "probability of the cell",
    "score": "mean of both cosines",
}
"""What the values are."""
MOST_POLYGONS = 50_000
"""Cells that GeoJSON shows as polygons; more are points, a fifth of the bytes."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A value for each cell of an index."""

    values: npt.NDArray[np.float32]
    """(N,); NaN for cells that a prior leaves out of scores."""
    what: What
    cells: CellRows
    title: str
    best_row: int
    """Row of the best cell."""
    region: Region | None = None
    """Where the photo was taken with some probability; None where nothing is calibrated or a
    cosine is shown."""
    note: str = ""
    """What to know before believing the map; empty for nothing."""
    credits: Mapping[str, str] = field(default_factory=dict)
    """Index, build, model, its licence, attribution of the imagery."""

    @property
    def units(self) -> str:
        """What the values are."""
        return UNITS[self.what]

    def write(self, path: str | Path) -> None:
        """Write a picture (.png), a raster (.tif, .tiff) or GeoJSON (.geojson, .json).

        Raises:
            UsageError: the name ends otherwise.
            StorageError: the disk refused; what was there before is still there.
        """
        target = Path(path)
        writers = {
            ".png": self.write_png,
            ".tif": self.write_geotiff,
            ".tiff": self.write_geotiff,
            ".geojson": self.write_geojson,
            ".json": self.write_geojson,
        }
        check_suffix(target)
        writers[target.suffix.lower()](target)

    def write_png(self, path: str | Path) -> None:
        """Write a picture with axes, colour bar, scale bar, region, best cell and attribution."""
        from indexer.heatmap_picture import picture

        write_whole(Path(path), picture(self))

    def write_geotiff(self, path: str | Path, spacing_m: float | None = None) -> None:
        """Write a raster in EPSG:3857; see :func:`indexer.heatmap_raster.geotiff`."""
        from indexer.heatmap_raster import geotiff

        write_whole(Path(path), geotiff(self, spacing_m))

    def write_geojson(self, path: str | Path, *, points: bool | None = None) -> None:
        """Write a FeatureCollection with a feature a cell.

        Args:
            path: where to.
            points: centres instead of outlines; if not given, for more than
                :data:`MOST_POLYGONS` cells.
        """
        shown = len(self.cells) > MOST_POLYGONS if points is None else points
        text = json.dumps(self.to_geojson(points=shown), separators=(",", ":"), allow_nan=False)
        write_whole(Path(path), text.encode())

    def to_geojson(self, *, points: bool = False) -> dict[str, Any]:
        """The map as a FeatureCollection.

        Each feature has the properties ``h3``, ``row`` and ``value`` (null where left out). The
        collection has further members: ``title``, ``what``, ``units``, ``note``, ``best_h3``,
        ``region`` (a Feature, or null) and the credits.
        """
        geometries = self._points() if points else self._polygons()
        features = [
            {
                "type": "Feature",
                "properties": {
                    "h3": cell_hex(cell),
                    "row": row,
                    "value": float(f"{value:.7g}") if np.isfinite(value) else None,
                },
                "geometry": geometry,
            }
            for row, (cell, value, geometry) in enumerate(
                zip(self.cells.h3, self.values, geometries, strict=True)
            )
        ]
        return {
            "type": "FeatureCollection",
            "title": self.title,
            "what": self.what,
            "units": self.units,
            "note": self.note,
            "best_h3": cell_hex(self.cells.h3[self.best_row]),
            "region": None if self.region is None else self.region.to_geojson(),
            **self.credits,
            "features": features,
        }

    def _points(self) -> list[dict[str, Any]]:
        centres = np.round(self.cells.lonlat_deg, DECIMALS).tolist()
        return [{"type": "Point", "coordinates": centre} for centre in centres]

    def _polygons(self) -> list[dict[str, Any]]:
        found = []
        rings = cell_rings(self.cells.h3, 0.0)
        for number, ring in enumerate(rings):
            if np.abs(ring[:, 0]).max() > 180:
                found.append(geojson_geometry(dissolved(self.cells.h3[number : number + 1])))
            else:
                closed = np.round(ring[[*range(len(ring)), 0]], DECIMALS).tolist()
                found.append({"type": "Polygon", "coordinates": [closed]})
        return found


def check_suffix(path: Path) -> None:
    """Refuse a file name that does not say what to write.

    Raises:
        UsageError: it ends in nothing that :meth:`HeatMap.write` knows.
    """
    if path.suffix.lower() not in (".png", ".tif", ".tiff", ".geojson", ".json"):
        raise UsageError(
            f"{str(path)!r} says no kind of map: let it end in .png, .tif, .tiff, .geojson or .json"
        )


def make_heatmap(
    geolocator: Geolocator,
    scored: Scored,
    of: Of = "posterior",
    *,
    prior: Prior | None = None,
    level: float = 0.9,
) -> HeatMap:
    """The map of a photo, or of several of one place.

    Args:
        geolocator: an open index.
        scored: the photos, from :meth:`indexer.geolocate.Geolocator.scored`.
        of: what to show. Without a calibration the posterior is replaced by the mean of both
            cosines, and the map says so.
        prior: what is known before the photos are looked at; for the posterior only.
        level: how often the region drawn on a posterior holds the truth, between 0 and 1.

    Raises:
        UsageError: there is no such thing to show, or a prior is given for a cosine.
    """
    if of not in get_args(Of):
        raise UsageError(f"no map of {of!r}: choose {', '.join(get_args(Of))}")
    if prior is not None and of != "posterior":
        raise UsageError(f"a prior changes the posterior and no cosine: leave it out for {of}")
    what: What = "score" if of == "posterior" and geolocator.calibration is None else of
    region = None
    if what == "posterior":
        values, best_row, region = _posterior(geolocator, scored, prior, level)
    else:
        values = _cosines(scored, what)
        if prior is not None:
            values[~np.isfinite(prior.log_weight)] = np.nan
        best_row = int(np.nanargmax(values))
    photos = ", ".join(photo.name for photo in scored.photos)
    return HeatMap(
        values=values.astype(np.float32),
        what=what,
        cells=geolocator.index.cells,
        title=f"{photos} in {geolocator.index.name}",
        best_row=best_row,
        region=region,
        note="; ".join(_notes(geolocator, what, prior)),
        credits=_credits(geolocator),
    )


def _posterior(
    geolocator: Geolocator, scored: Scored, prior: Prior | None, level: float
) -> tuple[npt.NDArray[np.float64], int, Region]:
    """Probabilities, the cell with most of them around it, and the region."""
    calibration = geolocator.calibration
    assert calibration is not None
    log_weight = None if prior is None else prior.log_weight
    p = cell_posterior(geolocator, scored, calibration.sharpness, log_weight)
    around = geolocator.discs(geolocator.merge_radius_m).sums(p[None])[0]
    promised = prior is None and len(scored.photos) == 1
    mass = calibration.region_mass(level)
    region = make_region(p, geolocator.index.cells, level, mass, promised)
    return p, int(around.argmax()), region


def _cosines(scored: Scored, what: What) -> npt.NDArray[np.float64]:
    """(N,) mean over the photos."""
    rs = scored.rs.mean(axis=0, dtype=np.float64)
    location = scored.location.mean(axis=0, dtype=np.float64)
    if what == "score":
        return np.asarray((rs + location) / 2)
    return np.asarray(rs if what == "imagery" else location)


def _notes(geolocator: Geolocator, what: What, prior: Prior | None) -> list[str]:
    found = [*geolocator.index.manifest.warnings]
    if what == "score":
        found.append(UNCALIBRATED)
    if prior is not None:
        found.append(f"prior: {prior.description}")
    return found


def _credits(geolocator: Geolocator) -> dict[str, str]:
    return {
        "index": geolocator.index.name,
        "build": geolocator.index.manifest.build,
        "model": geolocator.model_name,
        "model_licence": geolocator.model_licence,
        "attribution": geolocator.attribution,
    }
