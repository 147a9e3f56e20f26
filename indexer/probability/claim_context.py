"""Context of a claim changes what its verdict is worth: whose place it is, and how many were tried.

A place that the answer itself gave is no test of the answer: it was chosen because it does well.
Of many claims on one photo, some false one does well by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gair.arrays import Floats
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.probability.cautions import Caution
from indexer.probability.evidence import prior_odds_of

_RIM = 0.05
"""Of a disc: less of it outside the index is not worth a word."""


@dataclass(frozen=True)
class Context:
    """What the asker knows beside the photo and the place."""

    prior_odds: float | None = None
    """Of the claim, before the photo is looked at; None for not given."""
    own_lonlat_deg: Floats | None = None
    """(K, 2) the answer's own places, best first; None for not known."""
    own_radius_m: float = 0.0
    """How far such a place reaches, where that is farther than the claim's radius."""
    claim_number: int = 1
    """Which claim on the photo this is."""

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: odds that are not above 0, or a number below 1.
        """
        prior_odds_of(self.prior_odds, None)
        if self.claim_number < 1:
            raise UsageError(f"`claim_number` is {self.claim_number}: the first claim is 1")

    def own_rank(self, lonlat_deg: Floats, radius_m: float) -> int | None:
        """Which of the answer's own places lies within a claim (2,), 1 for the best; or None."""
        if self.own_lonlat_deg is None:
            return None
        away_m = haversine_m(self.own_lonlat_deg, lonlat_deg)
        near = np.flatnonzero(away_m <= max(radius_m, self.own_radius_m))
        return int(near[0]) + 1 if len(near) else None

    def cautions(self, own_rank: int | None, rim_share: float, level: float) -> tuple[Caution, ...]:
        """What must be said beside a verdict.

        Args:
            own_rank: of :meth:`own_rank`.
            rim_share: of the claim's disc outside the index.
            level: share of random false claims that are called consistent.
        """
        said = []
        if own_rank is not None:
            said.append(
                Caution(
                    f"this is no test of the answer: the claim is its own place {own_rank}, and "
                    "its places do well even where they are wrong",
                    "own_place",
                )
            )
        if (number := self.claim_number) > 1:
            said.append(
                Caution(
                    f"{ordinal(number)} claim tested on this photo: of {number} random false "
                    f"claims, one is called consistent for up to {min(1.0, number * level):.0%} "
                    "of photos",
                    "many_claims",
                )
            )
        if rim_share >= _RIM:
            said.append(
                Caution(
                    f"{rim_share:.0%} of the claimed disc lies outside the index: nothing speaks "
                    "for or against that part",
                    "claim_at_rim",
                )
            )
        return tuple(said)


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``11th``."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
