"""Geometry of photos: what a camera sees of houses whose shapes are known."""

from __future__ import annotations

import numpy as np
import pytest
from street_scenes import MIDDLE_M, cameras, conditions, house, scene

from gair.arrays import Bytes
from training.synthetic.street.photograph import photograph
from training.synthetic.world import FLAT, GABLED, HIPPED, World

WIDTH, HEIGHT = 128, 96
RED, GREEN, YELLOW = (220, 20, 20), (20, 220, 20), (220, 220, 20)


def look(world: World, heading_deg: float = 90.0, **how: float) -> Bytes:
    rng = np.random.default_rng(0)
    size = {"width_px": WIDTH, "height_px": HEIGHT}
    return photograph(world, cameras(heading_deg, **how), conditions(), rng, **size)[0]


def is_red(picture: Bytes) -> np.ndarray:
    return (picture[..., 0].astype(int) - picture[..., 1]) > 25


@pytest.mark.parametrize("far_m", [15.0, 50.0, 150.0])
def test_a_wall_stands_where_perspective_puts_it(far_m: float) -> None:
    red = is_red(look(scene(house(far_m + 6, 0, half_m=(6, 10), eaves_m=12))))
    focal = WIDTH / 2
    rows, columns = np.flatnonzero(red[:, WIDTH // 2]), np.flatnonzero(red[HEIGHT // 2 - 1])
    assert rows[0] == pytest.approx(max(48 - focal * 10 / far_m, 0), abs=1)
    assert rows[-1] == pytest.approx(48 + focal * 2 / far_m, abs=1)
    assert len(rows) == rows[-1] - rows[0] + 1
    assert columns[0] == pytest.approx(max(64 - focal * 10 / far_m, 0), abs=1)
    assert columns[-1] == pytest.approx(min(63 + focal * 10 / far_m, 127), abs=1)


@pytest.mark.parametrize(("heading_deg", "seen"), [(90, True), (270, False)])
def test_headings_are_clockwise_from_north(heading_deg: float, seen: bool) -> None:
    assert is_red(look(scene(house(30, 0)), heading_deg)).any() == seen


def test_a_house_in_the_east_is_on_the_right_of_a_camera_that_looks_north() -> None:
    red = is_red(look(scene(house(20, -30)), 0))
    assert red[:, WIDTH // 2 :].any()
    assert not red[:, : WIDTH // 2].any()


def test_a_nearer_house_hides_a_farther_one_that_is_not_higher_to_the_eye() -> None:
    far = house(80, 0, eaves_m=20)
    assert is_red(look(scene(far))).any()
    near = house(30, 0, half_m=(6, 15), rgb=GREEN)
    assert not is_red(look(scene(near, far))).any()
    assert is_red(look(scene(near, house(80, 0, eaves_m=60)))).any()


def test_smaller_photos_show_the_same_scene() -> None:
    world = scene(house(30, 5, eaves_m=14), house(60, -20, rgb=YELLOW))
    big = photograph(world, cameras(), conditions(), np.random.default_rng(1))[0]
    small = photograph(
        world, cameras(), conditions(), np.random.default_rng(1), width_px=128, height_px=96
    )[0]
    mean = big.reshape(96, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(mean - small).mean() < 4


def test_edges_are_smoothed_by_samples() -> None:
    world, rng = scene(house(30, 0, half_m=(6, 6.13), eaves_m=11.1)), np.random.default_rng(2)
    size = {"width_px": WIDTH, "height_px": HEIGHT}
    smooth, hard = (
        photograph(world, cameras(heading_deg=80), conditions(), rng, samples=n, **size)[0]
        for n in (2, 1)
    )

    def between(picture: Bytes) -> int:
        # The share of red over that of the wall, on its way up the wall's left edge.
        redness = (picture[..., 0].astype(int) - picture[..., 1]).clip(0)
        top = np.percentile(redness[redness > 40], 90)
        return int(((redness > 0.2 * top) & (redness < 0.7 * top)).sum())

    assert between(smooth) > 1.5 * between(hard)


def obvious_view(houses: list[dict[str, object]], eye_m: float) -> np.ndarray:
    """What each pixel's ray meets first, in tiny steps: 0 nothing, 1 ground, 2 + a house."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    aside = (columns + 0.5 - WIDTH / 2) / (WIDTH / 2)
    up = (HEIGHT / 2 - rows - 0.5) / (WIDTH / 2)
    seen = np.zeros((HEIGHT, WIDTH), np.int64)
    for depth in np.arange(1.0, 90.0, 0.04):
        east, south, z = np.full_like(aside, depth), aside * depth, eye_m + up * depth
        for number, one in enumerate(houses):
            (half_u, half_v), angle = one["half_m"], one["angle"]  # type: ignore[misc]
            ox, oy = east - one["east_m"], south - one["south_m"]  # type: ignore[operator]
            u = np.abs(ox * np.cos(angle) + oy * np.sin(angle))  # type: ignore[call-overload]
            v = np.abs(oy * np.cos(angle) - ox * np.sin(angle))  # type: ignore[call-overload]
            part = np.zeros_like(z)
            if one["roof"] != FLAT:
                part = 1 - v / half_v
            if one["roof"] == HIPPED:
                part = np.minimum(part, (half_u - u) / half_v)
            top = one["eaves_m"] + one["rise_m"] * np.maximum(part, 0)  # type: ignore[operator]
            inside = (u < half_u) & (v < half_v) & (z < top) & (z > 0)
            seen[(seen == 0) & inside] = 2 + number
        seen[(seen == 0) & (z <= 0)] = 1
    return seen


def test_photos_agree_with_rays_in_tiny_steps() -> None:
    colours = [RED, GREEN, YELLOW]
    shapes: list[dict[str, object]] = [
        {"east_m": 30.0, "south_m": -12.0, "half_m": (9.0, 5.0), "eaves_m": 6.0, "rise_m": 4.0},
        {"east_m": 42.0, "south_m": 10.0, "half_m": (8.0, 6.0), "eaves_m": 7.0, "rise_m": 5.0},
        {"east_m": 60.0, "south_m": -2.0, "half_m": (7.0, 9.0), "eaves_m": 18.0, "rise_m": 0.0},
    ]
    for shape, roof, angle in zip(shapes, (GABLED, HIPPED, FLAT), (0.4, -0.7, 1.1), strict=True):
        shape["roof"], shape["angle"] = roof, angle
    for eye_m in (2.0, 11.0):
        world = scene(*(house(**s, rgb=c) for s, c in zip(shapes, colours, strict=True)))  # type: ignore[arg-type]
        picture = look(world, eye_m=eye_m).astype(float)
        chroma = picture / picture.sum(axis=2, keepdims=True)
        truth = obvious_view(shapes, eye_m)
        # Sky is blue, ground is grey.
        sorts = np.array([(0.22, 0.33, 0.45), (1, 1, 1), *colours], dtype=float)
        sorts /= sorts.sum(axis=1, keepdims=True)
        guess = ((chroma[:, :, None] - sorts) ** 2).sum(axis=3).argmin(axis=2)
        # Pixels at edges mix what they show; the sky is grey at the horizon.
        houses = (truth >= 2) | (guess >= 2)
        assert houses.sum() > 1500
        assert (guess[houses] == truth[houses]).mean() > 0.94
        assert set(np.unique(truth)) >= {0, 1, 2, 3, 4}


def test_a_hill_hides_what_stands_behind_it() -> None:
    world = scene(house(120, 0, half_m=(6, 20)))
    assert is_red(look(world)).any()
    points = world.relief_m.shape[0]
    at = np.arange(points) * 20.0 - MIDDLE_M
    world.relief_m[:] = 30 * np.exp(-(((at[None, :] - 60) / 15) ** 2)) * np.ones((points, 1))
    hilly = scene(house(120, 0, half_m=(6, 20)))
    hilly.relief_m[:] = world.relief_m
    assert not is_red(look(hilly)).any()
