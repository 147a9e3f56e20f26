"""Oracle that places photos by a synthetic city's own labels: how good could any model be?

A city's style is a handful of latent numbers that vary over it; both sensors show them, and nothing
else tells where a photo was taken. The oracle is told the latent numbers at every cell, and reads
those at a photo's place as well as a model with a given coefficient of determination R2 would. What
it then finds bounds what towers can find that read the style no better. From the command line::

    python -m training.experiments.label_oracle --seed 3 --side-km 11.5
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats
from gair.command import run_script
from gair.errors import UsageError
from gair.fields import check_range, option
from gair.geo import haversine_m
from training.synthetic.city import City
from training.synthetic.drawing import draw_plan
from training.synthetic.style import LATENTS

CELL_M = 115.0
"""Distance between places: that of the middles of H3 cells of resolution 10."""
RADIUS_M = 200.0
"""How near counts as found."""
_AT_ONCE = 200


@dataclass(frozen=True)
class OracleOptions:
    """Which city, and how well its style is read."""

    seed: int = 3
    """Which city."""
    side_km: float = 11.5
    """Its side."""
    photos: int = 2_000
    """How many places are looked for."""
    latents: tuple[str, ...] = option((), metavar="NAME")
    """Which latent numbers are read; may be given again (default: all)."""
    r2: tuple[float, ...] = option((0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), metavar="R2")
    """How well they are read, as coefficients of determination; may be given again."""

    def __post_init__(self) -> None:
        check_range(self, 1.5, "side_km", most=40)
        check_range(self, 1, "photos")
        check_range(self, 0, "seed")
        if unknown := sorted(set(self.latents) - set(LATENTS)):
            raise UsageError(f"latents {', '.join(unknown)}: there are {', '.join(LATENTS)}")
        if not all(0 < value < 1 for value in self.r2):
            raise UsageError(f"r2 is {', '.join(map(str, self.r2))}: give numbers between 0 and 1")


def reading_noise_sd(values: Floats, r2: float) -> Floats:
    """Standard deviations of the errors with which (N, L) numbers are read at an R2, (L,).

    A reading is the truth plus an error of variance ``v (1/R2 - 1)``: the best estimate from it,
    its regression on the truth undone, explains the share R2 of the variance ``v``.
    """
    return np.asarray(values.std(axis=0) * np.sqrt(1 / r2 - 1))


def found_within(
    read: Floats, cells: Floats, noise_sd: Floats, miss_m: Floats, counts: Sequence[int]
) -> tuple[list[float], float]:
    """How often a right cell is among the best ones, and the median distance of the best.

    Args:
        read: (P, L) latent numbers as they were read.
        cells: (N, L) those of the cells.
        noise_sd: (L,) of the readings.
        miss_m: (P, N) from each photo to each cell.
        counts: numbers of cells that are named.
    """
    order = np.empty((len(read), max(counts)), dtype=np.int64)
    for start in range(0, len(read), _AT_ONCE):
        block = slice(start, start + _AT_ONCE)
        # Errors are Gaussian, so the likeliest cell is the nearest in units of their deviation.
        a, b = read[block] / noise_sd, cells / noise_sd
        apart = (b**2).sum(axis=1)[None] - 2 * a @ b.T
        order[block] = np.argsort(apart, axis=1, kind="stable")[:, : max(counts)]
    near = np.take_along_axis(miss_m, order, axis=1)
    shares = [float((near[:, :count] <= RADIUS_M).any(axis=1).mean()) for count in counts]
    return shares, float(np.median(near[:, 0]))


def oracle_rows(options: OracleOptions) -> list[tuple[float, list[float], float]]:
    """For each R2: shares found by 1 and by 10 cells, and the median error in metres."""
    side_m = options.side_km * 1000
    city = City(options.seed, side_m)
    _, style = draw_plan(options.seed, side_m)
    rng = city.generator("label oracle")
    at = np.arange(CELL_M / 2, side_m, CELL_M)
    x_m, y_m = (axis.ravel().astype(np.float32) for axis in np.meshgrid(at, at))
    photo_m = rng.uniform(0, side_m, (2, options.photos)).astype(np.float32)
    names = options.latents or LATENTS
    cells, truth = style.numbers(names, x_m, y_m), style.numbers(names, *photo_m)
    miss_m = haversine_m(city.lonlat_deg(*photo_m)[:, None], city.lonlat_deg(x_m, y_m)[None])
    errors = rng.standard_normal(truth.shape)
    rows = []
    for r2 in options.r2:
        noise_sd = reading_noise_sd(cells, r2)
        shares, median_m = found_within(
            truth + noise_sd * errors, cells, noise_sd, miss_m, counts=(1, 10)
        )
        rows.append((r2, shares, median_m))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    return run_script(
        OracleOptions,
        _run,
        argv,
        prog="python -m training.experiments.label_oracle",
        description=__doc__ or "",
        interrupted="interrupted; nothing was kept",
    )


def _run(options: OracleOptions) -> int:
    cells = int(options.side_km * 1000 / CELL_M) ** 2
    print(f"city-{options.seed}, {options.photos:,} photos, {cells:,} cells; within {RADIUS_M:g} m")
    print("| R2 | R@1 | R@10 | median error |\n|---:|---:|---:|---:|")
    for r2, (first, ten), median_m in oracle_rows(options):
        print(f"| {r2:g} | {first:.1%} | {ten:.1%} | {median_m:,.0f} m |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
