"""Tasks that need no download: on synthetic cities, and on land, sea and countries of the Earth.

None of the cities of the street-view and remote-sensing tasks was in any pretraining. The location
tasks are in the city that the demo model saw: a location encoder knows only places it was taught.

Borders are Natural Earth's at 1:110 million (public domain, https://www.naturalearthdata.com),
rounded to 0.001 degrees; small islands are not in them. Places are drawn evenly over the sphere.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Bytes, Floats, Floats32, Ints
from gair.bands import GAIR_BANDS
from training.finetune.encoders.encoder import Photos
from training.finetune.remote_sensing import SceneData
from training.finetune.species import PriorData, random_places
from training.finetune.supervised import Goal, Labelled, PhotoData, PlaceData, Vectors, solve
from training.synthetic.album import Shots, plan_photos
from training.synthetic.city import City
from training.synthetic.dataset import SEEN_CITY
from training.synthetic.labels import (
    COVERS,
    KIND_LATENTS,
    cover_at_10m,
    cover_share,
    looks_along,
    neighbourhood_kind,
    street_axis_deg,
)
from training.synthetic.sentinel import draw_scenes, observe
from training.synthetic.street.camera import Cameras
from training.synthetic.street.photograph import photograph
from training.synthetic.world import World

_BORDERS = "data/countries-110m.geojson"
_LEAST_TRAIN = 15
"""Training places that a country must have to be a class."""


FRAME_PX = 96
SHARES = ("building", "tree")
"""Land covers whose share around a place is to be told."""
_PHOTOS_AT_ONCE = 64
KINDS = tuple(
    " ".join(
        f"{'high' if kind >> bit & 1 else 'low'} {name}" for bit, name in enumerate(KIND_LATENTS)
    )
    for kind in range(2 ** len(KIND_LATENTS))
)


@dataclass(frozen=True)
class Size:
    """How much of the world the tasks are made of."""

    train_cities: tuple[int, ...] = (300, 301, 302)
    test_cities: tuple[int, ...] = (310, 311)
    """Seeds; none is that of a pretraining city."""
    side_m: float = 4_000.0
    train_photos: int = 500
    """Of each city."""
    test_photos: int = 400
    home: City = SEEN_CITY
    """The city of the location tasks."""
    train_places: int = 2_000
    test_places: int = 1_000
    prior_photos: int = 600
    """Photos of ``home`` that the species prior is tested on."""


@dataclass(frozen=True)
class StreetTasks:
    """The photos of all cities once, and what is asked of them."""

    surroundings: PhotoData
    """Shares of :data:`SHARES` around the camera."""
    view_direction: PhotoData
    kind: PhotoData
    """Of neighbourhood, one of :data:`KINDS`."""


class CityScenes:
    """Frames of 96 Sentinel-2 pixels squared with the cover of each pixel."""

    bands = GAIR_BANDS

    def __init__(self, dn: Floats32, masks: Ints) -> None:
        self._dn, self._masks = dn, masks

    def __len__(self) -> int:
        return len(self._masks)

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(1, 10, 96, 96) reflectance x 10000, and (96, 96) classes of ``COVERS``."""
        return self._dn[number][None], self._masks[number]


def street_tasks(size: Size) -> StreetTasks:
    """Photos of the training and test cities with three kinds of labels."""
    train = _street(size.train_cities, size.side_m, size.train_photos)
    test = _street(size.test_cities, size.side_m, size.test_photos)

    def task(goal: Any, names: tuple[str, ...], key: str) -> PhotoData:  # noqa: ANN401
        return PhotoData(
            goal,
            names,
            Labelled[Photos](train["photos"], train[key]),
            Labelled[Photos](test["photos"], test[key]),
        )

    return StreetTasks(
        task("regression", SHARES, "shares"),
        task("classification", ("side", "front/back"), "along"),
        task("classification", KINDS, "kind"),
    )


def segmentation_task(size: Size) -> SceneData:
    """Frames that tile the cities: two seasons of those for training, one of those for the test."""
    return SceneData(
        tuple(COVERS),
        CityScenes(*_frames(size.train_cities, size.side_m, dates=2)),
        CityScenes(*_frames(size.test_cities, size.side_m, dates=1)),
    )


def place_task(size: Size) -> PlaceData:
    """Shares of land cover at places of a city, half of them seen in training."""
    world = size.home.draw()
    shots = plan_photos(world, size.home, "places", size.train_places + size.test_places)
    shares = _shares(world, shots.cameras)
    return _place_data("regression", SHARES, shots.lonlat_deg, shares, size.train_places)


def prior_photos(size: Size) -> tuple[Photos, PriorData]:
    """Photos of a city, and where kinds of neighbourhoods are in it.

    The predictions of an image classifier are still to be put in, see :func:`with_predictions`.
    """
    world = size.home.draw()
    shots = plan_photos(world, size.home, "prior", size.train_places + size.prior_photos)
    cameras, places = shots.cameras, shots.lonlat_deg
    kind = neighbourhood_kind(size.home.seed, world.side_m, cameras.x_m, cameras.y_m)
    train = size.train_places
    rng = size.home.generator("pictures of the prior")
    photos = _photos(world, shots.take(slice(train, None)), rng)
    even = np.full((len(photos), len(KINDS)), 1 / len(KINDS), dtype=np.float32)
    return photos, PriorData(
        len(KINDS), places[:train], kind[:train], places[train:], kind[train:], even
    )


def with_predictions(
    prior: PriorData, vectors: Vectors, kinds: PhotoData, seed: int = 0
) -> PriorData:
    """The prior's task with P(kind | photo) of a linear map that other cities taught.

    Args:
        prior: of :func:`prior_photos`.
        vectors: ``train`` of the photos of ``kinds``, ``test`` of the prior's photos.
        kinds: photos of other cities with their kinds.
        seed: of the choices.
    """
    chosen = solve(vectors.train, kinds, seed)
    probabilities = chosen(vectors.test).softmax(1).float().numpy()
    return dataclasses.replace(prior, test_probabilities=probabilities)


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

    text = resources.files("training.finetune").joinpath(_BORDERS).read_text(encoding="utf-8")
    features = json.loads(text)["features"]
    return Countries(
        tuple(feature["properties"]["name"] for feature in features),
        tuple(shape(feature["geometry"]) for feature in features),
    )


def land_or_sea(train: int, test: int, seed: int) -> PlaceData:
    """Random places of the globe, land or sea."""
    places = random_places(train + test, np.random.default_rng([seed, 43]))
    labels = (countries().of(places) >= 0).astype(np.int64)
    return _place_data("classification", ("sea", "land"), places, labels, train)


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
    here = number[labels] >= 0
    places, labels, train = places[here], number[labels][here], int(here[:train].sum())
    names = tuple(borders.names[i] for i in kept)
    return _place_data("classification", names, places, labels, train)


def _place_data(
    goal: Goal, names: tuple[str, ...], places: Floats, labels: npt.NDArray[Any], train: int
) -> PlaceData:
    """The first places to learn from, the others for the test."""
    first, others = (slice(0, train), slice(train, None))
    parts = (Labelled(places[part], labels[part]) for part in (first, others))
    return PlaceData(goal, names, *parts)


def _street(seeds: tuple[int, ...], side_m: float, count: int) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {"photos": [], "shares": [], "along": [], "kind": []}
    for seed in seeds:
        city = City(seed, side_m)
        world, rng = city.draw(), city.generator("labelled pictures")
        shots = plan_photos(world, city, "labelled photos", count)
        cameras = shots.cameras
        axis = street_axis_deg(world, cameras.x_m, cameras.y_m)
        columns["photos"] += _photos(world, shots, rng)
        columns["shares"].append(_shares(world, cameras))
        columns["along"].append(looks_along(cameras.heading_deg, axis).astype(np.int64))
        columns["kind"].append(neighbourhood_kind(seed, world.side_m, cameras.x_m, cameras.y_m))
    joined: dict[str, Any] = {k: np.concatenate(v) for k, v in columns.items() if k != "photos"}
    return {"photos": columns["photos"], **joined}


def _shares(world: World, cameras: Cameras) -> Floats:
    return np.stack([cover_share(world, c, cameras.x_m, cameras.y_m) for c in SHARES], axis=1)


def _photos(world: World, shots: Shots, rng: np.random.Generator) -> list[Bytes]:
    photos: list[Bytes] = []
    for start in range(0, len(shots), _PHOTOS_AT_ONCE):
        batch = shots.take(slice(start, start + _PHOTOS_AT_ONCE))
        photos += list(photograph(world, batch.cameras, batch.conditions, rng))
    return photos


def _frames(seeds: tuple[int, ...], side_m: float, dates: int) -> tuple[Floats32, Ints]:
    frames, masks = [], []
    for seed in seeds:
        city = City(seed, side_m)
        world, rng = city.draw(), city.generator("labelled frames")
        cover = cover_at_10m(world).astype(np.int64)
        starts = range(0, len(cover) - FRAME_PX + 1, FRAME_PX)
        windows = [(slice(r, r + FRAME_PX), slice(c, c + FRAME_PX)) for r in starts for c in starts]
        for scene in draw_scenes(rng, dates):
            dn = observe(world, scene, rng).astype(np.float32)
            frames += [dn[:, rows, columns] for rows, columns in windows]
            masks += [cover[rows, columns] for rows, columns in windows]
    return np.stack(frames), np.stack(masks)
