"""Facts that travel with the weights of a model into indexes and answers."""

from __future__ import annotations

from dataclasses import dataclass

UNTRAINED_LICENCE = "Apache-2.0 (random weights)"


@dataclass(frozen=True)
class ModelInfo:
    """What travels with the weights into indexes and answers."""

    name: str
    """Short name for people."""
    licence: str
    """Licence of the weights, to be shown wherever their results are shown."""
    trained: bool
    """False for random weights: every result is then meaningless and must say so."""
    source: str
    """Where the weights came from."""
