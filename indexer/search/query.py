"""Query of an index beside the photo: how many places, their weights and their prior."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict

from gair.errors import UsageError
from gair.geo import HALF_GLOBE_M
from gair.photos.sun import parse_moment
from indexer.probability.decisions import check_wanted
from indexer.probability.open_world import EVEN, check_prior
from indexer.search.weights import SearchWeights

if TYPE_CHECKING:
    from indexer.probability.calibration import Calibration
    from indexer.probability.posterior import ScoreWeights
    from indexer.search.prior import Prior
    from indexer.search.space import SearchSpace

MAX_WEIGHT = 1e6
"""Scores are float32; what matters of the weights is their ratio."""


_NUMBERS = (
    *("rs_weight", "location_weight", "merge_radius_m", "elsewhere_prior"),
    *("max_error_rate", "within_m"),
)
"""Fields that are numbers, or None."""


class QueryFields(TypedDict, total=False):
    """The fields of :class:`Query`, as keyword arguments."""

    k: int
    rs_weight: float | None
    location_weight: float | None
    ground_weight: float | None
    merge_radius_m: float | None
    prior: Prior | None
    refine: bool
    elsewhere_prior: float
    condition: str | None
    max_error_rate: float | None
    within_m: float
    taken_at: str | None


@dataclass(frozen=True)
class Query:
    """One question, for any photo."""

    k: int = 5
    """How many places."""
    rs_weight: float | None = None
    """Weight of the imagery's cosine; None: 1 if the location's is given, else as calibrated, or as
    the model's card says, or 1."""
    location_weight: float | None = None
    """Weight of the location's cosine; None: 0 if the imagery's is given, else as calibrated, or as
    the model's card says, or 0."""
    ground_weight: float | None = None
    """Weight of the log ratio of reference photos; 0: search without them. None: 0 if one of the
    others is given, else as calibrated, or what a search without calibration takes."""
    merge_radius_m: float | None = None
    """How far around a cell is its place: places are ranked by what is within, and are one and a
    half times as far apart; 0: each cell is a place. None: what the index suggests."""
    prior: Prior | None = None
    """What is known before the photo is looked at."""
    refine: bool = True
    """Whether to look between the centres of cells, where the index keeps its token maps."""
    elsewhere_prior: float = EVEN
    """How likely it is, before the photo is looked at, that it was not taken in the index."""
    condition: str | None = None
    """What the photo was taken under: a condition that the calibration photos' list names, such as
    ``night``. Its regions are those of such photos. None: what it looks like."""
    max_error_rate: float | None = None
    """Answer only where at most this share of such answers is wrong
    (:mod:`indexer.probability.decisions`); None: always answer."""
    within_m: float = 500.0
    """An answer farther than this from the truth is wrong, metres; beside ``max_error_rate``."""
    taken_at: str | None = None
    """When the photo was taken, for the sun over the places: ISO 8601 with its offset from UTC.
    None: as its file says. It changes no score."""

    def __post_init__(self) -> None:
        """Take numbers of NumPy and others as Python's own: JSON knows only those."""
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if type(value) is bool or not isinstance(value, numbers.Real):
                continue
            plain = int(value) if isinstance(value, numbers.Integral) else float(value)
            object.__setattr__(self, field.name, plain)

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: k, a weight, the radius or another field does not.
        """
        if not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1:
            raise UsageError(f"k is {self.k!r}: ask for one place or more, a whole number")
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and type(value) not in (int, float):
                raise UsageError(f"`{name}` is {value!r}: give a number")
        if (own := self.own_weights) is not None:
            pair = (own.rs, own.location)
            if not all(0 <= w <= MAX_WEIGHT for w in pair) or not any(pair):  # NaN fails, too
                raise UsageError(
                    f"weights {own.rs:g} (rs) and {own.location:g} (location): both must be 0 to "
                    f"{MAX_WEIGHT:g} and one of them above 0"
                )
        ground = self.ground_weight
        if ground is not None and not 0 <= ground <= MAX_WEIGHT:
            raise UsageError(f"`ground_weight` {ground:g}: it must be 0 to {MAX_WEIGHT:g}")
        check_prior(self.elsewhere_prior)
        radius_m = self.merge_radius_m
        if radius_m is not None and not 0 <= radius_m <= HALF_GLOBE_M:  # NaN fails, too
            raise UsageError(
                f"merge radius {radius_m} m: it must be 0 or more, and at most {HALF_GLOBE_M:.0f}, "
                "half the way around the globe"
            )
        if self.max_error_rate is not None:
            check_wanted(self.max_error_rate, self.within_m)
        if self.taken_at is not None:
            parse_moment(self.taken_at)

    @property
    def own_weights(self) -> SearchWeights | None:
        """Those that the query gives; None where it gives none of imagery and location."""
        rs, location = self.rs_weight, self.location_weight
        if rs is None and location is None:
            return None
        ground = self.ground_weight or 0.0
        return SearchWeights(1.0 if rs is None else rs, location or 0.0, "you", ground)

    def weights(self, space: SearchSpace) -> SearchWeights:
        """Of imagery, location and reference photos, as scores are weighed.

        Raises:
            UsageError: reference photos are given a weight, and the index has none.
        """
        weights, ground = self.own_weights or space.default_weights, self.ground_weight
        if ground and space.ground is None:
            raise UsageError(
                f"`ground_weight` {ground:g}: index {space.index.name!r} has no reference photos: "
                "add some with python -m indexer add-photos, or leave it out"
            )
        if ground is None or ground == weights.ground:
            return weights
        return weights._replace(ground=ground, source="you")

    def score_weights(self, calibration: Calibration | None) -> ScoreWeights | None:
        """How scores become probabilities; None where they do not.

        A calibration holds for its own weights only.
        """
        if calibration is None or self.own_weights:
            return None
        ground = self.ground_weight
        own = ground is not None and ground != calibration.weights.ground_share
        return None if own else calibration.weights
