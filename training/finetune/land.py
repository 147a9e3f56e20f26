"""Land, sea and countries: labels of real coordinates that need no download.

Borders are Natural Earth's at 1:110 million (public domain, https://www.naturalearthdata.com),
rounded to 0.001 degrees; small islands are not in them. Places are drawn evenly over the sphere.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from gair.arrays import Floats, Ints
from training.finetune.species import random_places
from training.finetune.supervised import Labelled, PlaceData

FILE = "data/countries-110m.geojson"
_LEAST_TRAIN = 15
"""Training places that a country must have to be a class."""


@dataclass(frozen=True)
class Countries:
    """Names and outlines, in the order of the file."""

    names: tuple[str, ...]
    outlines: tuple[Any, ...]

    def of(self, lonlat_deg: Floats) -> Ints:
        """Which country each place is in, (N, 2) degrees to (N,); -1 at sea."""
        from shapely import STRtree, points

        tree = STRtree(list(self.outlines))
        place, country = tree.query(points(lonlat_deg), predicate="within")
        number_of_place = np.full(len(lonlat_deg), -1, dtype=np.int64)
        number_of_place[place] = country
        return number_of_place


@functools.cache
def countries() -> Countries:
    """The borders that ship with this package."""
    from shapely.geometry import shape

    text = resources.files("training.finetune").joinpath(FILE).read_text(encoding="utf-8")
    features = json.loads(text)["features"]
    return Countries(
        tuple(feature["properties"]["name"] for feature in features),
        tuple(shape(feature["geometry"]) for feature in features),
    )


def land_or_sea(train: int, test: int, seed: int) -> PlaceData:
    """Random places of the globe, land or sea."""
    places = random_places(train + test, np.random.default_rng([seed, 43]))
    labels = (countries().of(places) >= 0).astype(np.int64)
    return PlaceData(
        "classification",
        ("sea", "land"),
        Labelled(places[:train], labels[:train]),
        Labelled(places[train:], labels[train:]),
    )


def country_of(train: int, test: int, seed: int) -> PlaceData:
    """Random places on land; the classes are the countries that have enough of them."""
    borders = countries()
    rng = np.random.default_rng([seed, 47])
    places = random_places(6 * (train + test), rng)  # 29 % of the globe is land
    labels = borders.of(places)
    places, labels = places[labels >= 0][: train + test], labels[labels >= 0][: train + test]
    counts = np.bincount(labels[:train], minlength=len(borders.names))
    kept = np.flatnonzero(counts >= _LEAST_TRAIN)
    number = np.full(len(borders.names), -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    labels = number[labels]
    here = labels >= 0
    is_train = np.arange(len(labels)) < train
    first, second = here & is_train, here & ~is_train
    return PlaceData(
        "classification",
        tuple(borders.names[i] for i in kept),
        Labelled(places[first], labels[first]),
        Labelled(places[second], labels[second]),
    )
