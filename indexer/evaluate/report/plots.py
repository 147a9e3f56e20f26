"""Draws the figures of a report from the numbers of ``report.json`` alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from indexer.evaluate.report.wording import OFFSET_MODES, SHORT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Report = Mapping[str, Any]
Draw = Callable[[Report, "Theme"], "Figure | None"]

WIDTH_IN = 8.6
DPI = 170


@dataclass(frozen=True)
class Theme:
    """Colours of a figure."""

    panel: str
    ink: str
    dim: str
    line: str
    accent: str
    hot: str
    others: tuple[str, ...]
    map_colours: str


LIGHT = Theme(
    panel="#ffffff",
    ink="#0f172a",
    dim="#5b6b80",
    line="#e2e8f0",
    accent="#0f766e",
    hot="#c2410c",
    others=("#2563eb", "#9333ea", "#b45309", "#0891b2", "#be185d", "#4d7c0f", "#475569", "#7c2d12"),
    map_colours="viridis_r",
)
DARK = Theme(
    panel="#0f172a",
    ink="#e8eef6",
    dim="#93a4b8",
    line="#223047",
    accent="#2dd4bf",
    hot="#fb923c",
    others=("#60a5fa", "#c084fc", "#fbbf24", "#22d3ee", "#f472b6", "#a3e635", "#94a3b8", "#fdba74"),
    map_colours="viridis",
)


def draw_all(report: Report) -> dict[str, tuple[bytes, bytes]]:
    """Every figure that the report has data for, as PNG for light and for dark pages."""
    drawn = {}
    for name, draw in FIGURES.items():
        pair = [_png(draw(report, theme), theme) for theme in (LIGHT, DARK)]
        if pair[0] is not None and pair[1] is not None:
            drawn[name] = (pair[0], pair[1])
    return drawn


def error_figure(report: Report, theme: Theme) -> Figure:
    """Share of photos within every distance."""
    figure, (axes,) = _figure(theme, 3.7)
    data = report["figures"]["error"]
    away = np.asarray(data["distance_m"]) / 1000
    _curves(axes, theme, away, data["share"], data["chance"])
    axes.set_xscale("log")
    axes.set_xlim(away[0], away[-1])
    floor_km = report["index"]["floor_m"] / 1000
    axes.axvspan(away[0], max(floor_km, away[0]), color=theme.line, alpha=0.5, lw=0)
    _percent_axis(axes)
    _label(axes, theme, "distance from the best guess to the truth", "photos within it")
    axes.xaxis.set_major_formatter(_distances())
    _legend(axes, theme)
    return figure


def area_figure(report: Report, theme: Theme) -> Figure:
    """Share of photos found within every searched area."""
    figure, (axes,) = _figure(theme, 3.7)
    data = report["figures"]["area"]
    km2 = np.asarray(data["km2"])
    _curves(axes, theme, km2, data["found"], data["chance"])
    axes.set_xscale("log")
    axes.set_xlim(km2[0], km2[-1])
    _percent_axis(axes)
    _label(axes, theme, "area of the best cells, km²", "photos taken inside")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    _legend(axes, theme)
    return figure


def reliability_figure(report: Report, theme: Theme) -> Figure | None:
    """What was said against what was true, a panel a radius."""
    calibration = report["calibration"]
    if not calibration["measured"]:
        return None
    within = {r: d for r, d in calibration["confidence_within"].items() if d["measured"]}
    if not within:
        return None
    figure, panels = _figure(theme, 2.35 if len(within) > 3 else 3.2, columns=len(within))
    for axes, (radius_m, data) in zip(panels, within.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=theme.dim, lw=1, ls=(0, (4, 3)))
        raw, said = data["disc_mass_reliability"], data["reliability"]
        axes.plot(raw["said"], raw["true"], "o", ms=4, mfc="none", mec=theme.dim, label="raw mass")
        x, y = np.asarray(said["said"]), np.asarray(said["true"])
        errors = [y - said["low"], np.asarray(said["high"]) - y]
        axes.errorbar(x, y, np.clip(errors, 0, None), fmt="none", ecolor=theme.accent, lw=1)
        axes.plot(x, y, "o", ms=5, color=theme.accent, label="confidence")
        top = min(1.0, 1.12 * max(x.max(), np.max(said["high"]), max(raw["said"]), 0.05))
        axes.set(xlim=(0, top), ylim=(0, top))
        axes.set_aspect("equal")
        axes.set_title(f"within {_distance(float(radius_m))}", color=theme.ink, fontsize=9)
        _label(axes, theme, "said", "true" if axes is panels[0] else "")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(_few_ticks())
            axis.set_major_formatter(lambda v, _: f"{100 * v:g}%")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
        labelcolor=theme.ink,
    )
    return figure


def selection_figure(report: Report, theme: Theme) -> Figure | None:
    """Risk against coverage."""
    calibration = report["calibration"]
    if not calibration["measured"]:
        return None
    figure, (axes,) = _figure(theme, 3.4)
    colours = (theme.accent, *theme.others)
    for (radius_m, data), colour in zip(calibration["selection"].items(), colours, strict=False):
        name = f"farther than {_distance(float(radius_m))}"
        axes.plot(data["coverage"], data["risk"], color=colour, lw=1.8, label=name)
    axes.set_xlim(0, 1)
    _percent_axis(axes)
    axes.xaxis.set_major_formatter(lambda v, _: f"{100 * v:g}%")
    _label(axes, theme, "photos answered, most confident first", "wrong among them")
    _legend(axes, theme, loc="lower right")
    return figure


def claims_figure(report: Report, theme: Theme) -> Figure | None:
    """Likelihood ratios given against those of PAV, and Tippett plots, at one radius."""
    claims = report["claims"]
    if not claims["measured"]:
        return None
    radius_m = min((row["radius_m"] for row in claims["rows"]), key=lambda r: abs(r - 500))
    rows = [row for row in claims["rows"] if row["radius_m"] == radius_m]
    figure, (left, right) = _figure(theme, 3.6, columns=2)
    most = max(np.log10(row["limit"]) for row in rows)
    left.plot([-most, most], [-most, most], color=theme.dim, lw=1, ls=(0, (4, 3)))
    for row, colour in zip(rows, (theme.accent, *theme.others), strict=False):
        pav, at = row["calibration"], row["tippett"]
        left.plot(pav["said"], pav["pav"], color=colour, lw=1.6, label=row["alternative"])
        right.plot(at["at"], at["false"], color=colour, lw=1.6, ls=(0, (2, 2)))
        right.plot(at["at"], at["true"], color=colour, lw=1.6, label=row["alternative"])
    left.set_title(f"claims within {_distance(radius_m)}", color=theme.ink, fontsize=9)
    right.set_title("true, and false (dotted)", color=theme.ink, fontsize=9)
    _label(left, theme, "log10 of the ratio that was given", "log10 of the ratio after PAV")
    _percent_axis(right)
    _label(right, theme, "log10 of a ratio", "claims with at least that")
    _legend(left, theme)
    return figure


def map_figure(report: Report, theme: Theme) -> Figure | None:
    """Where photos were taken, coloured by how far off the answer is."""
    from matplotlib.colors import LogNorm

    photos = [p for p in report["figures"]["photos"] if p["lonlat_deg"]]
    answered = [p for p in photos if not isinstance(p["error_m"], str)]
    if not answered:
        return None
    west, south, east, north = report["index"]["bbox_wsen_deg"]
    places = np.array([p["lonlat_deg"] for p in answered])
    # Longitudes run on from the west edge, also across the antimeridian.
    places[:, 0] = west + (places[:, 0] - west + 180) % 360 - 180
    stretch = 1 / max(np.cos(np.radians(places[:, 1].mean())), 0.05)
    height = stretch * max(north - south, 1e-6) / max(east - west, 1e-6)
    figure, (axes,) = _figure(theme, float(np.clip(7.0 * height, 3.0, 7.5)))
    errors = np.maximum([p["error_m"] for p in answered], report["index"]["floor_m"])
    order = np.argsort(-errors)  # good answers on top
    norm = LogNorm(report["index"]["floor_m"], max(errors.max(), 2 * report["index"]["floor_m"]))
    size = float(np.clip(6000 / len(answered), 4, 40))
    lon, lat = places[order].T
    dots = axes.scatter(lon, lat, c=errors[order], s=size, cmap=theme.map_colours, norm=norm, lw=0)
    axes.plot(
        [west, east, east, west, west], [south, south, north, north, south], color=theme.dim, lw=0.8
    )
    axes.set_aspect(stretch)
    _label(axes, theme, "longitude, degrees", "latitude, degrees")
    bar = figure.colorbar(dots, ax=axes, shrink=0.8, pad=0.02)
    bar.ax.yaxis.set_major_formatter(lambda v, _: _distance(v))
    bar.ax.tick_params(colors=theme.dim, labelsize=8, which="both")
    bar.outline.set_visible(False)
    return figure


def offset_figure(report: Report, theme: Theme) -> Figure | None:
    """Mean similarity against the distance from the true place."""
    offset = report["offset"]
    if not offset["measured"]:
        return None
    figure, (axes,) = _figure(theme, 3.4)
    modes = dict.fromkeys(row["mode"] for row in offset["rows"])
    for mode, colour in zip(modes, (theme.accent, *theme.others), strict=False):
        rows = [r for r in offset["rows"] if r["mode"] == mode and r["score"] is not None]
        away = [r["distance_m"] for r in rows]
        errors = [r["standard_error"] or 0 for r in rows]
        axes.errorbar(
            away,
            [r["score"] for r in rows],
            errors,
            color=colour,
            lw=1.6,
            fmt="o-",
            ms=3.5,
            elinewidth=1,
            label=OFFSET_MODES.get(mode, mode),
        )
    axes.set_xscale("symlog", linthresh=50, linscale=0.5)
    ticks = (0, 25, 50, 100, 200, 500, 1000, 2000)
    axes.set_xticks(ticks, [_distance(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    _label(axes, theme, "from the true place to the point that is read", "mean cosine")
    _legend(axes, theme)
    return figure


FIGURES: Mapping[str, Draw] = {
    "error": error_figure,
    "area": area_figure,
    "reliability": reliability_figure,
    "selection": selection_figure,
    "claims": claims_figure,
    "map": map_figure,
    "offset": offset_figure,
}


def _figure(theme: Theme, height_in: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure((WIDTH_IN, height_in), facecolor=theme.panel, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for axes in panels:
        axes.set_facecolor(theme.panel)
        axes.grid(color=theme.line, lw=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(colors=theme.dim, labelsize=8, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    return figure, list(panels)


def _curves(axes: Axes, theme: Theme, x: Any, shares: Report, chance: Any) -> None:  # noqa: ANN401
    others = iter(theme.others)
    for key, share in shares.items():
        own = key == "answer"
        colour = theme.accent if own else next(others)
        width, order = (2.6, 5) if own else (1.3, 3)
        axes.plot(x, share, color=colour, lw=width, label=SHORT[key], zorder=order)
    axes.plot(x, chance, color=theme.dim, lw=1.4, ls=(0, (4, 3)), label=SHORT["blind"], zorder=2)


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1.005)
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g}%")


def _label(axes: Axes, theme: Theme, x: str, y: str) -> None:
    axes.set_xlabel(x, color=theme.dim, fontsize=9)
    axes.set_ylabel(y, color=theme.dim, fontsize=9)


def _legend(axes: Axes, theme: Theme, loc: Literal["best", "lower right"] = "best") -> None:
    axes.legend(loc=loc, frameon=False, fontsize=8, labelcolor=theme.ink)


def _few_ticks() -> Any:  # noqa: ANN401
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _distances() -> Callable[[float, float], str]:
    return lambda km, _: _distance(1000 * km)


def _distance(away_m: float) -> str:
    return f"{away_m / 1000:g} km" if away_m >= 999.5 else f"{away_m:.3g} m"


def _png(figure: Figure | None, theme: Theme) -> bytes | None:
    if figure is None:
        return None
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=DPI, facecolor=theme.panel, metadata={"Software": None}
    )
    return buffer.getvalue()
