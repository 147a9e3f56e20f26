"""Measures a model on a city: it reads the city, then is asked about photos of it.

It is the product's own way from imagery to answers: the index is built by
:mod:`indexer.build.build`, and photos are scored as
:class:`indexer.search.geolocator.Geolocator` scores them.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from gair.errors import DatasetError, PhotoError
from gair.photos.photo import Photo, open_photo
from indexer.evaluate.metrics import KS, rank_distances
from training.retrieval import retrieval_metrics
from training.synthetic.areas import held_out
from training.synthetic.city import ATTRIBUTION, City
from training.synthetic.files import IMAGERY, MANIFEST, write_city

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair


def city_files(city: City, folder: Path, photos: int, *, only_held_out: bool = False) -> Path:
    """The city's files, written unless they are there already; returns their folder.

    Args:
        city: to be searched.
        folder: gets a folder for it.
        photos: how many to search for.
        only_held_out: whether they come from held-out blocks only.
    """
    held = "-held-out" if only_held_out else ""
    home = folder / f"{city.name}{held}-{city.side_m:.0f}m-{photos}"
    if not (home / MANIFEST).is_file():  # written last
        inside = functools.partial(held_out, city.seed) if only_held_out else None
        write_city(city, home, photos=photos, dates=1, wanted=inside)
    return home


def read_truth(home: Path) -> tuple[list[Path], Floats]:
    """The photos of a city's manifest and where they were taken, (P, 2) degrees.

    Raises:
        DatasetError: the manifest is damaged.
    """
    try:
        with (home / MANIFEST).open(newline="") as file:
            rows = list(csv.DictReader(file))
        lonlat_deg = np.array([[float(row["lon"]), float(row["lat"])] for row in rows])
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{home / MANIFEST} cannot be read: {error}; delete {home}") from error
    if not len(rows):
        raise DatasetError(f"{home / MANIFEST} names no photo: delete {home}")
    return [home / row["file"] for row in rows], lonlat_deg


class Searched:
    """A city indexed by one model in one reading; scores are made once and weighed at will."""

    def __init__(self, model: Gair, mode: QueryMode, home: Path, indexes: Path) -> None:
        """Build the index and embed the photos."""
        from indexer.build.build import BuildOptions, build_index
        from indexer.imagery import open_imagery
        from indexer.index.index import open_index
        from indexer.regions.region import Region
        from indexer.search.geolocator import Geolocator

        paths, self.truth_lonlat_deg = read_truth(home)
        name = f"{home.name}-{mode}-{model.fingerprint()[:8]}"
        with open_imagery(home / IMAGERY) as imagery:
            region = Region(home.name, imagery.coverage, attribution=ATTRIBUTION)
            options = BuildOptions(query_mode=mode, quiet=True)
            build_index(name, region, imagery, model, indexes, options=options)
        geolocator = Geolocator(open_index(indexes / name), model)
        self.area_km2 = region.area_km2
        self.cell_lonlat_deg = geolocator.index.cells.lonlat_deg
        s = _embedded(geolocator.embed, paths, model.config.dim)
        self._rs = geolocator.index.rs.scores(s)
        self._location = geolocator.index.location.scores(s)

    def metrics(self, rs_weight: float, location_weight: float) -> dict[str, float]:
        """Recalls and median error with chance beside them."""
        scores = rs_weight * self._rs + location_weight * self._location
        distances_m = rank_distances(
            scores, self.truth_lonlat_deg, self.cell_lonlat_deg, max(KS), seed=0
        )
        metrics = retrieval_metrics(distances_m, self.truth_lonlat_deg, self.cell_lonlat_deg)
        return {**metrics, "area_km2": self.area_km2}


def _embedded(
    embed: Callable[[list[Photo]], npt.NDArray[np.float32]], paths: list[Path], dim: int
) -> npt.NDArray[np.float32]:
    """(P, D); NaN, a miss, for a photo that cannot be read."""
    vectors = np.full((len(paths), dim), np.nan, dtype=np.float32)
    for start in range(0, len(paths), 64):
        photos, rows = [], []
        for row, path in enumerate(paths[start : start + 64], start=start):
            try:
                photos.append(open_photo(path))
            except PhotoError:
                continue
            rows.append(row)
        if photos:
            vectors[rows] = embed(photos)
    return vectors
