"""A heat map as a picture: cells as they lie on the ground, with what is needed to read them."""

from __future__ import annotations

import io
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from gair.errors import GairError
from gair.geo import EARTH_RADIUS_M
from indexer.outlines import cell_rings, middle_longitude_deg

if TYPE_CHECKING:
    from indexer.heatmap import HeatMap

Floats = npt.NDArray[np.float64]

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
