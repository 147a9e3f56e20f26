"""Posteriors seen while answers are judged, against a pass over the photos of its own."""

from __future__ import annotations

import numpy as np
import pytest
from model_city import calibrated_city

from gair.arrays import Ints
from gair.processes.crew import work_off
from indexer.evaluate.answers_seen import AnswersSeen
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.claim_evidence import Located, evidence_report
from indexer.search.scored import evidence, posteriors, scores_for

PHOTOS = 120


@pytest.mark.parametrize("forked", [False, True])
def test_what_was_seen_block_by_block_is_what_a_pass_of_its_own_sees(forked: bool) -> None:
    """Whether threads see it, or forked children."""
    city = calibrated_city()
    assert city.calibration is not None
    weights = city.calibration.weights
    listed = city.photos(PHOTOS, 41)
    judged = np.setdiff1d(np.arange(PHOTOS), [5, 6])  # these have no vector
    inside = np.setdiff1d(judged, [0, 30, 31, 119])  # and these are taken for photos of elsewhere
    cell_row = city.cell_row(listed.lonlat_deg[inside])
    photos = Located(listed.s[inside], listed.lonlat_deg[inside], cell_row)
    seen = AnswersSeen(city, photos, inside, 0)

    def look(rows: Ints) -> int:
        scores = scores_for(city, listed.s[rows], weights)
        seen.look(rows, scores, posteriors(city, *scores, weights), None)
        return len(rows)

    blocks = np.split(judged, [28, 30, 90])
    done: list[int] = []
    work_off(look, blocks, 2, forked=forked, done=done.append)
    assert done == [28, 2, 60, 28]
    assert seen.nats == pytest.approx(evidence(city, photos.s, weights), abs=1e-5)
    drawn = Resamples(np.arange(len(inside)), resamples=20)
    alone = evidence_report(city, photos, None, drawn)
    assert alone["measured"]
    together = evidence_report(city, photos, None, drawn, seen.claims)
    for one, other in zip(alone["rows"], together["rows"], strict=True):
        for name in ("cllr", "median_true", "median_false"):
            assert one[name] == pytest.approx(other[name], rel=1e-4)
