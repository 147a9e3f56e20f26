"""Stress test of an index: what its answers say, and what is true, when photos are altered.

The photos of an evaluation are asked about as they are and under each of
:data:`indexer.photos.alterations.ALTERATIONS`, as a search is asked: every number here is of the
answers that people get. A promise that does not hold under an alteration must be withheld there.
Reference photos that are a photo's own evidence (:mod:`indexer.ground.left_out`) are left out for
the photo and for all that is made of it.

Altered pictures carry no tags: a promise is withheld for how they look, never for a date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Bools, Floats, Ints
from gair.errors import PhotoError
from gair.geo import haversine_m
from gair.photos.photo import Photo, open_photo
from gair.progress import Progress
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.probabilities import share_of
from indexer.ground.left_out import own_references
from indexer.photos.alterations import ALTERATIONS, LEFT_OUT, Alteration
from indexer.search.query import Query
from indexer.search.ranking import finished

if TYPE_CHECKING:
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator

Numbers = dict[str, Any]

AS_IT_IS = "as it is"
RADIUS_M = 200.0
"""How near counts as found, and the radius of the chance that is compared with that."""
LEVEL = 0.9
"""Of the region whose coverage is measured."""
NOT_ASKED = "not measured: pass --stress"
NO_PHOTOS = "not measured: no photo was taken in the index"


@dataclass(frozen=True, eq=False)
class _Told:
    """What answers said of (P,) photos, and what was so."""

    asked: Bools
    near: Bools
    said: Floats
    """Chance within the radius; NaN where there was none."""
    promised: Bools
    refused: Bools
    covered: Bools
    unlike: list[tuple[str, ...]]

    @classmethod
    def room_for(cls, count: int) -> _Told:
        asked, near, promised, refused, covered = np.zeros((5, count), dtype=np.bool_)
        said = np.full(count, np.nan)
        return cls(asked, near, said, promised, refused, covered, [()] * count)

    def look(self, number: int, answer: Answer, lonlat_deg: Floats, truth_row: int) -> None:
        """Take the answer about one photo."""
        self.asked[number] = True
        best = np.array(answer.candidates[0].shown_lonlat_deg)
        self.near[number] = haversine_m(best, lonlat_deg) <= RADIUS_M
        if not answer.calibrated:
            return
        region = answer.region(LEVEL)
        self.said[number] = next(
            (c.probability for c in answer.confidence if c.radius_m == RADIUS_M), np.nan
        )
        self.promised[number], self.refused[number] = region.promised, region.refused
        self.covered[number] = truth_row in region.rows
        self.unlike[number] = answer.unlike


def stress_report(
    geolocator: Geolocator,
    photos: PhotoVectors,
    options: EvaluateOptions | None = None,
    alterations: Sequence[Alteration] = ALTERATIONS,
) -> Numbers:
    """The table, as a report has it.

    Args:
        geolocator: of the index.
        photos: listed photos; those that were taken in the index are asked about.
        options: weights, seed and resamples.
        alterations: the rows of the table after the first, which is of the photos as they are.
    """
    options = options or EvaluateOptions()
    space = geolocator.space
    rows = np.flatnonzero(photos.usable)
    truth = space.cell_row(photos.lonlat_deg[rows]) if len(rows) else rows
    rows, truth = rows[truth >= 0], truth[truth >= 0]
    if not len(rows):
        return {"measured": False, "why": NO_PHOTOS}
    abouts = {AS_IT_IS: "nothing is changed"} | {one.key: one.about for one in alterations}
    told = {key: _Told.room_for(len(rows)) for key in abouts}
    left_out = None
    if space.ground is not None:
        references = space.ground.comparison.photos
        left_out = own_references(references, photos.taken(rows), options.ground_apart_m)
    # Its answers are of one place each, and k is 1: people look at the best guess.
    query = replace(options.query, k=1)
    query.check()
    whole = len(rows) * len(told)
    with Progress("stress", whole, "picture", quiet=options.quiet) as progress:
        for number, row in enumerate(rows.tolist()):
            try:
                photo = open_photo(photos.photos[row].path)
            except PhotoError:  # it was there when its vector was made
                continue
            altered = [open_photo(one.alter(photo.rgb), name=photo.name) for one in alterations]
            own = None if left_out is None else left_out.rows[number]
            answers = _answers(geolocator, [photo, *altered], own, query)
            for of_key, answer in zip(told.values(), answers, strict=True):
                of_key.look(number, answer, photos.lonlat_deg[row], int(truth[number]))
            progress.advance(len(answers))
    drawn = Resamples(photos.place_of_photo[rows], resamples=options.resamples, seed=options.seed)
    calibrated = options.query.score_weights(space.calibration) is not None
    return {
        "measured": True,
        "radius_m": RADIUS_M,
        "level": LEVEL,
        "calibrated": calibrated,
        "left_out": LEFT_OUT,
        "own_references": "" if left_out is None else left_out.said,
        "rows": [
            {"key": key, "about": about} | _numbers(told[key], drawn, calibrated)
            for key, about in abouts.items()
        ],
    }


def _answers(
    geolocator: Geolocator, pictures: Sequence[Photo], own: Ints | None, query: Query
) -> list[Answer]:
    """Answers about a photo and what was made of it, without its own reference photos."""
    left_out = None if own is None else (own,)
    each = [replace(seen, left_out=left_out) for seen in geolocator.seen(pictures)]
    return finished([geolocator.draft(seen, query) for seen in each])


def _numbers(told: _Told, of_all: Resamples, calibrated: bool) -> Numbers:
    """One row of the table; without a calibration, nothing was said."""
    looked = np.flatnonzero(told.asked)
    drawn = of_all.of(looked)
    numbers = {
        "photos": drawn.photos,
        "places": drawn.places,
        "unreadable": of_all.photos - drawn.photos,
        "within": share_of(told.near[looked], drawn),
    }
    if not calibrated:
        return numbers
    kept = looked[told.promised[looked]]
    spoken = looked[np.isfinite(told.said[looked])]
    unlike = Counter(name for row in looked.tolist() for name in told.unlike[row])
    return numbers | {
        "said": of_all.of(spoken).mean(told.said[spoken]).to_json(),
        "promised": share_of(told.promised[looked], drawn),
        "refused": share_of(told.refused[looked], drawn),
        "unlike": {name: count / max(1, len(looked)) for name, count in unlike.most_common()},
        "covered": share_of(told.covered[kept], of_all.of(kept)),
        "covered_of_all": share_of(told.covered[looked], drawn),
    }
