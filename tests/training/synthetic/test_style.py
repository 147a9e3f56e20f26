"""Style: districts differ, neighbouring cities share a part, both sensors see one material."""

from __future__ import annotations

import numpy as np

from training.synthetic.globe import centre_lonlat_deg, shared_normal
from training.synthetic.style import LATENTS, Style, flat_roof_rgb, roof_rgb, wall_rgb


def test_walls_and_roofs_speak_of_the_same_material() -> None:
    style = Style.draw(np.random.default_rng(2), 2, 5000.0)
    at = np.linspace(0, 5000, 100, dtype=np.float32)
    rgb = [style.at(name, at[None, :], at[:, None]) for name in ("red", "green", "blue")]
    walls, roofs = wall_rgb(*rgb), roof_rgb(*rgb)
    flat = flat_roof_rgb(roofs, np.full(roofs.shape[:2], 0.5, dtype=np.float32))
    assert walls.min() >= 0
    assert walls.max() <= 1
    assert walls.std() > 0.08
    assert roofs.mean() < walls.mean()
    assert roofs.mean() < flat.mean()
    for channel in range(3):
        for above in (roofs, flat):
            pair = np.corrcoef(walls[..., channel].ravel(), above[..., channel].ravel())
            assert pair[0, 1] > 0.9
    assert len(LATENTS) == len(style.fields) == 20


def test_a_place_differs_from_one_a_kilometre_off_more_than_from_its_neighbour() -> None:
    style = Style.draw(np.random.default_rng(3), 3, 6000.0)
    at = np.arange(0, 6000, 50, dtype=np.float32)
    for name in LATENTS:
        values = style.at(name, at[None, :], at[:, None])
        near = np.abs(np.diff(values, axis=1)).mean()
        far = np.abs(values[:, 20:] - values[:, :-20]).mean()
        assert near < 0.07
        assert 0.15 < far


def test_the_grid_holds_what_the_fields_say() -> None:
    style = Style.draw(np.random.default_rng(4), 4, 1000.0)
    x, y = np.array([30, 510, 990], dtype=np.float32), np.array([970, 10, 450], dtype=np.float32)
    for name in ("red", "glass"):
        assert np.array_equal(style.grid().at(name, x, y), style.at(name, x, y))


def test_neighbouring_cities_share_a_part_of_their_style() -> None:
    middle = np.array([3000.0], dtype=np.float32)
    seeds = np.arange(480)
    lonlat = np.array([centre_lonlat_deg(int(seed)) for seed in seeds])
    assert len(np.unique(lonlat, axis=0)) == 480
    near, far, all_values = [], [], []
    for name in LATENTS:
        values = np.array(
            [shared_normal(name, int(seed), 6000.0, middle, middle)[0] for seed in seeds]
        ).reshape(12, 40)
        all_values.append(values)
        near.append(np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1])
        far.append(np.corrcoef(values[:, 8:].ravel(), values[:, :-8].ravel())[0, 1])
    assert np.mean(near) > 0.6  # 44 km apart
    assert abs(np.mean(far)) < 0.2  # 350 km apart
    assert 0.8 < np.std(all_values) < 1.2
    # Nearly the same over one city, and without a step.
    across = shared_normal(
        "red",
        7,
        6000.0,
        np.array([0, 3000, 6000], dtype=np.float32),
        np.array([0, 0, 0], dtype=np.float32),
    )
    assert 0 < np.ptp(across) < 0.3
