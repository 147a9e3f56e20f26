"""Remote sensing: a frozen encoder f under a UPerNet that labels every pixel.

PANGAEA's protocol (https://arxiv.org/abs/2412.04204): AdamW for 80 epochs in batches of 8, random
crops of the encoder's own input size without resizing, tiles of that size at the test, the weights
that did best on validation scenes, mean IoU over all test pixels; pixels without a label do not
count. Of several dates each is encoded alone and the maps are mixed by learned weights (its
"linear" strategy). Ours differs in that the learning rate falls along a cosine, not in steps.
*finetune* lets the encoder learn too, as a scratch baseline must.

A UPerNet (Xiao et al., https://arxiv.org/abs/1807.10221) reads four feature maps: pyramid pooling
on the coarsest, a feature pyramid down to the finest, all levels fused. A plain transformer has
maps of one size only; as in PANGAEA they are brought to 4, 2, 1 and 1/2 times that first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gair.arrays import Floats32, Ints
from gair.errors import DatasetError, TrainingError
from training.finetune import metrics
from training.finetune.encoders.encoder import DEPTHS, Encoder, Frames
from training.finetune.fitting import Budget, fit, hold_out
from training.finetune.tasks import Mode

POOL_SIDES = (1, 2, 3, 6)
"""Grids of the pyramid pooling (PSPNet, https://arxiv.org/abs/1612.01105, section 3.2)."""


class UPerNet(nn.Module):
    """(B, 4, width, h, w) feature maps to (B, classes, 4h, 4w) scores.

    It has batch norms, so in training a batch needs two examples or more.
    """

    def __init__(self, width: int, classes: int, channels: int = 512) -> None:
        super().__init__()
        self.rescale = nn.ModuleList(_rescalings(width))
        self.pools = nn.ModuleList(_conv(width, channels, 1) for _ in POOL_SIDES)
        self.pooled = _conv(width + len(POOL_SIDES) * channels, channels, 3)
        self.lateral = nn.ModuleList(_conv(width, channels, 1) for _ in range(DEPTHS - 1))
        self.smooth = nn.ModuleList(_conv(channels, channels, 3) for _ in range(DEPTHS - 1))
        self.fuse = _conv(DEPTHS * channels, channels, 3)
        self.dropout = nn.Dropout2d(0.1)
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Scores at the size of the finest level, four times that of the maps."""
        # Finest first: (B, width, 4h, 4w), (B, width, 2h, 2w), (.., h, w), (.., h/2, w/2).
        levels = [scale(maps[:, i]) for i, scale in enumerate(self.rescale)]
        top_down = [self._pyramid_pooling(levels[-1])]
        for i in reversed(range(DEPTHS - 1)):
            finer = self.lateral[i](levels[i])
            top_down.insert(0, finer + _to_size_of(top_down[0], finer))
        # Three smoothings for four levels: the coarsest comes smooth out of the pooling.
        smoothed = [conv(level) for conv, level in zip(self.smooth, top_down, strict=False)]
        smoothed.append(top_down[-1])
        same = [smoothed[0], *(_to_size_of(level, smoothed[0]) for level in smoothed[1:])]
        fused = self.dropout(self.fuse(torch.cat(same, dim=1)))  # (B, channels, 4h, 4w)
        return cast(Tensor, self.classify(fused))

    def _pyramid_pooling(self, coarse: Tensor) -> Tensor:
        """The coarsest level beside its means over grids of several sizes."""
        parts = [coarse]
        for side, conv in zip(POOL_SIDES, self.pools, strict=True):
            parts.append(_to_size_of(conv(F.adaptive_avg_pool2d(coarse, side)), coarse))
        return cast(Tensor, self.pooled(torch.cat(parts, dim=1)))


def _rescalings(width: int) -> list[nn.Module]:
    """Maps of one size to 4, 2, 1 and 1/2 times it."""
    return [
        nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, stride=2),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.ConvTranspose2d(width, width, 2, stride=2),
        ),
        nn.ConvTranspose2d(width, width, 2, stride=2),
        nn.Identity(),
        nn.MaxPool2d(2, ceil_mode=True),
    ]


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _to_size_of(coarse: Tensor, fine: Tensor) -> Tensor:
    return F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)


IGNORED = -1
"""Marks pixels without a label."""
CHANNELS = 512
"""Of the UPerNet, as in PANGAEA's configuration."""
CHOOSE_SHARE = 0.1
"""Share of the scenes that choices are made on; PANGAEA's for HLS Burn Scars."""
REMEMBERED_BYTES = 2 << 30
"""Most memory for maps of a frozen encoder: six dates of one scene take 10 MB."""


class Scenes(Protocol):
    """Labelled imagery, read one at a time."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Sentinel-2 names of the bands."""
        ...

    def __len__(self) -> int:
        """How many."""
        ...

    def read(self, number: int) -> tuple[Floats32, Ints]:
        """(T, C, H, W) reflectance x 10000 of T dates, and (H, W) classes or ``IGNORED``."""
        ...


@dataclass(frozen=True)
class SceneData:
    """A segmentation task."""

    classes: tuple[str, ...]
    train: Scenes
    test: Scenes
    val: Scenes | None = None
    """Where its authors give one; else a tenth of ``train``."""
    dates: int = 1


class Segmenter(nn.Module):
    """Encoder, weights over dates, and UPerNet; scores at the size of the crops."""

    def __init__(
        self, encoder: Encoder[Frames], data: SceneData, mode: Mode, channels: int, seed: int
    ) -> None:
        super().__init__()
        self.frozen = mode == "probe"
        self.encoder = encoder
        self.body = encoder.module
        self.body.requires_grad_(not self.frozen)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = UPerNet(encoder.width, len(data.classes), channels)
        self.of_date = nn.Parameter(torch.full((data.dates,), 1 / data.dates))

    def train(self, mode: bool = True) -> Segmenter:
        """Training mode of what learns; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.body.eval()
        return self

    def maps(self, dn: Floats32, bands: tuple[str, ...]) -> Tensor:
        """(B, T, C, H, W) to the maps of all dates, (B, T, 4, width, h, w)."""
        batch, dates = dn.shape[:2]
        # (B * T, C, H, W): to the encoder a date is an image like any other.
        pixels = self.encoder.prepare(Frames(dn.reshape(-1, *dn.shape[2:]), bands))
        pixels = _at_least(pixels, self.encoder.side_px)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            maps = self.encoder.encode(pixels)
        return maps.view(batch, dates, *maps.shape[1:])

    def forward(self, maps: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """The maps of all dates to (B, classes, H, W)."""
        mixed = torch.einsum("btkdhw,t->bkdhw", maps, self.of_date)  # k depths of width d
        scores: Tensor = F.interpolate(
            self.head(mixed), size=size_hw, mode="bilinear", align_corners=False
        )
        return scores


def run(
    make: Callable[[int], Encoder[Frames]],
    data: SceneData,
    mode: Mode,
    budget: Budget,
    seeds: Sequence[int],
    *,
    channels: int = CHANNELS,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, float]]:
    """Mean IoU for each seed; arguments as of the street-view pipeline, ``channels`` of UPerNet."""
    results = []
    for seed in seeds:
        encoder = make(seed if mode == "finetune" else 0)
        model = Segmenter(encoder, data, mode, channels, seed)
        _fit(model, data, budget, seed, advance)
        counts = evaluate(model, data.test, range(len(data.test)), len(data.classes))
        results.append({"mIoU": metrics.mean_iou(counts)})
    return results


def evaluate(model: Segmenter, scenes: Scenes, numbers: Sequence[int], classes: int) -> Ints:
    """Counts of pixels by true and predicted class over whole scenes, tile by tile."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    with torch.inference_mode():
        for number in numbers:
            dn, mask = scenes.read(number)
            for tile in tiles(mask.shape, model.encoder.side_px):
                part = dn[None, :, :, tile.rows, tile.columns]
                height, width = part.shape[-2:]
                out = model(model.maps(part, scenes.bands), (height, width))
                best = out.argmax(1)[0].numpy()[tile.fresh]
                truth = mask[tile.rows, tile.columns][tile.fresh]
                counts += metrics.confusion(truth, best, classes, ignore=IGNORED)
    return counts


@dataclass(frozen=True)
class Tile:
    """A window of an image."""

    rows: slice
    columns: slice
    fresh: tuple[slice, slice]
    """The part of the window that no tile before it has."""


def tiles(shape_hw: tuple[int, ...], side_px: int) -> list[Tile]:
    """Windows of ``side_px`` whose fresh parts cover every pixel exactly once.

    Where the side does not divide the image, the last window overlaps the one before it.
    """
    rows, columns = (_starts(length, side_px) for length in shape_hw)
    return [
        Tile(
            slice(top, top + side_px),
            slice(left, left + side_px),
            (slice(fresh_top, None), slice(fresh_left, None)),
        )
        for top, fresh_top in rows
        for left, fresh_left in columns
    ]


def _starts(length: int, side_px: int) -> list[tuple[int, int]]:
    """Along one axis: where windows start, and how much of each was covered before."""
    whole = [(start, 0) for start in range(0, length - side_px + 1, side_px)]
    rest = length - len(whole) * side_px
    if not whole:
        return [(0, 0)]
    return [*whole, (length - side_px, side_px - rest)] if rest else whole


def _fit(
    model: Segmenter,
    data: SceneData,
    budget: Budget,
    seed: int,
    advance: Callable[[int], None],
) -> None:
    chosen, aside, aside_of = _choices(data, seed)
    if min(len(chosen), budget.batch) < 2:
        raise TrainingError(
            f"{len(chosen)} scenes in batches of {budget.batch}: its batch norms need 2 or more"
        )
    rng = np.random.default_rng([seed, 41])
    remembered: dict[int, tuple[Tensor, Ints]] = {}
    room = REMEMBERED_BYTES
    side = model.encoder.side_px

    def example(number: int) -> tuple[Tensor, Ints]:
        nonlocal room
        if number in remembered:
            return remembered[number]
        dn, mask = data.train.read(number)
        whole = max(mask.shape) <= side
        if not whole:
            dn, mask = crop(dn, mask, side, rng)
        maps = model.maps(dn[None], data.train.bands)
        if whole and model.frozen and maps.nbytes <= room:  # the same crop each time
            remembered[number] = maps, mask
            room -= maps.nbytes
        return maps, mask

    def loss_of(rows: Ints) -> Tensor:
        examples = [example(int(number)) for number in chosen[rows]]
        shape = examples[0][1].shape
        out: Tensor = model(torch.cat([maps for maps, _ in examples]), (shape[0], shape[1]))
        truth = torch.from_numpy(np.stack([mask for _, mask in examples]))
        if not bool((truth != IGNORED).any()):
            return out.sum() * 0  # the mean over no pixel would be NaN
        return F.cross_entropy(out, truth, ignore_index=IGNORED)

    def score() -> float:
        numbers = [int(number) for number in aside]
        return metrics.mean_iou(evaluate(model, aside_of, numbers, len(data.classes)))

    with torch.random.fork_rng(devices=[]):  # the UPerNet has a dropout
        torch.manual_seed(seed)
        fit(model, loss_of, len(chosen), budget, seed=seed, score=score, advance=advance)


def _choices(data: SceneData, seed: int) -> tuple[Ints, Ints, Scenes]:
    """Scenes to fit, scenes to choose by, and whose scenes those are."""
    if data.val is not None and len(data.val):
        return np.arange(len(data.train)), np.arange(len(data.val)), data.val
    fitted, aside = hold_out(len(data.train), CHOOSE_SHARE, seed)
    return fitted, aside, data.train


def crop(dn: Floats32, mask: Ints, side_px: int, rng: np.random.Generator) -> tuple[Floats32, Ints]:
    """A random window of ``side_px`` squared, from images that are at least that large."""
    height, width = mask.shape
    if min(height, width) < side_px:
        raise DatasetError(
            f"a scene is {height} x {width} pixels, narrower than the encoder's {side_px} and "
            "longer: cut the scenes into squares"
        )
    top = int(rng.integers(0, height - side_px + 1))
    left = int(rng.integers(0, width - side_px + 1))
    rows, columns = slice(top, top + side_px), slice(left, left + side_px)
    return dn[:, :, rows, columns], mask[rows, columns]


def _at_least(pixels: Tensor, side_px: int) -> Tensor:
    """Smaller images are enlarged to the encoder's input, bilinearly, as PANGAEA does."""
    if tuple(pixels.shape[-2:]) == (side_px, side_px):
        return pixels
    enlarged: Tensor = F.interpolate(
        pixels, size=(side_px, side_px), mode="bilinear", align_corners=False
    )
    return enlarged
