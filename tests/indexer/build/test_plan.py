"""The time that a build is said to take: each encoder counts, with its own number of passes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_builds import tiny_model
from torch import Tensor

from gair.model import Gair
from indexer.build import plan as plans
from indexer.build.embed import Encoders
from indexer.build.plan import Speed, estimate, measured_speed
from indexer.build.recipe import Recipe
from indexer.imagery import open_imagery
from indexer.regions.region import region_from_bbox

MAP_S, POINT_S, PLACE_S = 3.0, 0.5, 0.25
"""Of a frame, a point read from it and a place, by the clock below."""


class Clock:
    """Time passes only when an encoder is at work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        self.places = 0
        monkeypatch.setattr(plans, "time", SimpleNamespace(perf_counter=lambda: self.now_s))

        def token_maps(encoders: Encoders, pixels: Tensor) -> Tensor:
            self.now_s += MAP_S * len(pixels)
            return torch.zeros(len(pixels), 12, 12, 192)

        def at_points(encoders: Encoders, token_maps: Tensor, xy: Tensor) -> Tensor:
            self.now_s += POINT_S * xy.shape[0] * xy.shape[1]
            return torch.zeros(*xy.shape[:2], 192)

        def at_places(encoders: Encoders, lonlat_deg: Tensor) -> Tensor:
            self.now_s += PLACE_S * len(lonlat_deg)
            self.places += len(lonlat_deg)
            return torch.zeros(len(lonlat_deg), 192)

        for encoder in (token_maps, at_points, at_places):
            monkeypatch.setattr(Encoders, encoder.__name__, encoder)


def test_both_encoders_are_timed_each_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    speed = measured_speed(tiny_model(), 6, Recipe())
    assert speed == Speed(frame_s=MAP_S + 6 * POINT_S, location_s=PLACE_S)
    assert clock.places > 0


def test_frames_and_cells_count_as_often_as_there_are_any(
    city_tif: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def speed(model: Gair, cells_a_frame: int, recipe: Recipe) -> Speed:
        asked.append(cells_a_frame)
        return Speed(frame_s=100.0, location_s=7.0)

    monkeypatch.setattr(plans, "measured_speed", speed)
    region = region_from_bbox((-0.13, 51.50, -0.08, 51.56), "half of it beyond the imagery")
    with open_imagery(city_tif) as imagery:
        guess = estimate(region, imagery, tiny_model(), resolution=9)
    indexed = guess.cells - guess.outside
    assert guess.outside > 0 < indexed
    assert guess.frames > 1
    assert guess.seconds == 100 * guess.frames + 7 * indexed
    assert asked == [round(indexed / guess.frames)]
    minutes = round(guess.seconds / 60)
    assert guess.lines[-1] == f"time: about {minutes} min for the model on this machine"


def test_the_time_of_a_build_has_the_location_encoder_in_it(
    city_tif: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    region = region_from_bbox((-0.13, 51.50, -0.08, 51.53), "box")
    with open_imagery(city_tif) as imagery:
        guess = estimate(region, imagery, tiny_model(), resolution=9, precision="float32")
    indexed = guess.cells - guess.outside
    frame_s = MAP_S + POINT_S * round(indexed / guess.frames)
    assert guess.seconds == pytest.approx(guess.frames * frame_s + indexed * PLACE_S)
