"""Caution beside an answer: a sentence for people, with a code for programs.

A caution is its text, so it is printed, compared and escaped like any other; its ``code`` stays the
same when the words are improved. :data:`CODES` is the table of them.
"""

from __future__ import annotations

from collections.abc import Mapping

INDEX_NOTE = "index_note"
"""Of what an index says of itself, and of any sentence that has no code."""
UNTRAINED = "untrained_model"

CODES: Mapping[str, str] = {
    "calibrated_for_centres": "chances hold for the centre of a cell, not for its refined point",
    "calibrated_for_best_only": "chances of all places but the best one were not measured",
    "calibrated_on_few_places": "too few places were measured at, so nothing is promised",
    "calibrated_on_unknown_places": "nobody counted the places measured at: nothing is promised",
    "cells_only": "the exported photo tower answered, so places are centres of cells, not refined",
    "claim_at_rim": "part of the claimed disc lies outside the index",
    "condition_pooled": "too few places of the named condition were measured at, so regions are "
    "those of all photos",
    "conditions_unknown": "nobody measured what the calibration photos were like, so a photo "
    "unlike them is not noticed",
    "copies": "some of the photos are copies of others, and count once",
    "exchanged": "the claim lies in the index with latitude and longitude exchanged only",
    "imagery_alone": "nobody gave the location a weight, so it has none",
    INDEX_NOTE: "what the index says of itself: gaps, imagery, its build",
    "many_claims": "several claims were tested on one photo, so a false one may do well by chance",
    "no_content": "there is nothing to see in the photo, so nothing is promised of it",
    "not_in_index": "the photo looks like nothing in the index; nothing is promised of it",
    "other_reference_photos": "the reference photos are not those that were calibrated with",
    "own_merge_radius": "chances of places were measured at another radius",
    "own_place": "the claim is one of the answer's own places, which is no test of the answer",
    "own_weights": "the index is calibrated for other weights, so scores only rank places",
    "photo_bars": "the picture has black bars, which the model sees, too",
    "photo_end_missing": "the file lacks the end marker of a JPEG and nothing else",
    "photo_gps_half": "the photo's tags name a place without its hemispheres, which is not used",
    "photo_gps_xmp": "the photo names a place in XMP that EXIF does not name, or another one",
    "photo_gps_zeroed": "the photo's tags name the coordinates 0, 0, which is no place",
    "photo_panorama": "the picture looks like a 360-degree panorama, which the model sees squeezed",
    "prior": "what was said of the whole index was measured without a prior",
    "reference_photos_not_weighed": "reference photos came after the calibration: no weight",
    "several_photos": "chances and regions were measured on single photos",
    "shortlist": "not every cell was scored",
    "uncalibrated": "nobody measured how far answers can be believed, so scores only rank places",
    "unlike_calibration": "the photo is unlike the calibration photos in some condition, such as "
    "its brightness or its date, so nothing is promised of it",
    UNTRAINED: "the model was never trained, so places mean nothing",
}
"""What each code means."""


class Caution(str):
    """A sentence to show beside an answer."""

    code: str
    """One of :data:`CODES`."""

    def __new__(cls, text: str, code: str = INDEX_NOTE) -> Caution:
        """The sentence with its code.

        Raises:
            KeyError: the table has no such code.
        """
        caution = super().__new__(cls, text)
        CODES[code]
        caution.code = code
        return caution


def as_caution(text: str) -> Caution:
    """A sentence with its code; one without gets that of what an index says of itself."""
    if isinstance(text, Caution):
        return text
    return Caution(text, UNTRAINED if "untrained" in text.lower() else INDEX_NOTE)


def coded(texts: tuple[str, ...]) -> list[dict[str, str]]:
    """Sentences as JSON has them: ``code`` and ``text``."""
    return [{"code": as_caution(text).code, "text": str(text)} for text in texts]
