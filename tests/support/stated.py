"""What a search states of its best guess, and what it would of discs too large to be stated."""

from __future__ import annotations

import numpy as np
import pytest

from gair.arrays import Floats
from indexer.search.answer import Answer
from indexer.search.scored import confidences, prior_shares
from indexer.search.space import SearchSpace


def stated_within(space: SearchSpace, answer: Answer, *, refined: bool = True) -> Floats:
    """(R,) how likely the best guess is within each calibrated radius.

    Those of an answer are checked to be these, and to leave out no disc but those that hold more
    than a third of the index.
    """
    assert space.calibration is not None
    assert answer.posterior is not None
    radii_m = space.calibration.radii_m
    best = answer.candidates[0]
    point = np.array([best.shown_lonlat_deg if refined else (best.lon_deg, best.lat_deg)])
    (all_said,) = confidences(space, answer.posterior[None], point, refined=refined)
    (share,) = space.masses_within(prior_shares(space)[None], point, radii_m)
    small = [n for n in range(len(radii_m)) if share[n] <= 1 / 3]
    assert [told.radius_m for told in answer.confidence] == [radii_m[n] for n in small]
    told = [told.probability for told in answer.confidence]
    assert told == pytest.approx(all_said[small], rel=1e-6)
    return np.asarray(all_said)
