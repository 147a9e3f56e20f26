"""Basis of an answer: how many photos of how many places its rates were measured on, and when.

A rate holds for photos of places drawn like those it was measured at. A hundred photos of one
street are one place: they say nothing about the next street.
"""

from __future__ import annotations

from dataclasses import dataclass

from indexer.probability.cautions import Caution

FEWEST_PLACES = 100
"""Places below which nothing is promised."""

OTHER_REFERENCES = Caution(
    "calibrated with other reference photos than the index has now: what was measured with those "
    "is not promised with these; calibrate again with python -m indexer calibrate",
    "other_reference_photos",
)
NOT_WEIGHED = Caution(
    "calibrated before the index had its reference photos, so they count nothing; calibrate again "
    "with python -m indexer calibrate",
    "reference_photos_not_weighed",
)
UNCOUNTED = Caution(
    "calibrated before places were counted: its photos may be of a few streets only, so nothing is "
    "promised; calibrate again with python -m indexer calibrate",
    "calibrated_on_unknown_places",
)


@dataclass(frozen=True)
class GroundBasis:
    """The reference photos that something was measured with."""

    photos: int
    content_sha256: str
    """Of the set."""
    apart_m: float
    """As near to a photo as this they were left out as evidence of it, metres."""
    left_out: dict[str, int]
    """Pairs of a photo and a reference photo that was left out for it, by reason."""
    of_photos: int
    """How many photos something was left out for."""


@dataclass(frozen=True)
class Basis:
    """What the probabilities, regions and rates of an answer rest on."""

    photos: int
    """Photos whose place is known."""
    places: int | None
    """Places or sequences that they are of; None in a calibration from before these were counted.
    """
    created_utc: str
    """When they were measured, ISO 8601."""

    @property
    def said(self) -> str:
        """The basis in words."""
        places = "an unknown number of" if self.places is None else f"{self.places:,}"
        return f"{self.photos:,} photos of {places} places, {self.created_utc[:10]}"

    @property
    def doubt(self) -> str:
        """Why it promises nothing; empty where it does."""
        if self.places is None:
            return UNCOUNTED
        if self.places < FEWEST_PLACES:
            return Caution(
                f"calibrated on {self.photos:,} photos of {self.places:,} places: regions, "
                f"confidences and verdicts are promised from {FEWEST_PLACES} places on; calibrate "
                "with photos of more streets",
                "calibrated_on_few_places",
            )
        return ""
