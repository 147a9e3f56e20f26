"""Blocks of frames: each frame once, at its own pixels, and read as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from gair.geo import Footprint
from indexer.build.frames import FRAMES_A_SIDE, FramePlan, blocks_of, plan_frames
from indexer.imagery import FramePixels, open_imagery

SIDE_M = 2446.0


def plan_of(west: float, south: float, width: float, height: float, seed: int = 0) -> FramePlan:
    box = (west, south, west + width, south + height)
    points = np.random.default_rng(seed).uniform(box[:2], box[2:], (4000, 2))
    return plan_frames(points, shapely.box(*box), SIDE_M)


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(-0.3, 51.4, 0.3, 0.2),
        plan_of(20.0, 59.0, 0.02, 3.0),  # from 124 to 116 pixels a side
        plan_of(179.0, -1.0, 0.01, 0.01),
    ],
    ids=["a city", "a strip to the north", "one frame"],
)
def test_every_frame_is_in_one_block_at_its_own_place(plan: FramePlan) -> None:
    some = np.arange(0, len(plan.bounds_wsen_m), 1 if len(plan.bounds_wsen_m) < 50 else 2)
    blocks = blocks_of(plan, some)
    np.testing.assert_array_equal(np.sort(np.concatenate([b.frames for b in blocks])), some)
    for block in blocks:
        west, _, _, north = block.footprint.bounds_wsen
        height, width = block.shape
        assert max(block.shape) <= FRAMES_A_SIDE * block.frame_px
        assert len(block.frames) <= FRAMES_A_SIDE**2
        ground = np.indices((height, width)).astype(np.uint16)  # each pixel says where it is
        for number, frame in enumerate(block.frames.tolist()):
            assert plan.frame_px[frame] == block.frame_px
            part = block.cut(FramePixels(ground, np.ones(block.shape, dtype=np.bool_)), number)
            assert part.dn.shape[1:] == part.valid.shape == (block.frame_px,) * 2
            pixel_m = SIDE_M / block.frame_px
            left, top = part.dn[1, 0, 0] * pixel_m + west, north - part.dn[0, 0, 0] * pixel_m
            found = (left, top - SIDE_M, left + SIDE_M, top)
            np.testing.assert_allclose(found, plan.bounds_wsen_m[frame], rtol=0, atol=1e-3)


def test_no_frames_are_no_blocks() -> None:
    assert blocks_of(plan_of(0, 0, 0.01, 0.01), np.empty(0, dtype=np.int64)) == []


def test_neighbours_share_their_pixels() -> None:
    """Sixty-four frames have a pixel read 1.2 times in blocks, 1.8 times one by one."""
    plan = plan_of(0.0, 0.0, 0.123, 0.123)
    frames = np.arange(len(plan.bounds_wsen_m))
    assert len(frames) == 64
    read = sum(height * width for height, width in (b.shape for b in blocks_of(plan, frames)))
    covered_px = np.ptp(plan.bounds_wsen_m[:, [0, 2]]) * np.ptp(plan.bounds_wsen_m[:, [1, 3]])
    covered_px /= (SIDE_M / plan.frame_px[0]) ** 2
    assert read / covered_px < 1.16
    assert (plan.frame_px**2).sum() / covered_px > 1.6


def test_a_frame_cut_from_a_block_is_the_frame_read_alone(city_tif: Path) -> None:
    """But for how exactly PROJ is asked, a 500th of a pixel; neighbours may be 3,500 apart."""
    with open_imagery(city_tif) as imagery:
        west, south, east, north = shapely.buffer(imagery.coverage, -0.012).bounds
        plan = plan_of(west, south, east - west, north - south)
        frames = np.arange(len(plan.bounds_wsen_m))
        (block,) = blocks_of(plan, frames)
        assert len(frames) >= 2
        pixels = imagery.read(block.footprint, block.shape)
        for frame in frames.tolist():
            bounds = tuple(plan.bounds_wsen_m[frame].tolist())
            alone = imagery.read(Footprint("EPSG:3857", bounds), (block.frame_px,) * 2)
            part = block.cut(pixels, frame)
            assert (part.valid == alone.valid).mean() > 0.999
            both = part.valid & alone.valid
            assert both.mean() > 0.5
            apart = np.abs(part.dn.astype(int) - alone.dn)[:, both]
            assert apart.max() <= 7
