"""Stress test of an index: what its answers say, and what is true, when photos are altered.

The photos of an evaluation are asked about as they are and under each of
:data:`indexer.evaluate.alterations.ALTERATIONS`, as a search is asked: every number here is of the
answers that people get. A promise that does not hold under an alteration must be withheld there.

Altered pictures carry no tags: a promise is withheld for how they look, never for a date.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gair.arrays import Bools, Floats
from gair.errors import PhotoError
from gair.geo import haversine_m
from gair.photos.photo import Photo, open_photo
from gair.progress import Progress
from indexer.evaluate.alterations import ALTERATIONS, LEFT_OUT, Alteration
from indexer.evaluate.bootstrap import Resamples
from indexer.evaluate.options import EvaluateOptions
from indexer.evaluate.probabilities import share_of

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
    asked: deque[tuple[int, str]] = deque()
    pictures = _pictures([photos.photos[row].path for row in rows], alterations, asked)
    weights = {"rs_weight": options.rs_weight, "location_weight": options.location_weight}
    whole = len(rows) * len(told)
    with Progress("stress", whole, "picture", quiet=options.quiet) as progress:
        for answer in geolocator.search_each(pictures, k=1, **weights):  # type: ignore[call-overload]
            number, key = asked.popleft()
            told[key].look(number, answer, photos.lonlat_deg[rows[number]], int(truth[number]))
            progress.advance(1)
    drawn = Resamples(photos.place_of_photo[rows], resamples=options.resamples, seed=options.seed)
    calibrated = options.query.score_weights(space.calibration) is not None
    return {
        "measured": True,
        "radius_m": RADIUS_M,
        "level": LEVEL,
        "calibrated": calibrated,
        "left_out": LEFT_OUT,
        "rows": [
            {"key": key, "about": about} | _numbers(told[key], drawn, calibrated)
            for key, about in abouts.items()
        ],
    }


def _pictures(
    paths: Sequence[Path], alterations: Sequence[Alteration], asked: deque[tuple[int, str]]
) -> Iterator[Photo]:
    """Each photo as it is and altered; which one that is goes to ``asked``."""
    for number, path in enumerate(paths):
        try:
            photo = open_photo(path)
        except PhotoError:  # it was there when its vector was made
            continue
        asked.append((number, AS_IT_IS))
        yield photo
        for alteration in alterations:
            asked.append((number, alteration.key))
            yield open_photo(alteration.alter(photo.rgb), name=photo.name)


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
