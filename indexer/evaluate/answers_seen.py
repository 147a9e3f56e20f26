"""Posteriors of answers, seen while they are judged: what claims and membership need of them.

A posterior and what reference photos say of a photo take long to compute, and too much memory to
be kept for all photos. So whatever asks for them looks at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats, Ints, Vectors
from gair.processes.crew import shared_full
from indexer.evaluate.claim_evidence import Located, claims_about, each_claim
from indexer.ground.likelihood import GroundEvidence
from indexer.probability.known_claims import look_at_all
from indexer.probability.out_of_index import evidence_of
from indexer.search.scored import ratios_of

if TYPE_CHECKING:
    from indexer.search.space import SearchSpace


class AnswersSeen:
    """What was seen of the photos that were taken in the index, by the calibration's weights."""

    def __init__(self, space: SearchSpace, photos: Located, rows: Ints, seed: int) -> None:
        """Take photos that nothing was seen of.

        Args:
            space: of a calibrated index.
            photos: P of them, taken in it.
            rows: (P,) where they are among all that are judged, ascending.
            seed: of the claims.
        """
        assert space.calibration is not None
        self.claims = claims_about(space, photos, seed)
        """Claims about the photos; their scores are NaN until they are seen."""
        self.nats: Floats = shared_full(len(rows), np.nan)
        """(P,) how well any place explains each photo."""
        self._space, self._rows, self._weights = space, rows, space.calibration.weights

    def look(
        self,
        rows: Ints,
        scores: tuple[Vectors, Vectors],
        p: Floats,
        ground: GroundEvidence | None,
    ) -> None:
        """See some photos; those that were taken elsewhere are passed over.

        Args:
            rows: (B,) which, ascending: all that are judged between the first and the last.
            scores: (B, N) cosines of the imagery and of the location.
            p: (B, N) posteriors.
            ground: what reference photos say of these; None where they have no weight.
        """
        inside = np.flatnonzero(np.isin(rows, self._rows))
        if not len(inside):
            return
        first = int(np.searchsorted(self._rows, rows[inside[0]]))
        block = slice(first, first + len(inside))
        rs, location = (of_kind[inside] for of_kind in scores)
        ratios = ratios_of(ground)
        told = None if ratios is None else ratios[inside]
        area_m2 = self._space.area_m2
        self.nats[block] = evidence_of(rs, location, self._weights, area_m2, told)
        look_at_all(each_claim(self.claims), self._space.field, p[inside], block)
