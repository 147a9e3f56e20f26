"""Heat map: a value for every cell of an index, as a picture, raster or GeoJSON."""

from __future__ import annotations

import io
import json
import math
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import shapely

from gair.arrays import Floats
from gair.errors import GairError, StorageError, UsageError
from gair.files import write_whole
from gair.geo import EARTH_RADIUS_M, WEB_MERCATOR_CIRCUMFERENCE_M, lonlat_to_web_mercator
from indexer.index.table import CellRows
from indexer.regions.cell_field import spacing_m as cell_spacing_m
from indexer.regions.cells import cell_hex
from indexer.search.outlines import (
    DECIMALS,
    Region,
    cell_rings,
    dissolved,
    geojson_geometry,
    middle_longitude_deg,
)
from indexer.search.wording import square_km

What = Literal["imagery", "location", "ground", "posterior", "score"]

UNITS: Mapping[What, str] = {
    "imagery": "cosine with the imagery",
    "location": "cosine with the location embedding",
    "ground": "log ratio of the reference photos around",
    "posterior": "probability of the cell",
    "score": "weighed sum of both cosines",
}
"""What the values are."""

DENSITY = "probability a square kilometre"
"""What a raster of a posterior has instead: its pixels are smaller than cells."""

MOST_POLYGONS = 50_000
"""Cells that GeoJSON shows as polygons; more are points, a fifth of the bytes."""
MOST_PIXELS = 200_000_000
"""Of a raster: 800 MB of values."""
SUFFIXES = (".png", ".tif", ".tiff", ".geojson", ".json")
"""What the name of a map's file may end in."""
COLOURS = "cividis"
"""Even steps of lightness, the same for readers who see all colours and for those who do not."""

_WIDTH_IN, _DPI = 8.0, 150

_METRES_PER_DEG = EARTH_RADIUS_M * np.pi / 180

_OUTLINE = "#ff6db6"


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

    def write(
        self, path: str | Path, *, spacing_m: float | None = None, points: bool | None = None
    ) -> None:
        """Write a picture (.png), a raster (.tif, .tiff) or GeoJSON (.geojson, .json).

        Args:
            path: where to.
            spacing_m: of a raster; see :func:`indexer.search.maps.heatmap.geotiff`.
            points: of GeoJSON, centres instead of outlines; if not given, for more than
                :data:`MOST_POLYGONS` cells.

        Raises:
            UsageError: the name ends otherwise.
            StorageError: the disk refused; what was there before is still there.
        """
        target = Path(path)
        check_suffix(target)
        suffix = target.suffix.lower()
        if suffix == ".png":
            content = picture(self)
        elif suffix in (".tif", ".tiff"):
            content = geotiff(self, spacing_m)
        else:
            shown = len(self.cells) > MOST_POLYGONS if points is None else points
            document = self.to_geojson(points=shown)
            content = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        write_whole(target, content)

    def to_geojson(self, *, points: bool = False) -> dict[str, Any]:
        """The map as a FeatureCollection.

        Each feature has the properties ``h3``, ``row`` and ``value`` (null where left out). The
        collection has further members: ``title``, ``what``, ``units``, ``note``, ``best_h3``,
        ``region`` (a Feature, or null) and the credits.
        """
        if points:
            centres = np.round(self.cells.lonlat_deg, DECIMALS).tolist()
            geometries = [{"type": "Point", "coordinates": centre} for centre in centres]
        else:
            geometries = self._polygons()
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

    def _polygons(self) -> list[dict[str, Any]]:
        polygons = []
        rings = cell_rings(self.cells.h3, 0.0)
        for number, ring in enumerate(rings):
            if np.abs(ring[:, 0]).max() > 180:
                polygons.append(geojson_geometry(dissolved(self.cells.h3[number : number + 1])))
            else:
                closed = np.round(ring[[*range(len(ring)), 0]], DECIMALS).tolist()
                polygons.append({"type": "Polygon", "coordinates": [closed]})
        return polygons


def check_suffix(path: Path) -> None:
    """Refuse a file name that does not say what to write.

    Raises:
        UsageError: it ends in nothing that :meth:`HeatMap.write` knows.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{str(path)!r} says no kind of map: let it end in .png, .tif, .tiff, .geojson or .json"
        )


def geotiff(heat: HeatMap, spacing_m: float | None = None) -> bytes:
    """The bytes of a Cloud-Optimized GeoTIFF: float32, EPSG:3857, north up, NaN where no cell is.

    A pixel has the value of the cell that contains its centre; of a posterior it is the density, a
    square kilometre, so that sums over pixels times their ground area are probabilities; overviews
    are means. Tags say what the values are and whom to credit. Where the index lies across the
    antimeridian, the raster goes on past it.

    Args:
        heat: the map.
        spacing_m: side of a pixel on the ground in the middle of the map, metres; a third of the
            distance between cells if not given.

    Raises:
        UsageError: the spacing is no length, or makes too many pixels.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.errors import RasterioError
    from rasterio.features import rasterize
    from rasterio.transform import from_origin

    rings_deg = cell_rings(heat.cells.h3, middle_longitude_deg(heat.cells.lonlat_deg))
    corners_m = lonlat_to_web_mercator(np.concatenate(rings_deg))
    low_m, high_m = corners_m.min(axis=0), corners_m.max(axis=0)
    # What the projection stretches lengths by, 1 / cos(latitude), in the middle of the map.
    stretch = math.cosh(2 * math.pi * (low_m + high_m)[1] / 2 / WEB_MERCATOR_CIRCUMFERENCE_M)
    ground_m = cell_spacing_m(heat.cells.area_m2) / 3 if spacing_m is None else spacing_m
    if not (math.isfinite(ground_m) and ground_m > 0):
        raise UsageError(f"spacing {ground_m:g} m: a pixel needs a side above 0")
    step_m = ground_m * stretch
    width, height = (max(1, math.ceil(side)) for side in (high_m - low_m) / step_m)
    if width * height > MOST_PIXELS:
        raise UsageError(
            f"spacing {ground_m:g} m makes {width:,} x {height:,} pixels, more than "
            f"{MOST_PIXELS:,}: choose a larger one"
        )
    transform = from_origin(low_m[0], high_m[1], step_m, step_m)
    # A ring's edges stay straight, in metres instead of degrees: far less than a pixel apart.
    rings_m = np.split(corners_m, np.cumsum([len(ring) for ring in rings_deg])[:-1])
    values_shown, units = heat.values.astype(np.float64), heat.units
    if heat.what == "posterior":
        values_shown, units = values_shown / (heat.cells.area_m2 / 1e6), DENSITY
    shapes = [
        ({"type": "Polygon", "coordinates": [ring.tolist()]}, float(value))
        for ring, value in zip(rings_m, values_shown, strict=True)
        if np.isfinite(value)
    ]
    values = rasterize(shapes, (height, width), fill=math.nan, transform=transform, dtype="float32")
    tags = {"WHAT": heat.what, "UNITS": units, "TITLE": heat.title, "NOTE": heat.note}
    tags |= {name.upper(): text for name, text in heat.credits.items()}
    try:
        with rasterio.MemoryFile() as plain, rasterio.MemoryFile() as optimized:
            with plain.open(
                driver="GTiff",
                width=width,
                height=height,
                count=1,
                dtype="float32",
                crs="EPSG:3857",
                transform=transform,
                nodata=math.nan,
            ) as raster:
                raster.write(values, 1)
                raster.set_band_description(1, units)
                raster.update_tags(**{name: text for name, text in tags.items() if text})
            rasterio.shutil.copy(
                plain.name,
                optimized.name,
                driver="COG",
                compress="deflate",
                predictor="floating_point",
                overview_resampling="average",
            )
            return bytes(optimized.read())
    except RasterioError as error:
        raise StorageError(f"cannot encode the raster: {error}") from error


def picture(heat: HeatMap) -> bytes:
    """The bytes of a PNG, 1200 pixels wide, with axes, scale, region, best cell and credits."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise GairError("pictures need matplotlib: pip install matplotlib") from error
    middle_deg = middle_longitude_deg(heat.cells.lonlat_deg)
    rings = cell_rings(heat.cells.h3, middle_deg)
    corners = np.concatenate(rings)
    low, high = corners.min(axis=0), corners.max(axis=0)
    stretch = 1 / np.cos(np.radians((low[1] + high[1]) / 2))
    shape = float((high[1] - low[1]) * stretch / (high[0] - low[0]))
    small_print = _small_print(heat)
    height_in = float(np.clip(0.73 * _WIDTH_IN * shape + 1.2 + 0.12 * len(small_print), 3.5, 16.0))
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_aspect(stretch)
    axes.set_facecolor("#e8e8e8")
    _draw_cells(figure, axes, heat, rings)
    _draw_region(axes, heat, middle_deg)
    _draw_scale(axes, low, high)
    axes.set_title(textwrap.shorten(heat.title, 90), fontsize=11, parse_math=False)
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(useOffset=False, style="plain")
    figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    figure.supxlabel("\n".join(small_print), fontsize=7, parse_math=False, x=0.02, ha="left")
    out = io.BytesIO()
    with warnings.catch_warnings():  # names of photos may hold letters that the font lacks
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(out, format="png")
    return out.getvalue()


def _draw_cells(figure: Any, axes: Any, heat: HeatMap, rings: list[Floats]) -> None:  # noqa: ANN401
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import PowerNorm

    cells = PolyCollection(
        rings, array=heat.values, cmap=COLOURS, edgecolors="face", linewidths=0.4
    )
    units = heat.units
    if heat.what == "posterior":  # few cells have nearly all of it
        cells.set_norm(PowerNorm(0.5, vmin=0))
        units += " (colours by its square root)"
    axes.add_collection(cells)
    axes.autoscale_view()
    figure.colorbar(cells, ax=axes, shrink=0.85).set_label(units)
    lon_deg, lat_deg = rings[heat.best_row].mean(axis=0)
    ring = {"linestyle": "none", "marker": "o", "markersize": 11, "markerfacecolor": "none"}
    axes.plot(lon_deg, lat_deg, markeredgecolor="white", markeredgewidth=3.5, **ring)
    axes.plot(
        lon_deg, lat_deg, markeredgecolor="black", markeredgewidth=1.5, label="best place", **ring
    )


def _draw_region(axes: Any, heat: HeatMap, middle_deg: float) -> None:  # noqa: ANN401
    """The outline of the region, as one broken line."""
    if heat.region is None:
        return
    line: list[Floats] = []
    for part in shapely.get_parts(heat.region.outline()):
        for ring in (part.exterior, *part.interiors):
            points = shapely.get_coordinates(ring)
            points[:, 0] -= 360 * np.round((points[:, 0].mean() - middle_deg) / 360)
            line += [points, np.full((1, 2), np.nan)]
    path = np.concatenate(line)
    promise = "" if heat.region.promised else ", by the posterior alone"
    label = f"{heat.region.level:.0%} region, {square_km(heat.region.km2)}{promise}"
    axes.plot(path[:, 0], path[:, 1], color=_OUTLINE, linewidth=0.9, label=label)


def _draw_scale(axes: Any, low: Floats, high: Floats) -> None:  # noqa: ANN401
    """A bar of a round length, about a fifth of the width, in the lower left corner."""
    lat_deg = float(low[1] + 0.03 * (high[1] - low[1]))
    per_deg = _METRES_PER_DEG * np.cos(np.radians((low[1] + high[1]) / 2))
    about_m = (high[0] - low[0]) * per_deg / 5
    power = 10.0 ** np.floor(np.log10(about_m))
    bar_m = power * max(step for step in (1, 2, 5) if step * power <= about_m)
    west = float(low[0] + 0.02 * (high[0] - low[0]))
    axes.plot(
        [west, west + bar_m / per_deg],
        [lat_deg] * 2,
        color="black",
        linewidth=3,
        solid_capstyle="butt",
    )
    words = f"{bar_m / 1000:g} km" if bar_m >= 1000 else f"{bar_m:g} m"
    axes.annotate(
        words,
        (west, lat_deg),
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=8,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
    )


def _small_print(heat: HeatMap) -> list[str]:
    """What to know, and whom to credit, in lines."""
    by = heat.credits
    model = f"model {by['model']}, licence {by['model_licence']}" if "model" in by else ""
    words = [heat.note, model, by.get("attribution", "")]
    return [line for text in words if text for line in textwrap.wrap(text, 120)]
