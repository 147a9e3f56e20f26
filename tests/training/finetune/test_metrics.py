"""The metrics against scikit-learn's of the same name, on random answers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn import metrics as reference

from gair.errors import TrainingError
from training.finetune import metrics


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("targets", [1, 3])
def test_regression_equals_scikit_learn(seed: int, targets: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 10 ** rng.uniform(-2, 2, targets), size=(50, targets))
    answers = truth + rng.normal(0, 1, size=truth.shape)
    assert metrics.r2(truth, answers) == pytest.approx(reference.r2_score(truth, answers))
    mae = reference.mean_absolute_error(truth, answers)
    assert metrics.mae(truth, answers) == pytest.approx(mae)
    rmse = reference.root_mean_squared_error(truth, answers)
    assert metrics.rmse(truth, answers) == pytest.approx(rmse)


@pytest.mark.parametrize("answer", [5.0, 4.0])
def test_a_target_that_stands_still(answer: float) -> None:
    truth = np.stack([np.full(9, 5.0), np.arange(9.0)], axis=1)
    answers = np.stack([np.full(9, answer), np.arange(9.0)], axis=1)
    assert metrics.r2(truth, answers) == pytest.approx(reference.r2_score(truth, answers))


@pytest.mark.parametrize("seed", range(4))
def test_classification_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(0, 6, 80), rng.normal(size=(80, 7))  # no truth is of class 6
    best = scores.argmax(axis=1)
    assert metrics.accuracy(truth, best) == pytest.approx(reference.accuracy_score(truth, best))
    f1 = reference.f1_score(truth, best, average="macro")
    assert metrics.macro_f1(truth, best) == pytest.approx(f1)
    for k in (1, 3, 5):
        wanted = reference.top_k_accuracy_score(truth, scores, k=k, labels=range(7))
        assert metrics.top_k(truth, scores, k) == pytest.approx(wanted)


@pytest.mark.parametrize("classes", [2, 5])
def test_mean_iou_equals_scikit_learns_jaccard(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(-1, classes, size=(3, 20, 20))
    answers = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape))
    answers = np.maximum(answers, 0)
    counted = truth != -1
    counts = metrics.confusion(truth, answers, classes)
    wanted = reference.confusion_matrix(truth[counted], answers[counted], labels=range(classes))
    assert (counts == wanted).all()
    jaccard = reference.jaccard_score(truth[counted], answers[counted], average="macro")
    assert metrics.mean_iou(counts) == pytest.approx(jaccard)


def test_the_best_of_many_classes_take_little_memory() -> None:
    truth = np.arange(3000) % 1000
    scores = np.random.default_rng(0).random((3000, 1000), dtype=np.float32)
    wanted = float((np.argsort(scores, axis=1)[:, -3:] == truth[:, None]).any(axis=1).mean())
    tracemalloc.start()
    assert metrics.top_k(truth, scores, 3) == wanted
    assert tracemalloc.get_traced_memory()[1] < scores.nbytes
    tracemalloc.stop()


def test_ties_go_to_the_later_classes() -> None:
    scores = np.array([[1.0, 1.0, 1.0, 0.0], [np.nan, np.nan, -np.inf, np.nan]])
    for k in (1, 2, 3, 4):
        for label in range(4):
            order = np.argsort(np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
            wanted = (order[:, -k:] == label).any(axis=1).mean()
            assert metrics.top_k(np.full(2, label), scores, k) == wanted


def test_a_class_that_nobody_has_or_says_does_not_count() -> None:
    counts = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 5)
    assert metrics.mean_iou(counts) == pytest.approx(0.5)
    assert np.isnan(metrics.mean_iou(np.zeros((2, 2), dtype=np.int64)))


def test_what_is_not_finite_is_infinitely_bad_and_not_left_out() -> None:
    truth, answers = np.arange(4.0), np.array([0, 1, np.nan, 3])
    assert metrics.r2(truth, answers) == -np.inf
    assert metrics.mae(truth, answers) == metrics.rmse(truth, answers) == np.inf
    scores = np.array([[np.nan, np.nan, 0.0], [0.0, 1.0, 0.5]])
    assert metrics.top_k(np.array([0, 1]), scores, 1) == 0.5


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"truth has shape \(3,\) and the prediction \(4,\)"):
        metrics.r2(np.zeros(3), np.zeros(4))
    with pytest.raises(TrainingError, match="2 labels and 3 predictions"):
        metrics.macro_f1(np.zeros(2, dtype=np.int64), np.zeros(3, dtype=np.int64))
    with pytest.raises(TrainingError, match="classes run from 0 to 7 and there are 3"):
        metrics.confusion(np.array([0, 7]), np.array([0, 1]), 3)
