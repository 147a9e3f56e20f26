"""Photos that a calibration has seen, and photos that are from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats, Vectors
from indexer.evaluate.probabilities import outside_numbers, share_of
from indexer.probability.out_of_index import evidence_of

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.probability.calibration import Calibration
    from indexer.search.geolocator import Geolocator


SAME = 1 - 1e-6
"""Cosine of two vectors of one photo: the calibration keeps half precision."""

_AT_ONCE = 256


def known_photos(calibration: Calibration, s: Vectors) -> npt.NDArray[np.bool_]:
    """Which of (P, D) vectors are of photos that the calibration keeps: (P,); False for NaN.

    Photos are recognised by their vectors; copies in another file format are not.
    """
    kept = calibration.out_of_index.s.astype(np.float32)
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    known = np.zeros(len(s), dtype=bool)
    readable = np.flatnonzero(np.isfinite(s).all(axis=1))
    for start in range(0, len(readable), _AT_ONCE):
        rows = readable[start : start + _AT_ONCE]
        known[rows] = (s[rows] @ kept.T).max(axis=1) >= SAME
    return known


def outside_report(
    geolocator: Geolocator,
    inside: Vectors,
    outside: PhotoVectors | None,
    *,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """How well photos of the index are told from photos of elsewhere.

    Args:
        geolocator: of a calibrated index, or there is nothing to tell them by.
        inside: (P, D) vectors of photos whose true cell is in the index.
        outside: photos from elsewhere; None if there are none.
        seed: of the resamples.
        resamples: how many.
    """
    calibration = geolocator.calibration
    if outside is None:
        return {"measured": False, "why": "not measured: no photos from elsewhere were given"}
    if calibration is None:
        return {"measured": False, "why": "not measured: calibrate first"}
    others = outside.s[np.isfinite(outside.s).all(axis=1)]
    known = calibration.out_of_index
    own, foreign = (known.score(s, _evidence(geolocator, s)) for s in (inside, others))
    refused = known.abstain(foreign)
    return {
        "measured": True,
        "photos_inside": len(own),
        "photos_elsewhere": len(foreign),
        "unreadable": len(outside) - len(foreign),
        "auroc": outside_numbers(own, foreign, seed=seed, resamples=resamples),
        "level": known.level,
        "own_refused": share_of(known.abstain(own)),
        "elsewhere_noticed": share_of(refused),
    }


def _evidence(geolocator: Geolocator, s: Vectors) -> Floats:
    calibration = geolocator.calibration
    assert calibration is not None
    index = geolocator.index
    found = np.empty(len(s))
    for start in range(0, len(s), 32):
        some = s[start : start + 32]
        found[start : start + 32] = evidence_of(
            index.rs.scores(some),
            index.location.scores(some),
            calibration.weights,
            index.cells.area_m2,
        )
    return found
