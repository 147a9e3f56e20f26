"""Augmentation: another light, a mirrored or cropped photo, a turned frame, no point off it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from gair.errors import UsageError
from gair.preprocess import SV_MEAN, SV_SD
from training.dataset.batches.augment import (
    LUMA,
    SYMMETRIES,
    AugmentOptions,
    augment_frame,
    augment_photo,
    crop_photo,
    draw_symmetry,
    turn_frame,
    turn_points,
)

NONE = AugmentOptions.none()
MEAN = torch.tensor(SV_MEAN, dtype=torch.float64)[:, None, None]
SD = torch.tensor(SV_SD, dtype=torch.float64)[:, None, None]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def raw_photo(low: float = 90, high: float = 160) -> Tensor:
    """(3, 16, 16) levels in 0..255, far enough from both ends to stay inside."""
    values = rng(7).uniform(low, high, size=(3, 16, 16))
    return torch.from_numpy(values)


def normalised(raw: Tensor) -> Tensor:
    return ((raw - MEAN) / SD).float()


def levels(pixels: Tensor) -> Tensor:
    return pixels.double() * SD + MEAN


def frame() -> Tensor:
    return torch.from_numpy(rng(8).uniform(0.2, 0.8, size=(10, 12, 12)).astype(np.float32))


def test_no_strength_changes_nothing() -> None:
    photo, pixels = normalised(raw_photo()), frame()
    assert augment_photo(photo, rng(), NONE) is photo
    assert augment_frame(pixels, rng(), NONE) is pixels


def test_the_input_is_left_as_it_was() -> None:
    photo, pixels = normalised(raw_photo()), frame()
    before = photo.clone(), pixels.clone()
    for seed in range(4):
        augment_photo(photo, rng(seed), AugmentOptions())
        augment_frame(pixels, rng(seed), AugmentOptions())
    assert torch.equal(photo, before[0])
    assert torch.equal(pixels, before[1])


def test_a_flip_mirrors_left_and_right_half_of_the_time() -> None:
    photo = normalised(raw_photo())
    flip = dataclasses.replace(NONE, flip=0.5)
    outcomes = [augment_photo(photo, rng(seed), flip) for seed in range(200)]
    mirrored = [torch.equal(out, photo.flip(2)) for out in outcomes]
    same = [torch.equal(out, photo) for out in outcomes]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def mean_grey(raw: Tensor) -> Tensor:
    return sum(weight * channel for weight, channel in zip(LUMA, raw, strict=True))  # type: ignore[return-value]


def by_steps(raw: Tensor, seed: int, options: AugmentOptions) -> Tensor:
    """Brightness, contrast, saturation and gain, one after the other."""
    draw = rng(seed)
    flip = draw.random() < options.flip
    strengths = (options.brightness, options.contrast, options.saturation)
    brightness, contrast, saturation = (1 + s * draw.uniform(-1, 1) for s in strengths)
    gain = 1 + options.gain * draw.uniform(-1, 1, size=3)
    raw = raw.flip(2) if flip else raw
    raw = raw * brightness
    raw = mean_grey(raw).mean() + contrast * (raw - mean_grey(raw).mean())
    grey = mean_grey(raw)[None]
    raw = grey + saturation * (raw - grey)
    return raw * torch.from_numpy(gain)[:, None, None]


@pytest.mark.parametrize("seed", range(6))
def test_a_photo_changes_as_step_by_step(seed: int) -> None:
    raw, options = raw_photo(), AugmentOptions()
    wanted = by_steps(raw, seed, options)
    assert float((wanted - raw).abs().max()) > 3
    changed = levels(augment_photo(normalised(raw), rng(seed), options))
    torch.testing.assert_close(changed, wanted, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "gain"])
def test_each_strength_bounds_what_it_does(name: str) -> None:
    raw = raw_photo()
    only = dataclasses.replace(NONE, **{name: 0.2})
    ratios = []
    for seed in range(50):
        changed = levels(augment_photo(normalised(raw), rng(seed), only))
        torch.testing.assert_close(changed, by_steps(raw, seed, only), rtol=0, atol=2e-3)
        if name in ("brightness", "gain"):
            ratio = changed / raw  # one factor, or one a channel
            assert float((ratio.amax((1, 2)) - ratio.amin((1, 2))).max()) < 1e-4
            assert (len(torch.unique((ratio[:, 0, 0] * 1e4).round())) == 1) == (
                name == "brightness"
            )
            ratios.append(float(ratio.mean()))
        elif name == "contrast":
            torch.testing.assert_close(mean_grey(changed).mean(), mean_grey(raw).mean())
            ratios.append(float(changed.std() / raw.std()))
        else:
            torch.testing.assert_close(mean_grey(changed), mean_grey(raw), rtol=0, atol=2e-3)
    if ratios:
        assert 0.8 <= min(ratios) < max(ratios) <= 1.2


def test_levels_stay_those_of_a_photo() -> None:
    strong = AugmentOptions(brightness=1, contrast=1, saturation=1, gain=1)
    raw = raw_photo(0, 255)
    changed = torch.stack(
        [levels(augment_photo(normalised(raw), rng(s), strong)) for s in range(20)]
    )
    assert float(changed.min()) == pytest.approx(0, abs=1e-3)
    assert float(changed.max()) == pytest.approx(255, abs=1e-3)


def test_a_frame_changes_band_by_band_and_never_moves() -> None:
    pixels = frame()
    options = AugmentOptions(frame_brightness=0.1, frame_gain=0.05)
    ratios = torch.stack([augment_frame(pixels, rng(s), options) / pixels for s in range(100)])
    spread = ratios.amax((2, 3)) - ratios.amin((2, 3))
    assert float(spread.max()) < 1e-5  # one factor a band: every pixel is where it was
    factors = ratios.mean((2, 3))
    assert 0.9 * 0.95 <= float(factors.min()) < 0.9
    assert 1.1 < float(factors.max()) <= 1.1 * 1.05
    assert float(factors.std(1).min()) > 0


def test_no_data_stays_zero_and_frames_stay_in_range() -> None:
    pixels = frame()
    pixels[:, :3] = 0
    pixels[:, 3:5] = 1.02  # overshoot of the resize
    for seed in range(20):
        changed = augment_frame(pixels, rng(seed), AugmentOptions())
        assert not changed[:, :3].any()
        assert float(changed.max()) <= 1


def test_what_is_drawn_does_not_depend_on_the_strengths() -> None:
    """Or switching one off would change the others."""
    photo, pixels = normalised(raw_photo()), frame()
    left = []
    for options in (NONE, AugmentOptions(), dataclasses.replace(AugmentOptions(), gain=0)):
        draw = rng()
        augment_photo(photo, draw, options)
        augment_frame(pixels, draw, options)
        left.append(draw.random())
    assert len(set(left)) == 1


@pytest.mark.parametrize("symmetry", range(SYMMETRIES))
def test_a_point_of_a_turned_frame_is_the_same_pixel(symmetry: int) -> None:
    side = 12
    pixels = frame()
    turned = turn_frame(pixels, symmetry)
    centres = (2 * np.arange(side) + 1) / side - 1
    for row in range(side):
        for column in range(side):
            x, y = turn_points(np.array([[centres[column], centres[row]]]), symmetry)[0]
            at = round(((y + 1) * side - 1) / 2), round(((x + 1) * side - 1) / 2)
            assert torch.equal(turned[:, at[0], at[1]], pixels[:, row, column])


def test_a_model_without_positions_localises_the_same_in_a_turned_frame() -> None:
    """Interpolation knows no left and right, so the value at a point must not change at all."""
    pixels, xy = frame().double(), rng(3).uniform(-0.9, 0.9, size=(20, 2))

    def read(image: Tensor, points: np.ndarray) -> Tensor:
        grid = torch.from_numpy(np.ascontiguousarray(points))[None, None]
        return torch.nn.functional.grid_sample(image[None], grid, align_corners=False)[0, :, 0]

    wanted = read(pixels, xy)
    for symmetry in range(SYMMETRIES):
        turned = read(turn_frame(pixels, symmetry), turn_points(xy, symmetry))
        torch.testing.assert_close(turned, wanted, rtol=0, atol=1e-12)
        if symmetry:
            assert (read(turn_frame(pixels, symmetry), xy) - wanted).abs().max() > 0.01


def test_there_are_eight_symmetries_and_all_are_drawn_only_if_asked() -> None:
    looks = torch.stack([turn_frame(frame(), symmetry) for symmetry in range(SYMMETRIES)])
    assert len(looks.unique(dim=0)) == 8
    on = dataclasses.replace(NONE, frame_symmetries=True)
    counts = np.bincount([draw_symmetry(rng(seed), on) for seed in range(800)], minlength=8)
    assert len(counts) == 8
    assert counts.min() > 60
    assert {draw_symmetry(rng(seed), NONE) for seed in range(20)} == {0}


def test_a_crop_is_a_part_of_the_photo_and_not_less_than_promised() -> None:
    rows, columns = np.meshgrid(np.arange(40), np.arange(60), indexing="ij")
    rgb = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    assert crop_photo(rgb, rng(), NONE) is rgb
    options = dataclasses.replace(NONE, crop=0.5)
    tops, kept = [], []
    for seed in range(100):
        part = crop_photo(rgb, rng(seed), options)
        top, left = int(part[0, 0, 0]), int(part[0, 0, 1])
        height, width, _ = part.shape
        assert np.array_equal(part, rgb[top : top + height, left : left + width])
        tops.append(top)
        kept.append((height / 40, width / 60))
    assert 0.5 <= np.min(kept) < 0.55
    assert 0.95 < np.max(kept) <= 1
    assert np.abs(np.subtract(*np.transpose(kept))).max() > 0.2  # width and height on their own
    assert min(tops) == 0
    assert max(tops) > 10


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    photo = torch.from_numpy(rng().normal(size=(3, 224, 224)).astype(np.float32))
    wanted = augment_photo(photo, rng(1), AugmentOptions())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(augment_photo(photo, rng(1), AugmentOptions()), wanted)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize(
    "name", [f.name for f in dataclasses.fields(AugmentOptions) if f.name != "frame_symmetries"]
)
def test_impossible_strengths_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"`{name}` is {value}"):
        AugmentOptions(**{name: value})
