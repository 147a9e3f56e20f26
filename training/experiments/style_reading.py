"""Reading of a synthetic city's style: which of its numbers do the vectors s and z tell?

A city's style is what photos and imagery share (:mod:`training.synthetic.style`). A linear map is
fitted from the vectors s of photos, and another from the vectors z of cells, to each number of the
style at their places; blocks of 1.2 km that the map was not fitted on say how much of a number's
variance it explains. What neither vector tells cannot help to find a place, so this says what a
better model would have to learn, beside :mod:`~training.experiments.label_oracle`, which says how
much that would be worth. From the command line::

    python -m training.experiments.style_reading --index city --photos photos.csv --seed 7
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gair.arrays import Floats, Ints
from gair.command import run_script
from gair.errors import UsageError
from gair.fields import check_range, option
from indexer.commands.arguments import IndexAndModel
from training.synthetic.city import City
from training.synthetic.drawing import draw_plan
from training.synthetic.style import LATENTS

BLOCK_M = 1200.0
"""Side of the blocks that are fitted on or tested on: wider than a neighbourhood."""
FOLDS = 5
RIDGE = 1e-3
"""Added to the variances, as a share of their mean."""


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(IndexAndModel):
    """Index and photos of a synthetic city."""

    photos: Path = option(metavar="MANIFEST")
    """Photos of the city, as python -m training.synthetic city writes them."""
    seed: int = 3
    """Which city it is."""
    side_km: float = 11.5
    """Its side."""
    cache: Path | None = option(None, metavar="DIR")
    """Keep the photos' vectors here, so that a second run is fast."""

    def __post_init__(self) -> None:
        check_range(self, 1.5, "side_km", most=40)
        check_range(self, 0, "seed")


def explained(vectors: Floats, numbers: Floats, block: Ints) -> Floats:
    """Which share of the variance of numbers a linear map of vectors explains.

    Args:
        vectors: (N, D).
        numbers: (N, L).
        block: (N,) number of each row's block; a block is fitted on as a whole, or tested on.

    Returns:
        (L,) coefficients of determination over all rows, each predicted by a map that was fitted
        without its block; below 0 where the mean would have been nearer.
    """
    predicted = np.empty_like(numbers)
    for fold in range(FOLDS):
        tested = block % FOLDS == fold
        x, y = vectors[~tested], numbers[~tested]
        if not len(x):
            raise UsageError("all photos lie in one block of 1.2 km: take a larger city")
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        x = x - x_mean
        variance = x.T @ x
        ridge = RIDGE * np.trace(variance) / len(variance) * np.eye(len(variance))
        weight = np.linalg.solve(variance + ridge, x.T @ (y - y_mean))
        predicted[tested] = (vectors[tested] - x_mean) @ weight + y_mean
    errors = ((predicted - numbers) ** 2).sum(axis=0)
    return np.asarray(1 - errors / ((numbers - numbers.mean(axis=0)) ** 2).sum(axis=0))


def block_of(x_m: Floats, y_m: Floats) -> Ints:
    """Number of the block of each place; neighbours are of different folds."""
    across, down = (np.floor(axis / BLOCK_M).astype(np.int64) for axis in (x_m, y_m))
    return np.asarray(across + 2 * down)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    return run_script(
        ReadingOptions,
        _run,
        argv,
        prog="python -m training.experiments.style_reading",
        description=__doc__ or "",
        interrupted="interrupted; nothing was kept",
    )


def _run(options: ReadingOptions) -> int:
    from indexer.photos.vectors import photo_vectors

    geolocator = options.geolocator()
    city = City(options.seed, options.side_km * 1000)
    _, style = draw_plan(city.seed, city.side_m)
    photos = photo_vectors(geolocator, options.photos, cache=options.cache)
    finite = np.isfinite(np.concatenate([photos.s, photos.lonlat_deg], axis=1))
    there = np.asarray(finite.all(axis=1))
    cells = geolocator.index.cells.lonlat_deg
    z = geolocator.index.rs.vectors(np.arange(len(cells)))
    shares = []
    for vectors, lonlat_deg in ((photos.s[there], photos.lonlat_deg[there]), (z, cells)):
        x_m, y_m = city.xy_m(lonlat_deg)
        if (np.minimum(x_m, y_m) < 0).any() or (np.maximum(x_m, y_m) > city.side_m + 100).any():
            raise UsageError(
                f"places lie outside {city.name} of {options.side_km:g} km: give the seed and the "
                "side that it was drawn with"
            )
        at = x_m.astype(np.float32), y_m.astype(np.float32)
        numbers = style.numbers(LATENTS, *at)
        shares.append(explained(vectors.astype(np.float64), numbers, block_of(x_m, y_m)))
    unread = len(there) - int(there.sum())
    print(
        f"{city.name}: s of {there.sum():,} photos ({unread:,} more cannot be read), z of "
        f"{len(cells):,} cells; R2 on blocks of {BLOCK_M:g} m that were not fitted on"
    )
    print("| number of the style | s | z |\n|---|---:|---:|")
    for row in np.argsort(-np.min(shares, axis=0)):
        print(f"| {LATENTS[row]} | {shares[0][row]:.2f} | {shares[1][row]:.2f} |")
    print(f"| mean | {shares[0].mean():.2f} | {shares[1].mean():.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
