"""Weights of a search: how much imagery and location count in a score, and who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from indexer.index.manifest import ModelRecord
    from indexer.probability.calibration import Calibration

Source = Literal["calibration", "model card", "you", "default"]
"""Who says how much a cosine counts."""

SAID: dict[str, str] = {
    "calibration": "by calibration",
    "model card": "by the model's card",
    "you": "by you",
    "default": "by default",
}
"""The same for people."""


class SearchWeights(NamedTuple):
    """What the cosines of imagery and location are multiplied with before they are added."""

    rs: float
    location: float
    source: Source
    ground: float = 0.0
    """Of the log ratio of reference photos, beside the two cosines."""

    @property
    def said(self) -> str:
        """In words, such as ``imagery 1, location 0 (by default)``."""
        return weights_said(self.rs, self.location, self.source, self.ground)


IMAGERY_ALONE = SearchWeights(1.0, 0.0, "default")
"""Of a model whose card says nothing. Location embeddings of a model that was not trained where it
is asked cost more than they give, and nothing shows which kind of model this is."""


def default_weights(
    model: ModelRecord, calibration: Calibration | None, ground: float = 0.0
) -> SearchWeights:
    """Of a search that is given none: those of the calibration, else of the model's card.

    Args:
        model: what the index says of the model that built it.
        calibration: of the index; None where there is none.
        ground: of reference photos, where no calibration says it.
    """
    if calibration is not None:
        weights = calibration.weights
        return SearchWeights(*weights.shares, "calibration", weights.ground_share)
    if model.location_weight is None:
        return IMAGERY_ALONE._replace(ground=ground)
    total = 1 + model.location_weight
    return SearchWeights(1 / total, model.location_weight / total, "model card", ground)


def weights_said(rs: float, location: float, source: str, ground: float = 0.0) -> str:
    """Weights in words: see :attr:`SearchWeights.said`."""
    photos = f", reference photos {ground:.3g}" if ground else ""
    return f"imagery {rs:.3g}, location {location:.3g}{photos} ({SAID[source]})"
