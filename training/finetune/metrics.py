"""Metrics that the tasks are published with, from truth and prediction, by scikit-learn.

Nothing is dropped: a prediction that is not finite makes the score infinitely bad instead of
disappearing from the count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Ints
from gair.errors import TrainingError
from gair.info import import_problem

try:
    from sklearn import metrics as reference
except ImportError as error:
    absent = "scikit-learn is not installed: pip install 'gair-geolocator[finetune]'"
    raise TrainingError(import_problem(error, "sklearn", absent)) from error

_ROWS_AT_ONCE = 256  # 100,000 photos of 5,000 species need 2 GB as they are


def r2(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Share of the variance explained, a mean over the targets; (N,) or (N, T) each.

    A target that does not vary counts 1 if it is met exactly and 0 if not.
    """
    t, p = _pair(truth, predicted)
    if not np.isfinite(p).all():
        return float("-inf")
    if len(t) == 1:  # scikit-learn has no R2 of a single example, which cannot vary
        return float((t == p).mean())
    return float(reference.r2_score(t, p))


def mae(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Mean absolute error, a mean over the targets."""
    t, p = _pair(truth, predicted)
    return float(reference.mean_absolute_error(t, p)) if np.isfinite(p).all() else float("inf")


def rmse(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Root of the mean squared error of each target, then a mean over the targets."""
    t, p = _pair(truth, predicted)
    finite = np.isfinite(p).all()
    return float(reference.root_mean_squared_error(t, p)) if finite else float("inf")


def accuracy(truth: Ints, predicted: Ints) -> float:
    """Share of labels that are right."""
    _same_length(truth, predicted)
    return float(reference.accuracy_score(truth, predicted))


def macro_f1(truth: Ints, predicted: Ints) -> float:
    """F1 of each class that occurs in the truth or the prediction, a plain mean over them."""
    _same_length(truth, predicted)
    return float(reference.f1_score(truth, predicted, average="macro"))


def top_k(truth: Ints, scores: npt.NDArray[np.floating], k: int) -> float:
    """Share of rows whose true class is among the ``k`` highest scores.

    Of equal scores the later classes count as higher, so a constant gains nothing by ties beyond
    what ``k`` classes get.

    Args:
        truth: (N,).
        scores: (N, C); NaN is below everything.
        k: at least 1.
    """
    # Not scikit-learn's: it sorts all scores at once, several times their memory, and takes no NaN.
    _same_length(truth, scores)
    hits = 0
    for start in range(0, len(scores), _ROWS_AT_ONCE):
        rows = np.nan_to_num(scores[start : start + _ROWS_AT_ONCE], nan=-np.inf)
        label = np.asarray(truth)[start : start + _ROWS_AT_ONCE, None]
        of_truth = np.take_along_axis(rows, label, axis=1)
        later = np.arange(rows.shape[1]) > label
        above = ((rows > of_truth) | ((rows == of_truth) & later)).sum(axis=1)
        hits += int((above < k).sum())
    return hits / len(scores)


def confusion(truth: Ints, predicted: Ints, classes: int, *, ignore: int = -1) -> Ints:
    """Counts (C, C) of pixels by true class (row) and predicted class; arrays of one shape."""
    t, p = np.asarray(truth).ravel(), np.asarray(predicted).ravel()
    _same_length(t, p)
    counted = t != ignore
    t, p = t[counted], p[counted]
    if t.size and not (0 <= t.min() and t.max() < classes and 0 <= p.min() and p.max() < classes):
        raise TrainingError(
            f"classes run from {min(t.min(), p.min())} to {max(t.max(), p.max())} and there are "
            f"{classes}: check the masks"
        )
    # Not scikit-learn's, which sorts the labels of every tile to number them: pair (t, p) is cell
    # t * classes + p of the flattened (C, C) counts, and one pass counts all.
    pairs = np.bincount(t.astype(np.int64) * classes + p, minlength=classes * classes)
    return np.asarray(pairs.reshape(classes, classes), dtype=np.int64)


def mean_iou(counts: Ints) -> float:
    """Intersection over union, a mean over the classes that occur in truth or prediction."""
    both = np.diag(counts).astype(np.float64)
    either = counts.sum(axis=0) + counts.sum(axis=1) - np.diag(counts)
    seen = either > 0
    return float((both[seen] / either[seen]).mean()) if seen.any() else float("nan")


def _pair(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[Floats, Floats]:
    t, p = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if t.shape != p.shape or not t.size:
        raise TrainingError(f"truth has shape {t.shape} and the prediction {p.shape}")
    return t, p


def _same_length(truth: npt.NDArray[np.generic], predicted: npt.NDArray[np.generic]) -> None:
    if len(truth) != len(predicted) or not len(truth):
        raise TrainingError(f"{len(truth)} labels and {len(predicted)} predictions")
