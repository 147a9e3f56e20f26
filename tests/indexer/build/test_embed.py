"""From frames to vectors: the right cell of the right frame, and honest reasons for the rest."""

from __future__ import annotations

import copy
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
import torch
from frame_vectors import embed_frames
from shapely.geometry.base import BaseGeometry
from small_builds import tiny_model
from toy_city import write_city

from gair.config import QueryMode
from gair.errors import ImageryError, ModelError
from gair.geo import Footprint
from gair.model import Gair
from gair.preprocess import remote_sensing_pixels
from gair.progress import Timings
from indexer.build.embed import FRAMES_AHEAD, Encoders, embed_locations
from indexer.build.frames import FramePlan, frame_shape_px, plan_frames
from indexer.build.recipe import Recipe
from indexer.build.units import INDEXED, MOSTLY_EMPTY, NO_DATA, OUTSIDE, Outcome
from indexer.imagery import FramePixels, open_imagery

HALF_ULP = 2.0**-12
"""Half precision rounds a number in [0.5, 1) by at most this; unit vectors have smaller parts."""


class World:
    """Imagery of the whole world, computed from the place; frames may be empty or fail."""

    resolution_m = 10.0
    warnings: tuple[str, ...] = ()

    def __init__(self, valid: npt.NDArray[np.bool_] | None = None, fail_at: int = -1) -> None:
        self.coverage: BaseGeometry = shapely.box(-180, -85, 180, 85)
        self.reads: list[tuple[int, int]] = []
        self._valid = valid
        self._fail_at = fail_at

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        if len(self.reads) == self._fail_at:
            raise ImageryError("world.tif is broken: fetch it again")
        self.reads.append(shape)
        seed = abs(hash(footprint.bounds_wsen)) % 2**32
        coarse = np.random.default_rng(seed).uniform(300, 3500, (10, 12, 12))
        repeat = -(-shape[0] // 12)
        dn = np.kron(coarse, np.ones((1, repeat, repeat)))[:, : shape[0], : shape[1]]
        valid = np.ones(shape, dtype=np.bool_) if self._valid is None else self._valid
        return FramePixels(dn.astype(np.uint16), np.resize(valid, shape))

    def describe(self) -> dict[str, Any]:
        return {}


def row_of_frames(frames: int, cells_a_frame: int = 3) -> tuple[FramePlan, npt.NDArray[np.float64]]:
    """Frames side by side, far enough apart not to share cells; their cells are unevenly many."""
    rng = np.random.default_rng(5)
    plan_side_m = 2446.0
    lonlat = []
    for number in range(frames):
        middle = np.array([number * 0.5, 40.0])
        lonlat.append(middle + rng.uniform(-0.004, 0.004, (cells_a_frame + number % 4, 2)))
    points = np.concatenate(lonlat)
    discs = [shapely.Point(number * 0.5, 40).buffer(0.1) for number in range(frames)]
    plan = plan_frames(points, shapely.union_all(discs), plan_side_m)
    assert len(plan.bounds_wsen_m) == frames
    return plan, points


def token_maps(plan: FramePlan) -> list[torch.Tensor]:
    """Each frame read and encoded by itself."""
    world, maps = World(), []
    for frame in range(len(plan.bounds_wsen_m)):
        shape = frame_shape_px(plan.footprint(frame), world.resolution_m)
        pixels = remote_sensing_pixels(world.read(plan.footprint(frame), shape).dn[None])
        with torch.inference_mode():
            maps.append(tiny_model().encode_remote_sensing(pixels))
    return maps


def one_by_one(
    plan: FramePlan,
    points: npt.NDArray[np.float64],
    maps: list[torch.Tensor],
    mode: QueryMode = "nili",
) -> npt.NDArray[np.float32]:
    """Each cell by itself, NILI by its definition."""
    out = []
    for point, frame in zip(points, plan.frame_of_cell, strict=True):
        xy = torch.tensor(plan.footprint(int(frame)).frame_xy([point]), dtype=torch.float32)
        with torch.inference_mode():
            z = tiny_model().localize(maps[frame], xy[None], mode=mode, form="general")
        out.append(z[0, 0].numpy())
    return np.stack(out)


@pytest.mark.parametrize("frames", [1, 9])
def test_batches_give_what_each_cell_gives_alone(frames: int) -> None:
    plan, points = row_of_frames(frames)
    found = embed_frames(tiny_model(), World(), plan, points)
    assert found.vectors.dtype == np.float16
    assert (found.status == INDEXED).all()
    wanted = one_by_one(plan, points, token_maps(plan))
    np.testing.assert_allclose(found.vectors, wanted, rtol=0, atol=HALF_ULP + 2e-6)
    np.testing.assert_allclose(np.linalg.norm(found.vectors.astype(float), axis=1), 1, atol=1e-3)


def test_baseline_modes_are_passed_on() -> None:
    plan, points = row_of_frames(1)
    maps = token_maps(plan)
    modes: tuple[QueryMode, ...] = ("nili", "bilinear", "bicubic", "mean")
    found = {
        mode: embed_frames(tiny_model(), World(), plan, points, mode=mode).vectors for mode in modes
    }
    for mode in modes[1:]:
        wanted = one_by_one(plan, points, maps, mode)
        np.testing.assert_allclose(found[mode], wanted, rtol=0, atol=HALF_ULP + 2e-6)
        assert np.abs(found[mode].astype(float) - found["nili"]).max() > 0.01
    assert (found["mean"] == found["mean"][0]).all()


def test_cells_no_imagery_was_promised_for_are_outside() -> None:
    plan, points = row_of_frames(2)
    far = np.concatenate([points, [[100.0, 10.0]]])
    discs = shapely.union_all([shapely.Point(n * 0.5, 40).buffer(0.1) for n in range(2)])
    plan = plan_frames(far, discs, plan.side_m)
    found = embed_frames(tiny_model(), World(), plan, far)
    assert found.status.tolist() == [INDEXED] * len(points) + [OUTSIDE]
    assert not found.vectors[-1].any()
    assert found.missing() == {"outside the imagery": 1}
    assert found.reasons(np.array([len(points)])) == ["outside the imagery"]
    assert found.lost_for("outside the imagery").nonzero()[0].tolist() == [len(points)]


def test_a_mostly_empty_frame_is_not_used_and_a_cell_without_data_is_not_indexed() -> None:
    points = np.array([[0.0, 40.0], [-0.006, 40.0], [0.006, 40.0]])
    plan = plan_frames(points, shapely.box(-1, 39, 1, 41), 2446.0)
    side, _ = frame_shape_px(plan.footprint(0), 10.0)
    x = (np.arange(side) + 0.5) / side
    for share, expected in (
        (0.6, [INDEXED, INDEXED, NO_DATA]),  # the western 60 % are imagery
        (0.4, [NO_DATA, MOSTLY_EMPTY, NO_DATA]),
        (0.0, [NO_DATA, NO_DATA, NO_DATA]),
    ):
        valid = np.broadcast_to(x < share, (side, side))
        found = embed_frames(tiny_model(), World(valid), plan, points)
        assert found.status.tolist() == expected
        assert (np.abs(found.vectors).sum(1) > 0).tolist() == [s == INDEXED for s in expected]
        assert found.valid_fraction == pytest.approx([share], abs=0.01)
        assert found.incomplete_frames == 1


def test_the_north_of_the_mask_is_the_north_of_the_frame() -> None:
    points = np.array([[0.0, 40.005], [0.0, 39.9965]])
    plan = plan_frames(points, shapely.box(-1, 39, 1, 41), 2446.0)
    side, _ = frame_shape_px(plan.footprint(0), 10.0)
    valid = np.zeros((side, side), dtype=np.bool_)
    valid[: side // 2 + 1] = True
    found = embed_frames(tiny_model(), World(valid), plan, points)
    assert found.status.tolist() == [INDEXED, NO_DATA]


def test_a_hole_of_a_real_raster_is_no_data(tmp_path: Path) -> None:
    city = write_city(tmp_path / "city.tif", side_px=200, hole=True)
    hole_utm = (699_000 + 1_200.0, 5_712_000 - 1_200.0)  # its middle: 100 to 140 pixels of 10 m
    x, y = hole_utm
    hole = Footprint("EPSG:32630", (x - 100, y - 100, x + 100, y + 100))
    points = np.concatenate(
        [hole.lonlat_deg([[0, 0], [-1, -1], [1, 1]]), hole.lonlat_deg([[5, 5]])]
    )
    with open_imagery(city) as imagery:
        plan = plan_frames(points, imagery.coverage, 2446.0)
        found = embed_frames(tiny_model(), imagery, plan, points)
    assert found.status.tolist() == [NO_DATA, NO_DATA, NO_DATA, INDEXED]


def test_reasons_are_counted_apart() -> None:
    status = np.array([INDEXED, OUTSIDE, NO_DATA, NO_DATA, MOSTLY_EMPTY], dtype=np.uint8)
    found = Outcome(status, np.array([1.0, 0.99]))
    assert list(found.missing().values()) == [1, 2, 1]
    assert found.incomplete_frames == 1


def test_frames_are_read_at_the_size_of_their_pixels() -> None:
    for lat, resolution_m, side in ((0, 10, 245), (60, 10, 122), (60, 30, 96), (0, 1, 512)):
        plan = plan_frames(np.array([[0.0, lat]]), shapely.box(-1, -1, 1, 61), 2446.0)
        assert frame_shape_px(plan.footprint(0), float(resolution_m)) == (side, side)


def reader_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("frame-reader")]


def test_a_broken_file_ends_the_work_with_its_own_error() -> None:
    plan, points = row_of_frames(11)
    with pytest.raises(ImageryError, match="world.tif is broken"):
        embed_frames(tiny_model(), World(fail_at=9), plan, points)
    assert not reader_threads()


class Stopping(World):
    """Imagery with a way to stop the consumer: its masks cannot be used."""

    def read(self, footprint: Footprint, shape: tuple[int, int]) -> FramePixels:
        pixels = super().read(footprint, shape)
        return FramePixels(pixels.dn[:9], pixels.valid)


def broken_model() -> Gair:
    model = copy.deepcopy(tiny_model())
    with torch.no_grad():
        model.inr.decoder.bias[0] = torch.nan
        next(model.location.parameters()).fill_(torch.inf)
    return model


@pytest.mark.parametrize("what", ["pixels", "model"])
def test_when_the_consumer_fails_the_reader_stops_early(what: str) -> None:
    plan, points = row_of_frames(200, cells_a_frame=1)
    world = Stopping() if what == "pixels" else World()
    model = broken_model() if what == "model" else tiny_model()
    with pytest.raises((ImageryError, ModelError), match="10, height, width|not finite"):
        embed_frames(model, world, plan, points)
    assert not reader_threads()
    read = len(world.reads)
    assert read <= 8 + 2 * FRAMES_AHEAD + 2
    time.sleep(0.05)
    assert len(world.reads) == read


def test_time_is_accounted_for() -> None:
    plan, points = row_of_frames(3)
    timings = Timings()
    began = time.perf_counter()
    embed_frames(tiny_model(), World(), plan, points, timings=timings)
    embed_locations(Encoders(tiny_model(), Recipe()), points, timings=timings)
    total = time.perf_counter() - began
    own = {"waiting for imagery", "imagery encoder", "dense sampling", "location encoder"}
    beside = {"reading (beside)", "preprocessing (beside)"}
    assert set(timings.seconds) == own | beside
    assert 0.5 * total < sum(timings.seconds[part] for part in own) <= total
    assert 0 < sum(timings.seconds[part] for part in beside) <= total


def test_locations_in_several_passes_equal_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.build.embed.LOCATIONS_AT_ONCE", 4)
    places = np.random.default_rng(0).uniform((-180, -85), (180, 85), (10, 2))
    found = embed_locations(Encoders(tiny_model(), Recipe()), places)
    with torch.inference_mode():
        wanted = torch.cat(
            [tiny_model().encode_location(torch.tensor(p[None]).float()) for p in places]
        )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=HALF_ULP + 2e-6)


def test_a_place_alone_has_the_bits_that_it_has_in_company() -> None:
    """Units end where they end: one of few cells may not show."""
    encoders = Encoders(tiny_model(), Recipe())
    places = torch.tensor(np.random.default_rng(0).uniform((-1, 50), (1, 52), (9, 2)))
    with torch.inference_mode():
        together = encoders.at_places(places)
        alone = [encoders.at_places(place[None]) for place in places]
    assert torch.equal(torch.cat(alone), together)


def test_the_form_of_nili_is_the_plans_and_not_that_of_a_pass() -> None:
    """The forms round otherwise: a frame's vectors would depend on what it is encoded with."""
    model, maps = tiny_model(), torch.randn(1, 12, 12, 192)
    few = torch.rand(1, 5, 2) - 0.5
    with torch.inference_mode():
        dense, general = (model.localize(maps, few, form=form) for form in ("dense", "general"))
        assert not torch.equal(dense, general)
        for most, wanted in ((5, general), (35, general), (36, dense), (100, dense)):
            assert torch.equal(Encoders(model, Recipe(), most).at_points(maps, few), wanted)


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    model = broken_model()
    plan, points = row_of_frames(1)
    with pytest.raises(ModelError, match="not finite"):
        embed_frames(model, World(), plan, points)
    with pytest.raises(ModelError, match="not finite"):
        embed_locations(Encoders(model, Recipe()), points)
