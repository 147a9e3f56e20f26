"""Plan of a data set: which photos can be used, their footprints, and the split of each.

All of it follows from the photos' places; no pixel is read before the plan is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from indexer.photos.listing import ListedPhoto, read_photos
from training.dataset.pack.checks import IN_BUFFER, check_photos
from training.dataset.pack.footprints import Square, centred_squares, tile_squares
from training.dataset.pack.options import PackOptions
from training.dataset.pack.split import SPLITS, assign_splits, block_places, city_places, too_near

_MUCH = 0.2  # share of photos lost in the buffer that is worth a warning


@dataclass(frozen=True)
class PackPlan:
    """What is to be written."""

    photos: list[ListedPhoto]
    """All photos there are."""
    reasons: list[str]
    """Why each photo is left out; empty for those in use. Packing adds to them."""
    footprints: list[tuple[str, Square]]
    """Split and square, in the order of writing; the squares' photos are numbers of ``photos``."""
    warnings: list[str]
    """Sentences a user should read."""

    def leave_out(self, numbers: Iterable[int], reason: str) -> None:
        """Note why some photos are not used."""
        for number in numbers:
            self.reasons[number] = reason

    def lonlat_deg(self, numbers: Sequence[int]) -> npt.NDArray[np.float64]:
        """(N, 2) longitude, latitude of some photos that have them."""
        places = [self.photos[number].lonlat_deg for number in numbers]
        return np.array(places, dtype=np.float64).reshape(-1, 2)


def plan_pack(options: PackOptions, coverage: BaseGeometry) -> PackPlan:
    """Read and check the photos, give them footprints, and divide these.

    Args:
        options: what goes into the data set, and how.
        coverage: where there is imagery, longitude and latitude in degrees.

    Raises:
        DatasetError: The photos cannot be read.
        UsageError: They are neither a folder nor a manifest, or columns are missing.
    """
    photos = read_photos(options.photos)
    plan = PackPlan(photos, check_photos(photos, coverage), [], [])
    in_use = [i for i, reason in enumerate(plan.reasons) if not reason]
    if in_use:
        squares = _squares(plan, in_use, options, coverage)
        splits = _splits(plan, squares, options)
        plan.footprints.extend(
            sorted(
                ((split, square) for split, square in zip(splits, squares, strict=True) if split),
                key=lambda f: (SPLITS.index(f[0]), f[1].place, f[1].footprint_id),
            )
        )
    return plan


def _squares(
    plan: PackPlan, in_use: list[int], options: PackOptions, coverage: BaseGeometry
) -> list[Square]:
    lonlat_deg = plan.lonlat_deg(in_use)
    if options.split.by == "block":
        places = block_places(lonlat_deg, options.split.block_m)
    else:
        cities = [plan.photos[i].place for i in in_use]
        places = city_places(lonlat_deg, cities, options.split.join_km)
    if options.footprints == "tiles":
        return tile_squares(in_use, lonlat_deg, places, options.footprint_m)
    return centred_squares(
        in_use,
        lonlat_deg,
        places,
        [plan.photos[i].photo_id for i in in_use],
        coverage,
        side_m=options.footprint_m,
        seed=options.split.seed,
    )


def _splits(plan: PackPlan, squares: Sequence[Square], options: PackOptions) -> list[str]:
    """The split of each square; empty for those in a buffer, whose photos are left out."""
    photos_of_place: Counter[str] = Counter()
    for square in squares:
        photos_of_place[square.place] += len(square.photos)
    shares, seed = options.split.shares, options.split.seed
    split_of_place = assign_splits(photos_of_place, shares, seed)
    for split, share in zip(SPLITS, shares, strict=True):
        if share and split not in split_of_place.values():
            plan.warnings.append(
                f"{split} gets no photo: places are too few for a share of {share:g} "
                f"({len(photos_of_place)}); raise it with --shares, or try --split-by block"
            )
    splits = [split_of_place[square.place] for square in squares]
    bounds = np.array([square.bounds_wsen for square in squares])
    lost = 0
    for number in np.flatnonzero(too_near(bounds, splits, options.split.buffer_m)).tolist():
        splits[number] = ""
        plan.leave_out(squares[number].photos, IN_BUFFER)
        lost += len(squares[number].photos)
    if lost > _MUCH * photos_of_place.total():
        plan.warnings.append(
            f"{lost:,} of {photos_of_place.total():,} photos lie in the buffer between splits: "
            "larger places (--block-m) or a smaller --buffer-m lose fewer"
        )
    return splits
