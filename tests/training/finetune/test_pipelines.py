"""The three pipelines and the species prior on data of a few rows: they fit, repeat and freeze."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from micro_training import micro_model

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError, TrainingError
from training.finetune import remote_sensing, species, supervised
from training.finetune.encoders.encoder import Photos
from training.finetune.encoders.gair_encoders import frame_encoder, location_encoder, photo_encoder
from training.finetune.fitting import Budget
from training.finetune.remote_sensing import IGNORED, SceneData, tiles
from training.finetune.running import EFFORTS, examples_in
from training.finetune.species import PriorData, presence_loss
from training.finetune.supervised import Labelled, SupervisedData

OVERFIT = Budget(steps=60, batch=8, lr=1e-2, weight_decay=0, checks=1)
FEW = Budget(steps=3, batch=4, lr=1e-2)


def photos(count: int, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, size=(count, 4, 4, 3))
    return list(np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2).astype(np.uint8))


def photo_data(goal: Any, targets: npt.NDArray[Any], names: tuple[str, ...]) -> Any:
    labelled = Labelled[Photos](photos(len(targets)), targets)
    return SupervisedData[Photos](goal, names, labelled, labelled)


def places(count: int, seed: int = 0) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.uniform([-180, -80], [180, 80], size=(count, 2))


class OneBatch:
    """Scenes in memory."""

    bands = GAIR_BANDS

    def __init__(self, count: int, side_px: int = 32, dates: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.masks = np.zeros((count, side_px, side_px), dtype=np.int64)
        self.masks[:, :, side_px // 2 :] = 1
        self.masks[:, : side_px // 2] += rng.integers(0, 2, size=(count, 1, 1))
        shape = (count, dates, 10, side_px, side_px)
        noise = rng.integers(0, 400, size=shape).astype(np.float32)
        self.dn = 1000 + 900 * self.masks[:, None, None].astype(np.float32) + noise

    def __len__(self) -> int:
        return len(self.masks)

    def read(self, number: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        return self.dn[number], self.masks[number]


def test_street_view_overfits_one_batch_of_classes() -> None:
    data = photo_data("classification", np.arange(10) % 4, ("a", "b", "c", "d"))
    for mode, least in (("finetune", 0.8), ("probe", 0.8)):  # two of ten are held back
        (scores,) = supervised.run(
            lambda seed: photo_encoder(micro_model(seed)), data, mode, OVERFIT, [0]
        )  # type: ignore[arg-type]
        assert scores["top-1"] >= least, mode
        assert scores["top-3"] >= scores["top-1"]


def test_street_view_overfits_one_batch_of_numbers_in_their_own_units() -> None:
    targets = np.random.default_rng(0).normal([1000, -3], [200, 0.1], size=(40, 2))
    data = photo_data("regression", targets, ("income", "fear"))
    budget = Budget(steps=150, batch=32, lr=1e-2, weight_decay=0, checks=1)
    (scores,) = supervised.run(
        lambda seed: photo_encoder(micro_model(seed)), data, "finetune", budget, [0]
    )
    assert scores["R2"] > 0.5
    assert scores["MAE"] < 80


def test_location_overfits_one_batch() -> None:
    values = np.random.default_rng(1).normal(5, 2, size=(40, 1))
    labelled = Labelled(places(40), values)
    data = supervised.PlaceData("regression", ("height",), labelled, labelled)
    budget = Budget(steps=150, batch=32, lr=1e-2, weight_decay=0, checks=1)
    (scores,) = supervised.run(
        lambda seed: location_encoder(micro_model(seed)), data, "finetune", budget, [0]
    )
    assert scores["R2"] > 0.6
    (frozen,) = supervised.run(
        lambda seed: location_encoder(micro_model(seed)), data, "probe", FEW, [0]
    )
    assert frozen["R2"] < scores["R2"]


@pytest.mark.parametrize("mode", ["probe", "finetune"])
def test_remote_sensing_overfits_one_batch(mode: Any) -> None:
    scenes = OneBatch(5)
    data = SceneData(("low", "mid", "high"), scenes, scenes)
    budget = Budget(steps=40, batch=4, lr=1e-2, weight_decay=0, checks=1)
    (scores,) = remote_sensing.run(
        lambda seed: frame_encoder(micro_model(seed)), data, mode, budget, [0], channels=8
    )
    assert scores["mIoU"] > 0.8


def test_species_prior_overfits_one_batch() -> None:
    rng = np.random.default_rng(0)
    where, labels = places(24), np.arange(24) % 6
    even = np.full((24, 6), 1 / 6, dtype=np.float32) + rng.uniform(0, 0.01, (24, 6))
    data = PriorData(6, where, labels, where, labels, even.astype(np.float32))
    budget = Budget(steps=150, batch=24, lr=1e-2, weight_decay=0, checks=1)
    (scores,) = species.run(
        lambda seed: location_encoder(micro_model(seed)), data, "finetune", budget, [0]
    )
    assert species.image_only(data)["top-1"] < 0.5
    assert scores["top-1"] > 0.7


def test_a_place_that_is_not_known_leaves_the_image_its_say() -> None:
    probabilities = np.array([[0.2, 0.8], [0.2, 0.8]], dtype=np.float32)
    where = np.array([[1.0, 2.0], [np.nan, np.nan]])
    data = PriorData(2, places(4), np.arange(4) % 2, where, np.array([0, 1]), probabilities)
    prior = np.array([[0.9, 0.01], [np.nan, np.nan]])
    assert species.image_times_place(data, prior)["top-1"] == 1.0
    assert species.image_only(data)["top-1"] == 0.5
    (scores,) = species.run(
        lambda seed: location_encoder(micro_model(seed)), data, "probe", FEW, [0]
    )
    assert scores["top-1"] in (0.5, 1.0)


def test_presence_loss_against_a_loop() -> None:
    torch.manual_seed(1)
    seen, anywhere = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    labels = torch.tensor([2, 0, 3])
    total = 0.0
    for row in range(3):
        for c in range(4):
            p, q = seen[row, c].sigmoid(), anywhere[row, c].sigmoid()
            total += -4 * p.log() if c == labels[row] else -(1 - p).log()
            total += -(1 - q).log()
    torch.testing.assert_close(presence_loss(seen, labels, anywhere), total / 12)


@pytest.mark.parametrize("mode", ["probe", "finetune"])
def test_a_seed_repeats_and_another_differs(mode: Any) -> None:
    targets = np.random.default_rng(3).normal(size=(20, 1))
    data = photo_data("regression", targets, ("x",))
    runs = [
        supervised.run(lambda seed: photo_encoder(micro_model(seed)), data, mode, FEW, [0, 1])
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]


def test_a_seed_draws_the_dropout_of_the_upernet_too() -> None:
    scenes = OneBatch(5)
    data = SceneData(("low", "mid", "high"), scenes, scenes)
    model = lambda seed: frame_encoder(micro_model(seed))  # noqa: E731
    budget = Budget(steps=9, batch=4, lr=1e-2)
    first, again = (
        remote_sensing.run(model, data, "probe", budget, [0], channels=8) for _ in range(2)
    )
    assert first == again


def test_a_frozen_encoder_stays_as_it_was_and_a_learning_one_does_not() -> None:
    scenes = OneBatch(4)
    data = SceneData(("low", "mid", "high"), scenes, scenes)
    for mode, same in (("probe", True), ("finetune", False)):
        model = micro_model()
        before = {n: t.clone() for n, t in model.remote_sensing.state_dict().items()}
        encoder = frame_encoder(model)
        remote_sensing.run(lambda _seed, e=encoder: e, data, mode, FEW, [0], channels=4)  # type: ignore[misc, arg-type]
        after = model.remote_sensing.state_dict()
        assert all(torch.equal(before[n], after[n]) for n in before) == same, mode


def test_dates_are_mixed_by_weights_that_learn() -> None:
    scenes = OneBatch(4, dates=3)
    data = SceneData(("low", "mid", "high"), scenes, scenes, dates=3)
    model = remote_sensing.Segmenter(frame_encoder(micro_model()), data, "probe", 4, seed=0)
    maps = model.maps(scenes.dn[:2], scenes.bands)
    assert maps.shape == (2, 3, 4, 16, 4, 4)
    assert not maps.requires_grad
    out = model(maps, (32, 32))
    assert out.shape == (2, 3, 32, 32)
    out.square().mean().backward()
    assert model.of_date.grad is not None
    assert float(model.of_date.grad.abs().min()) > 0


@pytest.mark.parametrize(("shape", "side"), [((64, 64), 32), ((70, 45), 32), ((20, 20), 32)])
def test_tiles_cover_every_pixel_once(shape: tuple[int, int], side: int) -> None:
    seen = np.zeros(shape, dtype=int)
    for tile in tiles(shape, side):
        part = seen[tile.rows, tile.columns]
        assert part.shape == (min(side, shape[0]), min(side, shape[1]))
        part[tile.fresh] += 1
    assert (seen == 1).all()


def test_larger_scenes_are_cropped_to_fit_and_read_whole_to_test() -> None:
    scenes = OneBatch(3, side_px=48)
    scenes.masks[0, :10] = IGNORED
    data = SceneData(("low", "mid", "high"), scenes, scenes)
    model = remote_sensing.Segmenter(frame_encoder(micro_model()), data, "probe", 4, seed=0)
    counts = remote_sensing.evaluate(model.eval(), scenes, range(3), 3)
    assert counts.sum() == 3 * 48 * 48 - 480
    (scores,) = remote_sensing.run(
        lambda seed: frame_encoder(micro_model(seed)), data, "probe", FEW, [0], channels=4
    )
    assert 0 <= scores["mIoU"] <= 1
    rng = np.random.default_rng(0)
    numbered = np.arange(48 * 48, dtype=np.float32).reshape(1, 1, 48, 48)
    dn, mask = remote_sensing.crop(numbered, numbered[0, 0].astype(np.int64), 32, rng)
    assert (dn[0, 0] == mask).all()
    top, left = divmod(int(mask[0, 0]), 48)
    assert (mask == numbered[0, 0, top : top + 32, left : left + 32]).all()
    with pytest.raises(DatasetError, match="a scene is 16 x 40 pixels, narrower"):
        remote_sensing.crop(np.zeros((1, 10, 16, 40), np.float32), np.zeros((16, 40), int), 32, rng)


@pytest.mark.parametrize(("room", "most"), [(0, 100), (10**9, 8)])
def test_maps_are_remembered_as_far_as_there_is_room(
    room: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_sensing, "REMEMBERED_BYTES", room)
    scenes, reads = OneBatch(8), []
    monkeypatch.setattr(
        scenes, "read", lambda number, read=scenes.read: reads.append(number) or read(number)
    )
    data = SceneData(("low", "mid", "high"), scenes, OneBatch(2), val=OneBatch(2))
    budget = Budget(steps=10, batch=4, lr=1e-2, checks=1)
    results = remote_sensing.run(
        lambda seed: frame_encoder(micro_model(seed)), data, "probe", budget, [0], channels=4
    )
    assert len(reads) == (40 if room == 0 else most)
    assert 0 <= results[0]["mIoU"] <= 1


def test_epochs_are_those_of_the_examples_that_are_fitted() -> None:
    scenes, fifty = OneBatch(20), np.zeros(50, dtype=np.int64)
    data = SceneData(("low", "mid", "high"), scenes, scenes)
    assert examples_in("remote sensing", data) == 18
    assert examples_in("remote sensing", SceneData(data.classes, scenes, scenes, scenes)) == 20
    labelled = Labelled(places(50), fifty)
    task = supervised.PlaceData("classification", ("a",), labelled, labelled)
    assert examples_in("location", task) == 40
    prior = PriorData(1, places(50), fifty, places(50), fifty, np.ones((50, 1), np.float32))
    assert examples_in("species prior", prior) == 45
    assert EFFORTS["remote sensing"].budget(18).steps == 180


def test_a_single_scene_is_too_few_for_batch_norms() -> None:
    scenes = OneBatch(2)
    data = SceneData(("low", "mid", "high"), scenes, scenes)
    with pytest.raises(TrainingError, match="1 scenes in batches of 4: its batch norms"):
        remote_sensing.run(
            lambda seed: frame_encoder(micro_model(seed)), data, "probe", FEW, [0], channels=4
        )


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DatasetError, match="3 inputs have 2 labels"):
        Labelled(places(3), np.zeros(2))
    with pytest.raises(DatasetError, match=r"have shape \(2, 3\); expected \(2, 4\)"):
        PriorData(4, places(1), np.zeros(1, int), places(2), np.zeros(2, int), np.ones((2, 3), "f"))
