"""CoordBench beside slow obvious loops: folds, maps, means; the command from data to verdict."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from coordinate_samples import write_coordbench
from micro_training import micro_model

from gair.arrays import Floats, Floats32, Ints
from gair.check.coordbench import BLOCKS_DEG, METRICS, PUBLISHED
from gair.cli import main as gair
from gair.errors import DatasetError
from training.finetune.cli import main
from training.finetune.coordbench import row as row_module
from training.finetune.coordbench.folds import block_folds, counts_at, random_folds
from training.finetune.coordbench.ridge import RIDGES, held_out_scores
from training.finetune.coordbench.row import cohort_of, described, run
from training.finetune.coordbench.suite import Suite, Table, Target, questions_of
from training.finetune.encoders.gair_encoders import location_encoder

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coordbench(tmp_path_factory.mktemp("coordbench"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(micro_model().save_pretrained(tmp_path_factory.mktemp("model")))


def places(count: int) -> Floats:
    return np.stack([RNG.uniform(-180, 180, count), RNG.uniform(-60, 70, count)], axis=1)


def slow_block_folds(lonlat_deg: Floats, block_deg: float, seed: int) -> list[int]:
    corners = [
        (math.floor(lat / block_deg), math.floor(lon / block_deg)) for lon, lat in lonlat_deg
    ]
    blocks = sorted(set(corners))
    numbers = np.random.default_rng(seed).permutation(len(blocks))
    return [int(numbers[blocks.index(corner)]) % 5 for corner in corners]


def slow_random_folds(rows: list[int], seed: int) -> list[list[int]]:
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [rows[number] for number in order]
    return [[row for n, row in enumerate(shuffled) if n % 5 == fold] for fold in range(5)]


def slow_answers(
    x: Floats, y: Floats, train: list[int], test: list[int], ridge: float
) -> list[list[float]]:
    """Answers (test, T) by the normal equations, channel by channel and row by row."""
    channels, columns = range(x.shape[1]), range(y.shape[1])
    mean = [sum(x[i, c] for i in train) / len(train) for c in channels]
    sd = [
        math.sqrt(sum((x[i, c] - mean[c]) ** 2 for i in train) / (len(train) - 1)) for c in channels
    ]
    standard = [
        [(x[i, c] - mean[c]) / sd[c] if sd[c] > 1e-4 else 0.0 for c in channels]
        for i in range(len(x))
    ]
    middle = [sum(y[i, t] for i in train) / len(train) for t in columns]
    products = np.array(
        [
            [
                sum(standard[i][c] * standard[i][d] for i in train) + ridge * (c == d)
                for d in channels
            ]
            for c in channels
        ]
    )
    sides = np.array(
        [[sum(standard[i][c] * (y[i, t] - middle[t]) for i in train) for t in columns]
         for c in channels]
    )  # fmt: skip
    weight = np.linalg.solve(products, sides)
    return [
        [sum(standard[i][c] * weight[c, t] for c in channels) + middle[t] for t in columns]
        for i in test
    ]


def slow_score(goal: str, y: Floats, test: list[int], answers: list[list[float]]) -> list[float]:
    if goal == "classification":
        right = [
            int(np.argmax(a)) == int(np.argmax(y[i])) for i, a in zip(test, answers, strict=True)
        ]
        return [sum(right) / len(right)]
    scores = []
    for t in range(y.shape[1]):
        truth = [y[i, t] for i in test]
        mean = sum(truth) / len(truth)
        missed = sum((a[t] - v) ** 2 for a, v in zip(answers, truth, strict=True))
        scores.append(1 - missed / max(sum((v - mean) ** 2 for v in truth), 1e-12))
    return scores


def slow_held_out(
    goal: str, x: Floats, y: Floats, outer: list[list[int]], *, blocks: bool, seed: int
) -> list[float]:
    by_fold = []
    for number, test in enumerate(outer):
        others = [fold for n, fold in enumerate(outer) if n != number]
        pool = sorted(row for fold in others for row in fold)
        inner = others if blocks and len(others) >= 2 else slow_random_folds(pool, seed)
        inner = [fold for fold in inner if fold]
        means = []
        for ridge in RIDGES:
            of_inner = []
            for n, aside in enumerate(inner):
                rest = [row for m, fold in enumerate(inner) if m != n for row in fold]
                of_inner.append(slow_score(goal, y, aside, slow_answers(x, y, rest, aside, ridge)))
            means.append(np.mean(of_inner, axis=0))
        best = np.argmax(means, axis=0)
        by_target = []
        for t, at in enumerate(best):
            answers = slow_answers(x, y, pool, test, RIDGES[at])
            by_target.append(slow_score(goal, y, test, answers)[t])
        by_fold.append(by_target)
    return [float(v) for v in np.mean(by_fold, axis=0)]


@pytest.mark.parametrize("block_deg", [2, 10, 40, 0.5])
@pytest.mark.parametrize("seed", [0, 4])
def test_block_folds_are_those_of_a_loop_over_blocks(block_deg: float, seed: int) -> None:
    lonlat_deg = np.concatenate([places(300), np.floor(places(50) / 10) * 10])  # on corners, too
    folds = block_folds(lonlat_deg, block_deg, seed)
    assert folds.tolist() == slow_block_folds(lonlat_deg, block_deg, seed)
    assert set(folds.tolist()) == {0, 1, 2, 3, 4}


def test_random_folds_share_all_rows_out() -> None:
    rows = np.arange(3, 40)
    folds = random_folds(rows, 2)
    assert [fold.tolist() for fold in folds] == slow_random_folds(rows.tolist(), 2)
    assert sorted(np.concatenate(folds).tolist()) == rows.tolist()
    assert [len(fold) for fold in random_folds(np.arange(3), 0)] == [1, 1, 1]


def a_few(goal: str, count: int = 24) -> tuple[Floats32, Floats]:
    """Vectors, of which a channel does not vary, and answers that follow from others in part."""
    x = RNG.normal(size=(count, 4)).astype(np.float32)
    x[:, 2] = 7
    y = x[:, :2] @ RNG.normal(size=(2, 2)) + 0.5 * RNG.normal(size=(count, 2))
    if goal == "classification":
        y = np.eye(3)[np.digitize(y[:, 0], [-0.5, 0.5])]
    return x, y


@pytest.mark.parametrize("goal", ["regression", "classification"])
@pytest.mark.parametrize("outer_count", [2, 4])
@pytest.mark.parametrize("blocks", [True, False])
def test_scores_are_those_of_loops_over_folds_strengths_and_rows(
    goal: str, outer_count: int, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = RIDGES[::5]
    monkeypatch.setattr("training.finetune.coordbench.ridge.RIDGES", few)
    monkeypatch.setitem(globals(), "RIDGES", few)
    x, y = a_few(goal)
    number = RNG.integers(0, outer_count, len(x))
    outer = [np.flatnonzero(number == fold) for fold in range(outer_count)]
    scores = held_out_scores(goal, x, y, outer, blocks=blocks, seed=1)  # type: ignore[arg-type]
    loops = slow_held_out(goal, x, y, [fold.tolist() for fold in outer], blocks=blocks, seed=1)
    assert scores.tolist() == pytest.approx(loops, abs=1e-6)


def test_what_coordinates_say_is_learned_and_noise_is_not() -> None:
    x = RNG.normal(size=(300, 5)).astype(np.float32)
    y = np.stack([x @ np.arange(5.0), RNG.normal(size=300)], axis=1)
    outer = random_folds(np.arange(300), 0)
    learned, noise = held_out_scores("regression", x, y, outer, blocks=False, seed=0)
    assert learned > 0.999
    assert noise < 0.05


def test_blocks_that_divide_nothing_anew_do_not_count() -> None:
    near = np.array([[0.5, 0.5], [1.5, 1.5], [9.0, 9.0], [7.0, 2.0]])
    assert counts_at(near, 0, range(5))
    assert counts_at(near, 2, range(1))
    assert not counts_at(near, 10, range(5))  # one block, so one fold
    apart = np.array([[0.0, 0.0], [50.0, 0.0], [100.0, 0.0], [0.0, -50.0]])
    assert not counts_at(apart, 40, range(5))  # each has a block of its own at 20 degrees already
    assert all(counts_at(places(500), block_deg, range(5)) for block_deg in BLOCKS_DEG)


def targets(dataset: str, count: int, *, hole: bool = False) -> tuple[Target, ...]:
    rows = np.arange(count)
    first, second = RNG.normal(size=(2, count))
    if hole:
        second[3] = np.nan
    pairs = (("a", first), ("b", second))
    return tuple(Target(dataset, name, "regression", rows, v) for name, v in pairs)


def test_targets_known_at_the_same_places_are_answered_together() -> None:
    table = Table("t", places(20), (*targets("one", 20), *targets("two", 20, hole=True)))
    vectors = RNG.normal(size=(20, 3)).astype(np.float32)
    questions = questions_of(table, vectors)
    names = [[(target.dataset, target.name) for target in q.targets] for q in questions]
    assert names == [[("one", "a"), ("one", "b")], [("two", "a")], [("two", "b")]]
    assert questions[0].answers.shape == (20, 2)
    assert questions[2].answers.shape == (19, 1)


def test_a_row_averages_targets_then_data_sets_and_floors_what_is_hopeless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: Ints = np.arange(40)
    classes = Target("three", "c", "classification", rows, rows % 3)
    table = Table("t", places(40), (*targets("one", 40), *targets("two", 40)[:1], classes))
    said = {"one": [0.5, -7.0], "two": [0.2], "three": [0.6]}

    def scores(goal: str, x: Floats32, y: Floats, outer: list[Ints], **_given: object) -> Floats:
        if goal == "classification":
            return np.array(said["three"])
        return np.array(said["one" if y.shape[1] == 2 else "two"])

    monkeypatch.setattr(row_module, "held_out_scores", scores)
    steps: list[int] = []
    encoder = location_encoder(micro_model())
    (row,) = run(lambda _seed: encoder, Suite((table,)), "probe", [0], advance=steps.append)
    assert row["R2 random"] == pytest.approx(((0.5 - 1.0) / 2 + 0.2) / 2)
    assert row["accuracy 10 deg"] == 0.6
    assert sum(steps) == 4 * len(BLOCKS_DEG)


def test_a_target_known_in_one_block_alone_is_an_error() -> None:
    values = np.full(40, np.nan)
    values[:12] = 1.0
    where = places(40)
    where[:12] = (1.0, 1.0)
    table = Table("t", where, (Target("one", "a", "regression", np.arange(40), values),))
    encoder = location_encoder(micro_model())
    with pytest.raises(DatasetError, match="a of one is known in one block of 2 degrees alone"):
        run(lambda _seed: encoder, Suite((table,)), "probe", [0])


def test_the_command_measures_a_row_and_the_check_compares_it(
    published: Path,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("training.finetune.coordbench.ridge.RIDGES", (1.0, 100.0))
    argv = ["--task", "coordbench", "--data", str(published), "--model", model, "--seeds", "1"]
    assert main([*argv, "--out", str(tmp_path), "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "**CoordBench**: 78 targets of 52 data sets; folds at random" in text
    assert "| GAIR, as published | 0.427 | 0.274 | -0.055 | -0.09 | -0.322 | 60.3 |" in text
    assert "| MIND+CP, as published | 0.643 |" in text
    facts = json.loads((tmp_path / "transfer.json").read_text())
    (task,) = facts["tasks"]
    assert task["metrics"] == list(METRICS)
    assert "MIND" in task["published_source"]
    (row,) = task["rows"]
    (scores,) = row["scores"]
    assert set(scores) == set(METRICS)

    check = ["check", model, "--pairs", str(tmp_path / "none"), "--coordbench"]

    def compared(of_seeds: list[dict[str, float | None]]) -> tuple[int, str]:
        row["scores"] = of_seeds
        (tmp_path / "row.json").write_text(json.dumps(facts))
        return gair([*check, str(tmp_path / "row.json")]), capsys.readouterr().out

    status, told = compared([scores] * 5)
    assert status == 1
    assert f"pairs not compared: no folder {tmp_path / 'none'}" in told
    assert "does not reproduce the published row of CoordBench" in told
    theirs = {metric: of_models["GAIR"] for metric, of_models in PUBLISHED.items()}
    status, told = compared([{m: v + 0.009 for m, v in theirs.items()}] * 5)
    assert status == 0
    assert "\nreproduces the published row" in told
    status, told = compared([{**theirs, "accuracy random": 0.62}] * 5)
    assert status == 1
    status, told = compared([*[theirs] * 4, {**theirs, "R2 40 deg": None}])
    assert status == 1
    assert "0.01 of accuracy): R2 40 deg" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file .*row.json: run python -m training.finetune --task coordbench"),
        ("{", "row.json is no file of results"),
        ('{"tasks": [{"task": "coordbench", "rows": []}]}', "no row of CoordBench with this"),
        ("few", "is of 3 seeds and the published one of 5: measure it with --seeds 5"),
        ("other", "row.json is no result of CoordBench"),
        ("another model's", "no row of CoordBench with this model's weights"),
    ],
)
def test_a_row_that_cannot_be_compared_is_one_line(
    model: str, tmp_path: Path, content: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "row.json"
    if content in ("few", "other", "another model's"):
        scores = [{"R2": 0.1}] * (3 if content == "few" else 5)
        weights = "0" * 64 if content == "another model's" else micro_model().fingerprint()
        row = {"fingerprint": weights, "scores": scores}
        content = json.dumps({"tasks": [{"task": "coordbench", "rows": [row]}]})
    if content is not None:
        path.write_text(content)
    assert gair(["check", model, "--pairs", str(tmp_path / "no"), "--coordbench", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(words, told)


def test_a_fine_tuned_encoder_is_refused(
    published: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--task", "coordbench", "--data", str(published), "--out", str(tmp_path)]
    assert main([*argv, "--model", f"scratch:{model}", "--quiet"]) == 2
    assert "coordbench asks frozen encoders" in capsys.readouterr().err


def test_the_heading_counts_the_data_sets_of_each_size() -> None:
    near = Table("near", places(40) / 1000, targets("near", 40))
    far = Table("far", places(500), targets("far", 500))
    suite = Suite((near, far))
    assert cohort_of(suite, [0])["near", 10] is False
    assert "R2 over 2, 1, 1, 1, 1; accuracy over 0, 0, 0, 0, 0 data sets" in described(suite, [0])
