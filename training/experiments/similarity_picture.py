"""Draws similarity maps: a row a photo, with the tile from above and both maps beside it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Floats
from gair.errors import GairError
from gair.geo import EARTH_RADIUS_M
from indexer.evaluate.report.wording import percent
from indexer.search.maps.ground_picture import frame_picture
from indexer.search.maps.heatmap import COLOURS
from indexer.search.outlines import cell_rings, middle_longitude_deg

if TYPE_CHECKING:
    from indexer.index.index import Index
    from training.experiments.similarity_maps import PlaceInMap, SimilarityMaps

_PANEL_IN, _DPI = 4.2, 110
_TRUTH = {"marker": "*", "markersize": 15, "markerfacecolor": "#e8112d", "markeredgecolor": "white"}
_PEAK = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "markeredgecolor": "#e8112d"}
_KM_PER_DEG = EARTH_RADIUS_M * np.pi / 180 / 1000


def picture(index: Index, maps: Sequence[SimilarityMaps]) -> bytes:
    """The bytes of a PNG.

    Args:
        index: that the maps were made with.
        maps: a row each.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise GairError("pictures need matplotlib: pip install matplotlib") from error
    size = (4 * _PANEL_IN, (_PANEL_IN + 0.3) * len(maps) + 0.5)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(maps), 4, squeeze=False)
    city = _City(index)
    for row, of_photo in zip(panels, maps, strict=True):
        _draw_photo(row[0], of_photo)
        _draw_ground(row[1], index, of_photo)
        _draw_tile(figure, row[2], of_photo)
        city.draw(figure, row[3], of_photo)
    handles, labels = panels[0, 2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=2, frameon=False)
    model = index.manifest.model
    figure.supxlabel(
        f"Model {model.name}, licence {model.licence}. {index.manifest.imagery['attribution']}",
        fontsize=8,
        parse_math=False,
        x=0.01,
        ha="left",
    )
    out = io.BytesIO()
    with warnings.catch_warnings():  # names of photos may hold letters that the font lacks
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(out, format="png")
    return out.getvalue()


def _draw_photo(axes: Any, of_photo: SimilarityMaps) -> None:  # noqa: ANN401
    axes.imshow(np.asarray(of_photo.photo.rgb))
    axes.set_axis_off()
    axes.set_title(Path(of_photo.photo.name).name, fontsize=10, parse_math=False)


def _draw_ground(axes: Any, index: Index, of_photo: SimilarityMaps) -> None:  # noqa: ANN401
    """The imagery of the tile, where the build kept a picture of it."""
    axes.set_title("the tile from above", fontsize=10)
    picture = frame_picture(index, of_photo.frame)
    if picture is None:
        axes.text(0.5, 0.5, "no picture kept", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    axes.imshow(np.asarray(picture), extent=_extent(of_photo))
    _mark_tile(axes, of_photo, peak=False)


def _draw_tile(figure: Any, axes: Any, of_photo: SimilarityMaps) -> None:  # noqa: ANN401
    drawn = axes.imshow(of_photo.tile_cosines, extent=_extent(of_photo), cmap=COLOURS)
    _mark_tile(axes, of_photo, peak=True)
    axes.set_title(_title("a", "z", "tile", of_photo.in_tile), fontsize=10)
    figure.colorbar(drawn, ax=axes, shrink=0.8)


def _extent(of_photo: SimilarityMaps) -> tuple[float, float, float, float]:
    return (0.0, of_photo.tile_side_m, 0.0, of_photo.tile_side_m)


def _mark_tile(axes: Any, of_photo: SimilarityMaps, *, peak: bool) -> None:  # noqa: ANN401
    side_m, cosines = of_photo.tile_side_m, of_photo.tile_cosines
    if peak:
        row, column = np.unravel_index(cosines.argmax(), cosines.shape)
        east, south = (np.array([column, row]) + 0.5) / len(cosines) * side_m
        axes.plot(east, side_m - south, linestyle="none", label="most similar", **_PEAK)
    ((x, y),) = of_photo.tile.frame_xy(np.array([of_photo.truth_lonlat_deg]))
    at = ((1 + x) / 2 * side_m, (1 - y) / 2 * side_m)
    axes.plot(*at, linestyle="none", label="where it was taken", **_TRUTH)
    axes.set_xlabel("metres")


def _title(letter: str, vector: str, whole: str, place: PlaceInMap) -> str:
    above = percent(place.share_above)
    return f"({letter}) cos(s, {vector}): {above} of the {whole} is more similar"


class _City:
    """The cells of an index as polygons in kilometres."""

    def __init__(self, index: Index) -> None:
        cells = index.cells
        self._centres_deg = cells.lonlat_deg
        self._middle_deg = middle_longitude_deg(cells.lonlat_deg)
        rings = cell_rings(cells.h3, self._middle_deg)
        corners = np.concatenate(rings)
        self._low, high = corners.min(axis=0), corners.max(axis=0)
        stretch = np.cos(np.radians((self._low[1] + high[1]) / 2))
        self._km = _KM_PER_DEG * np.array([stretch, 1.0])
        self._rings = [(ring - self._low) * self._km for ring in rings]

    def draw(self, figure: Any, axes: Any, of_photo: SimilarityMaps) -> None:  # noqa: ANN401
        from matplotlib.collections import PolyCollection

        cosines = of_photo.city_cosines
        cells = PolyCollection(
            self._rings, array=cosines, cmap=COLOURS, edgecolors="face", linewidths=0.3
        )
        axes.add_collection(cells)
        axes.autoscale_view()
        axes.set_aspect("equal")
        axes.set_facecolor("#e8e8e8")
        axes.plot(*self._at(self._centres_deg[cosines.argmax()]), linestyle="none", **_PEAK)
        axes.plot(*self._at(np.array(of_photo.truth_lonlat_deg)), linestyle="none", **_TRUTH)
        axes.set_xlabel("kilometres")
        axes.set_title(_title("b", "e", "city", of_photo.in_city), fontsize=10)
        figure.colorbar(cells, ax=axes, shrink=0.8)

    def _at(self, lonlat_deg: Floats) -> Floats:
        lon_deg = lonlat_deg[0] - 360 * np.round((lonlat_deg[0] - self._middle_deg) / 360)
        return np.asarray((np.array([lon_deg, lonlat_deg[1]]) - self._low) * self._km)
