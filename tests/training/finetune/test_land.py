"""Real coordinates: borders that ship with the package, and the tasks made of them."""

from __future__ import annotations

import numpy as np

from training.finetune.species import random_places
from training.finetune.synthetic_tasks import countries, country_of, land_or_sea


def test_capitals_are_in_their_countries_and_oceans_in_none() -> None:
    places = {
        "France": (2.35, 48.86),
        "Brazil": (-47.9, -15.8),
        "Japan": (139.7, 35.9),
        "Kenya": (36.8, -1.3),
        "Australia": (149.1, -35.3),
        "Lesotho": (28.0, -29.6),  # a hole in South Africa
    }
    borders = countries()
    numbers = borders.of(np.array(list(places.values())))
    assert [borders.names[i] for i in numbers] == list(places)
    oceans = np.array([[-30.0, 40.0], [-150.0, 0.0], [80.0, -30.0], [0.0, 0.0]])
    assert (borders.of(oceans) == -1).all()
    assert len(borders.names) == 177


def test_places_are_even_over_the_sphere() -> None:
    places = random_places(20_000, np.random.default_rng(0))
    assert abs((np.abs(places[:, 1]) < 30).mean() - 0.5) < 0.01  # half of a sphere
    assert abs((places[:, 0] > 90).mean() - 0.25) < 0.01
    share = (countries().of(places[:4000]) >= 0).mean()
    assert 0.26 < share < 0.33  # 29 % of the Earth is land


def test_the_tasks_repeat_and_their_parts_are_apart() -> None:
    data = land_or_sea(300, 100, seed=1)
    again = land_or_sea(300, 100, seed=1)
    assert (data.train.inputs == again.train.inputs).all()
    assert (data.train.inputs != land_or_sea(300, 100, seed=2).train.inputs).any()
    assert (len(data.train), len(data.test)) == (300, 100)
    assert not set(map(tuple, data.train.inputs)) & set(map(tuple, data.test.inputs))
    country = countries().of(data.test.inputs)
    assert ((country >= 0) == (data.test.targets == 1)).all()


def test_countries_with_too_few_places_are_no_classes() -> None:
    data = country_of(500, 200, seed=0)
    counts = np.bincount(data.train.targets, minlength=len(data.names))
    assert counts.min() >= 15
    assert "Russia" in data.names
    assert "Luxembourg" not in data.names
    assert data.test.targets.max() < len(data.names)
    borders = countries()
    for place, label in zip(data.test.inputs[:20], data.test.targets[:20], strict=True):
        assert borders.names[int(borders.of(place[None])[0])] == data.names[label]
