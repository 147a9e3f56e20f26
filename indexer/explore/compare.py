"""Comparison of two photos: how alike the model finds them, and how likely they are of one place.

The cosine of their vectors says how alike they are. A calibrated index knows from its calibration
photos how often pairs within 200 m of each other are as alike, and how often pairs farther apart in
the index are (:class:`indexer.probability.likelihood_ratios.PairRatio`). The ratio r of both makes
of a prior probability p the chance p r / (p r + 1 - p).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from indexer.probability.calibration import AGAIN
from indexer.probability.cautions import coded
from indexer.probability.conditions import in_words, unlike_caution
from indexer.probability.evidence import prior_odds_of, support_in_words
from indexer.probability.likelihood_ratios import FEWEST_PLACES, SAME_PLACE_M, PairRatio
from indexer.probability.open_world import EVEN
from indexer.search.scored import Seen, Standing, standing_of

if TYPE_CHECKING:
    from indexer.search.geolocator import Geolocator, PhotoSource
    from indexer.search.space import SearchSpace

SCHEMA_VERSION = 1
"""Of :meth:`PhotoPair.to_dict`. Raised when a field changes its meaning or goes away."""
GIVEN_BOTH = "if both photos were taken in this index"
"""What every chance of a pair holds under."""


@dataclass(frozen=True)
class PhotoPair:
    """Two photos as the model of an index sees them."""

    index: str
    """Name of the index."""
    build: str
    """Of its serving build."""
    model: str
    """What made the vectors."""
    model_licence: str
    """Terms of the model."""
    runtime: str
    """What the model encoded both by: ``torch``, or ``onnx``, the exported photo tower."""
    photos: tuple[str, ...]
    """Names of both."""
    photo_sha256: tuple[str, ...]
    """Of their files."""
    cosine: float
    """Of their vectors: 1 for the same picture."""
    radius_m: float
    """What counts as one place: taken within so many metres of each other."""
    probability: float | None
    """That they were: the prior after the likelihood ratio. None where ``why`` says so."""
    prior_probability: float
    """The same before they are looked at."""
    chance_level: float
    """How likely two places anywhere in the index are as near as that to each other."""
    likelihood_ratio: float | None
    """How many times as often photos of one place are as alike as photos of different places."""
    limit: float | None
    """The largest ratio that the calibration can show, and one over the smallest."""
    support: str | None
    """The ratio in words, after the ENFSI scale, and for which side."""
    pairs: int | None
    """Pairs of calibration photos of one place that it rests on; None where none were counted."""
    places: int | None
    """Places that these are of."""
    other_pairs: int | None
    """Pairs of different places."""
    auroc: float | None
    """How often a pair of one place is more alike than one of different places; 0.5 is chance."""
    given: str
    """What the probability holds under."""
    why: str
    """Why there is no probability; empty where there is."""
    warnings: tuple[str, ...]
    """What to know before believing it."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types, with ``schema_version``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["photos"], values["photo_sha256"] = list(self.photos), list(self.photo_sha256)
        values["warnings"] = coded(self.warnings)
        return {"schema_version": SCHEMA_VERSION, **values}


def compare_photos(
    geolocator: Geolocator,
    photo_a: PhotoSource,
    photo_b: PhotoSource,
    *,
    prior_probability: float = EVEN,
) -> PhotoPair:
    """How alike two photos are, and how likely they were taken within 200 m of each other.

    Args:
        geolocator: an open index; the chance needs a calibrated one.
        photo_a: as :meth:`indexer.search.geolocator.Geolocator.search` takes it.
        photo_b: the same.
        prior_probability: that they were, before they are looked at; a half says that nothing is
            known of it.

    Raises:
        PhotoError: a photo cannot be read.
        UsageError: the prior makes no sense.
    """
    prior_odds_of(None, prior_probability)
    first, second = geolocator.seen([photo_a, photo_b])
    return compare_seen(geolocator, first, second, prior_probability)


def compare_seen(
    geolocator: Geolocator, first: Seen, second: Seen, prior_probability: float = EVEN
) -> PhotoPair:
    """The same of two photos that passed the encoder, one each."""
    space = geolocator.space
    measured = None if space.calibration is None else space.calibration.pairs
    unlike: tuple[str, ...] = ()
    why = _why_none(space, measured)
    if len(Seen.together([first, second]).distinct().photos) == 1:
        why = "both are the same picture"
    if not why:
        standings = [_standing(geolocator, photo) for photo in (first, second)]
        unlike = tuple(dict.fromkeys(name for one in standings for name in one.unlike))
        why = _refused(first, second, *(one.refused for one in standings))
    cosine = float(first.s[0] @ second.s[0])
    ratio = probability = None
    if not why and measured is not None:
        ratio = math.exp(float(measured.log_ratio(cosine)))
        odds = prior_odds_of(None, prior_probability)
        assert odds is not None
        probability = ratio * odds / (1 + ratio * odds)
    manifest, radius_m = (
        space.index.manifest,
        SAME_PLACE_M if measured is None else measured.radius_m,
    )
    area_m2 = float(space.field.area_m2.sum())
    curve = None if measured is None else measured.ratio
    return PhotoPair(
        index=space.index.name,
        build=manifest.build,
        model=manifest.model.name,
        model_licence=manifest.model.licence,
        runtime=space.runtime,
        photos=(*first.names, *second.names),
        photo_sha256=(*first.sha256, *second.sha256),
        cosine=cosine,
        radius_m=radius_m,
        probability=probability,
        prior_probability=float(prior_probability),
        chance_level=min(1.0, math.pi * radius_m**2 / area_m2),
        likelihood_ratio=ratio,
        limit=None if ratio is None or curve is None else curve.limit,
        support=None
        if ratio is None
        else support_in_words(ratio).replace("the claim", "one place"),
        pairs=None if measured is None else measured.pairs,
        places=None if measured is None else measured.places,
        other_pairs=None if measured is None else measured.other_pairs,
        auroc=None if measured is None else measured.auroc,
        given=_given(unlike),
        why=why,
        warnings=(*manifest.warnings, *([unlike_caution(unlike)] * bool(unlike))),
    )


def _why_none(space: SearchSpace, measured: PairRatio | None) -> str:
    """Why the index gives no chance of any pair; empty where it does."""
    if space.calibration is None:
        return "the index is not calibrated: run python -m indexer calibrate"
    if space.calibration.doubt:
        return space.calibration.doubt
    if measured is None:
        return f"the calibration is from before pairs of photos were measured; {AGAIN}"
    if measured.ratio is None:
        return (
            f"calibrated on {measured.pairs:,} pairs of photos within {measured.radius_m:g} m of "
            f"each other, of {measured.places:,} places and of different walks: it takes "
            f"{FEWEST_PLACES} places; calibrate with photos of more streets"
        )
    return ""


def _standing(geolocator: Geolocator, photo: Seen) -> Standing:
    space = geolocator.space
    scored = geolocator.every_cell(photo)
    ground = space.ground_evidence(scored.s, scored.cosines, space.weights, scored.left_out)
    return standing_of(space, scored, ground=ground)


def _refused(first: Seen, second: Seen, first_refused: bool, second_refused: bool) -> str:
    """Which of two photos is not of the index; empty for none."""
    if first_refused and second_refused:
        return "both photos look like nothing in this index"
    if not (first_refused or second_refused):
        return ""
    return f"{(first if first_refused else second).names[0]} looks like nothing in this index"


def _given(unlike: tuple[str, ...]) -> str:
    """What the chance holds under."""
    if not unlike:
        return GIVEN_BOTH
    return f"{GIVEN_BOTH}, and if their {in_words(unlike)} made no difference"
