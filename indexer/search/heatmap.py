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

from gair.arrays import Floats
from gair.errors import UsageError
from gair.files import write_whole
from indexer.index.table import CellRows
from indexer.regions.cells import cell_hex
from indexer.search.answer import UNCALIBRATED
from indexer.search.outlines import (
    DECIMALS,
    Region,
    cell_rings,
    dissolved,
    geojson_geometry,
    make_region,
)
from indexer.search.scored import Scored, cell_posterior
from indexer.search.space import SearchSpace

if TYPE_CHECKING:
    from indexer.search.prior import Prior
import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING

import shapely

from gair.errors import GairError, StorageError
from gair.geo import EARTH_RADIUS_M, WEB_MERCATOR_CIRCUMFERENCE_M, lonlat_to_web_mercator
from indexer.regions.cell_field import CellField
from indexer.search.outlines import middle_longitude_deg

MOST_PIXELS = 200_000_000
"""800 MB of values."""

_PIXELS_AT_ONCE = 1 << 18

_NEAREST = 3
"""A point lies in one of so many nearest centres' cells; cells are not quite the nearest ones."""


def geotiff(heat: HeatMap, spacing_m: float | None = None) -> bytes:
    """The bytes of a GeoTIFF: float32, EPSG:3857, north up, NaN where there is no cell.

    A pixel has the value of the cell that contains its centre. Tags say what the values are and
    whom to credit. Where the index lies across the antimeridian, the raster goes on past it.

    Args:
        heat: the map.
        spacing_m: side of a pixel on the ground in the middle of the map, metres; a third of the
            distance between cells if not given.

    Raises:
        UsageError: the spacing is no length, or makes too many pixels.
    """
    field = CellField(heat.cells.lonlat_deg, heat.cells.area_m2)
    middle_deg = middle_longitude_deg(heat.cells.lonlat_deg)
    rings = cell_rings(heat.cells.h3, middle_deg)
    corners = np.concatenate(rings)
    low, high = lonlat_to_web_mercator([corners.min(axis=0), corners.max(axis=0)])
    latitude_deg = float(_lonlat((low + high)[None] / 2)[0, 1])
    ground_m = field.spacing_m / 3 if spacing_m is None else spacing_m
    if not (math.isfinite(ground_m) and ground_m > 0):
        raise UsageError(f"spacing {ground_m:g} m: a pixel needs a side above 0")
    step_m = ground_m / math.cos(math.radians(latitude_deg))
    width, height = (max(1, math.ceil(side)) for side in (high - low) / step_m)
    if width * height > MOST_PIXELS:
        raise UsageError(
            f"spacing {ground_m:g} m makes {width:,} x {height:,} pixels, more than "
            f"{MOST_PIXELS:,}: choose a larger one"
        )
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    polygons = shapely.polygons(shapely.linearrings(corners, indices=ring_of))
    values = np.full(width * height, np.nan, dtype=np.float32)
    for start in range(0, width * height, _PIXELS_AT_ONCE):
        number = np.arange(start, min(start + _PIXELS_AT_ONCE, width * height))
        x = low[0] + (number % width + 0.5) * step_m
        y = high[1] - (number // width + 0.5) * step_m
        row = _cell_of(_lonlat(np.stack([x, y], axis=1)), field, polygons)
        values[number] = np.where(row >= 0, heat.values[row], np.nan)
    return _encoded(heat, values.reshape(height, width), (low[0], high[1], step_m))


def _cell_of(
    lonlat_deg: Floats, field: CellField, polygons: npt.NDArray[np.object_]
) -> npt.NDArray[np.int64]:
    """(Q,) row of the cell that contains each point, -1 for none."""
    reach_m = 2 * field.spacing_m  # no corner is that far from its centre
    found = field.nearest_few(lonlat_deg, 1, reach_m)[:, 0]
    near = np.flatnonzero(found >= 0)
    inside = shapely.intersects_xy(polygons[found[near]], *lonlat_deg[near].T)
    doubtful = near[~inside]
    found[doubtful] = -1
    for row in field.nearest_few(lonlat_deg[doubtful], _NEAREST, reach_m).T[1:]:
        inside = (row >= 0) & shapely.intersects_xy(polygons[row], *lonlat_deg[doubtful].T)
        found[doubtful[inside]] = row[inside]
    return found


def _encoded(
    heat: HeatMap, values: npt.NDArray[np.float32], corner: tuple[float, float, float]
) -> bytes:
    """The file: ``corner`` is the west edge, the north edge and the side of a pixel."""
    import rasterio
    from rasterio.errors import RasterioError

    west_m, north_m, step_m = corner
    tags = {"WHAT": heat.what, "UNITS": heat.units, "TITLE": heat.title, "NOTE": heat.note}
    tags |= {name.upper(): text for name, text in heat.credits.items()}
    try:
        with rasterio.MemoryFile() as memory:
            with memory.open(
                driver="GTiff",
                width=values.shape[1],
                height=values.shape[0],
                count=1,
                dtype="float32",
                crs="EPSG:3857",
                transform=rasterio.transform.from_origin(west_m, north_m, step_m, step_m),
                nodata=math.nan,
                compress="deflate",
                predictor=3,
                tiled=True,
            ) as raster:
                raster.write(values, 1)
                raster.set_band_description(1, heat.units)
                raster.update_tags(**{name: text for name, text in tags.items() if text})
            return bytes(memory.read())
    except RasterioError as error:
        raise StorageError(f"cannot encode the raster: {error}") from error


def _lonlat(metres: Floats) -> Floats:
    """EPSG:3857 metres to degrees; longitudes may pass 180."""
    radius_m = WEB_MERCATOR_CIRCUMFERENCE_M / (2 * np.pi)
    lon = np.degrees(metres[:, 0] / radius_m)
    lat = np.degrees(np.arctan(np.sinh(metres[:, 1] / radius_m)))
    return np.stack([lon, lat], axis=1)


COLOURS = "cividis"
"""Even steps of lightness, the same for readers who see all colours and for those who do not."""

_WIDTH_IN, _DPI = 8.0, 150

_METRES_PER_DEG = EARTH_RADIUS_M * np.pi / 180

_OUTLINE = "#ff6db6"


def picture(heat: HeatMap) -> bytes:
    """The bytes of a PNG, 1200 pixels wide."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
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
    _label(figure, axes, heat)
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
    label = f"{heat.region.level:.0%} region, {heat.region.km2:,.3g} km²{promise}"
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


def _label(figure: Any, axes: Any, heat: HeatMap) -> None:  # noqa: ANN401
    """Title, axes and legend."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(textwrap.shorten(heat.title, 90), fontsize=11, parse_math=False)
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(useOffset=False, style="plain")
    figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)


def _small_print(heat: HeatMap) -> list[str]:
    """What to know, and whom to credit, in lines."""
    known = heat.credits
    model = f"model {known['model']}, licence {known['model_licence']}" if "model" in known else ""
    words = [heat.note, model, known.get("attribution", "")]
    return [line for text in words if text for line in textwrap.wrap(text, 120)]


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
        write_whole(Path(path), picture(self))

    def write_geotiff(self, path: str | Path, spacing_m: float | None = None) -> None:
        """Write a raster in EPSG:3857; see :func:`indexer.search.heatmap.geotiff`."""
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
    space: SearchSpace,
    scored: Scored,
    of: Of = "posterior",
    *,
    prior: Prior | None = None,
    level: float = 0.9,
) -> HeatMap:
    """The map of a photo, or of several of one place.

    Args:
        space: the cells of an open index.
        scored: the photos, from :meth:`indexer.search.geolocator.Geolocator.scored`.
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
    what: What = "score" if of == "posterior" and space.calibration is None else of
    region = None
    if what == "posterior":
        values, best_row, region = _posterior(space, scored, prior, level)
    else:
        values = _cosines(scored, what)
        if prior is not None:
            values[~np.isfinite(prior.log_weight)] = np.nan
        best_row = int(np.nanargmax(values))
    photos = ", ".join(photo.name for photo in scored.photos)
    return HeatMap(
        values=values.astype(np.float32),
        what=what,
        cells=space.index.cells,
        title=f"{photos} in {space.index.name}",
        best_row=best_row,
        region=region,
        note="; ".join(_notes(space, what, prior)),
        credits=_credits(space),
    )


def _posterior(
    space: SearchSpace, scored: Scored, prior: Prior | None, level: float
) -> tuple[npt.NDArray[np.float64], int, Region]:
    """Probabilities, the cell with most of them around it, and the region."""
    calibration = space.calibration
    assert calibration is not None
    log_weight = None if prior is None else prior.log_weight
    p = cell_posterior(space, scored, calibration.weights, log_weight)
    around = space.place_mass(p[None])[0]
    promised = prior is None and len(scored.photos) == 1
    mass = calibration.region_mass(level)
    region = make_region(p, space.index.cells, level, mass, promised)
    return p, int(around.argmax()), region


def _cosines(scored: Scored, what: What) -> npt.NDArray[np.float64]:
    """(N,) mean over the photos."""
    rs = scored.rs.mean(axis=0, dtype=np.float64)
    location = scored.location.mean(axis=0, dtype=np.float64)
    if what == "score":
        return np.asarray((rs + location) / 2)
    return np.asarray(rs if what == "imagery" else location)


def _notes(space: SearchSpace, what: What, prior: Prior | None) -> list[str]:
    found = [*space.index.manifest.warnings]
    if what == "score":
        found.append(UNCALIBRATED)
    if prior is not None:
        found.append(f"prior: {prior.description}")
    return found


def _credits(space: SearchSpace) -> dict[str, str]:
    return {
        "index": space.index.name,
        "build": space.index.manifest.build,
        "model": space.model_name,
        "model_licence": space.model_licence,
        "attribution": space.attribution,
    }
