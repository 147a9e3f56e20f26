"""Answer of a search: ranked places, and how far to believe them.

An answer of a calibrated index says how likely its places are, where the photo was taken with 50
and 90 % (:meth:`Answer.region`), and whether it looks like anything in the index at all. An answer
of another index ranks places, and says that it does no more.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from gair.errors import UsageError
from gair.geo import EARTH_RADIUS_M
from gair.photos.sun import Suns, suns_over
from indexer.ground.nearby import GroundPhoto
from indexer.probability.cautions import Caution, coded
from indexer.probability.open_world import Elsewhere as Elsewhere
from indexer.probability.out_of_index import Membership as Membership

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from indexer.probability.basis import Basis
    from indexer.probability.decisions import Decision
    from indexer.search.outlines import Region, RegionMaker

SCHEMA_VERSION = 3
"""Of :meth:`Answer.to_dict`. Raised when a field changes its meaning or goes away."""

METRES_PER_DEG = EARTH_RADIUS_M * math.pi / 180
_MOST_DECIMALS = 5

UNCALIBRATED = Caution(
    "uncalibrated: scores rank places, those of the cells around a place together, and are not "
    "probabilities; python -m indexer calibrate makes them so",
    "uncalibrated",
)
BY_IMAGERY_ALONE = Caution(
    "searched by imagery alone: the model's card gives no weight for location; calibrate, or give "
    "a location weight of your own",
    "imagery_alone",
)
CELLS_ONLY = Caution(
    "places are centres of cells: what reads between them needs the runtime torch", "cells_only"
)
GIVEN_HERE = "if it was taken in this index"
"""What every probability, region and confidence holds under."""
NOT_IN_INDEX = Caution(
    "this photo looks like nothing in this index: it was probably taken elsewhere, or shows no "
    "street; nothing is promised, and the places are the least unlikely ones",
    "not_in_index",
)
NO_CONTENT = Caution(
    "there is nothing to see in this photo: nothing is promised, and its places say no more than "
    "chance",
    "no_content",
)


@dataclass(frozen=True)
class Candidate:
    """One place a photo may show: the best cell of a neighbourhood."""

    rank: int
    """1 for the best."""
    lon_deg: float
    lat_deg: float
    h3_cell: str
    """H3 address of the cell, as hexadecimal text."""
    row: int
    """Row of the cell in the index, the same in its table and its vector stores."""
    score: float
    """Weighted sum of the cosines below, and of ``ground_score`` where there is one; comparable
    within one answer only. Of the cell alone: ranks go by all cells within ``merge_radius_m``."""
    rs_score: float
    """Cosine of the photo with the imagery at the cell, localised by the INR."""
    location_score: float
    """Cosine of the photo with the location embedding of the cell."""
    merged_cells: int
    """How many other cells among the best ones were merged into this one."""
    merged_within_m: float
    """Distance from the cell to the farthest cell merged into it, metres; 0 for none."""
    probability: float | None = None
    """That the photo was taken within the answer's ``merge_radius_m`` of the place as it is shown,
    if it was taken in the index: as often as was measured on the calibration photos. Those of all
    places add up to less than 1. None where the index is not calibrated, and where the disc holds
    over a third of what was searched."""
    interval: tuple[float, float] | None = None
    """95 % interval of the probability, by the number of calibration photos; None with it."""
    chance_level: float | None = None
    """What the disc holds before the photo is looked at: how likely any such place is."""
    refined_lonlat_deg: tuple[float, float] | None = None
    """The mean place under the likelihood around the cell, read between the centres of cells; None
    where it was not asked for."""
    ground_score: float | None = None
    """What reference photos say of the cell: the log of how much more those around look like the
    photo than all do, 0 where none stands near. None where they have no weight."""
    ground_photos: tuple[GroundPhoto, ...] = ()
    """The reference photos around the place that look most like the photo, to check by eye."""

    @property
    def shown_lonlat_deg(self) -> tuple[float, float]:
        """Where the place is shown, longitude and latitude: refined, or its cell's centre."""
        return self.refined_lonlat_deg or (self.lon_deg, self.lat_deg)


@dataclass(frozen=True)
class Confidence:
    """How likely the best guess is near enough."""

    radius_m: float
    probability: float
    """That the photo was taken within the radius of the best guess, if it was taken in the index:
    as often as was measured on the calibration photos. The guess is the first candidate's refined
    point, or the centre of its cell where there is none; a warning says so where the calibration
    knows centres only."""
    interval: tuple[float, float] = (0.0, 1.0)
    """95 % interval of the probability, by the number of calibration photos."""
    chance_level: float = 0.0
    """What the disc holds before the photo is looked at: how likely any such place is."""


@dataclass(frozen=True)
class Answer:
    """Where a photo may have been taken, and what to know before believing it."""

    photo: str
    """What the photo was called by who asked, a path or another name; of several, the first."""
    candidates: tuple[Candidate, ...]
    index: str
    """Name of the index."""
    build: str
    """Identifier of the build that answered."""
    cells_searched: int
    """Cells that were scored: all of the index, or its part (:mod:`indexer.search.shortlist`)."""
    rs_weight: float
    location_weight: float
    model: str
    """Name of the model."""
    model_licence: str
    trained: bool
    """False when the model's weights were never trained: candidates then mean nothing."""
    attribution: str
    """Attribution that the imagery asks for."""
    warnings: tuple[str, ...]
    """Sentences to show beside the candidates; in JSON each is an object of ``code``
    (:mod:`indexer.probability.cautions`) and ``text``."""
    photo_gps_lonlat_deg: tuple[float, float] | None
    """Coordinates the photo's tags carry; disclosed, never used for the scores."""
    weights_by: str = "you"
    """Who gave the two weights: ``calibration``, ``model card``, ``you``, or ``default``."""
    runtime: str = "torch"
    """What the model encoded the photo by: ``torch``, or ``onnx``, the exported photo tower."""
    ground_weight: float | None = None
    """Weight of ``ground_score``; None where the index has no reference photos, or they have no
    weight."""
    merge_radius_m: float = 0.0
    """Cells closer than this are one place; where probabilities are given, discs of this radius
    are, and no two of them overlap."""
    photos: tuple[str, ...] = ()
    """Names of all photos of the one place that is asked for."""
    photo_sha256: tuple[str, ...] = ()
    """SHA-256 of the bytes of each of these files, hexadecimal; empty for one given as pixels."""
    calibrated: bool = False
    """Whether probabilities, regions and confidences are given."""
    temperature: float | None = None
    """What the score is divided by before it becomes a likelihood."""
    confidence: tuple[Confidence, ...] = ()
    """Of the best guess, by radius; discs that hold over a third of what was searched are left
    out."""
    regions: tuple[dict[str, Any], ...] = ()
    """Size of the 50 and 90 % regions: level, mass, km2, cells, promised, refused."""
    membership: Membership | None = None
    """Whether the photo is from the index; None where that was not tested."""
    elsewhere: Elsewhere | None = None
    """That the photo was not taken in the index; None where that was not tested."""
    unlike: tuple[str, ...] = ()
    """Conditions in which the photo is unlike the calibration photos, such as ``brightness`` or
    ``date``, and looks that it has and they have not, such as ``fog``: then nothing is promised of
    it. Empty where it is alike, and where the calibration is from before conditions were measured,
    which a warning says."""
    given: str = ""
    """What every probability, region and confidence holds under; empty where there are none."""
    error_m: float | None = None
    """Half of such photos were taken nearer than this to the best guess: the first calibrated
    radius with a chance of one half, or the radius of a disc as large as the 50 % region; None
    where the index is not calibrated."""
    calibration: Basis | None = None
    """How many photos of how many places all of that was measured on, and when; None where the
    answer is not calibrated."""
    prior: str = ""
    """What was known before the photo was looked at; empty for nothing."""
    decision: Decision | None = None
    """What is answered to somebody who can bear so many wrong answers; None where nobody asked."""
    taken_at: str | None = field(default=None, repr=False)
    """When the photo was taken, as who asked or its file says; None where neither does. In the JSON
    it is ``sun``."""
    decided_region: Region | None = field(default=None, repr=False, compare=False)
    """The region that the decision answers with; None where it is of another kind. Not part of the
    JSON."""
    posterior: npt.NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    """(N,) probability of each row of the index; None where scores are all there is, or where the
    index was searched by shortlist. Not part of the JSON."""
    make_region: RegionMaker | None = field(default=None, repr=False, compare=False)

    def region(self, level: float) -> Region:
        """The smallest set of cells that holds the truth with a probability.

        Args:
            level: between 0 and 1, for example 0.9.

        Raises:
            UsageError: the answer is not calibrated, or there is no such level.
        """
        if self.make_region is None:
            raise UsageError(
                f"index {self.index!r} gives no regions: it is not calibrated (python -m indexer "
                "calibrate), or was asked with weights of your own, or the answer was kept without "
                "its posterior"
            )
        return self.make_region(level)

    @property
    def sun(self) -> Suns:
        """Where the sun stood over each candidate as it is shown, or why that is not known."""
        return suns_over([c.shown_lonlat_deg for c in self.candidates], self.taken_at)

    def decision_geojson(self) -> dict[str, Any] | None:
        """What is answered with, as a GeoJSON Feature; None where nobody asked for a decision.

        Returns:
            Its properties are the fields of :attr:`decision`, and ``given``. Its geometry is the
            outline of the region; or the best guess as it is shown, which is the middle of the disc
            of ``radius_m`` metres; or null where nothing is answered.
        """
        if self.decision is None:
            return None
        geometry = None
        if self.decided_region is not None:
            geometry = self.decided_region.to_geojson()["geometry"]
        elif self.decision.radius_m is not None:
            lonlat_deg = self.candidates[0].shown_lonlat_deg
            point = [round(degrees, self.decimals) for degrees in lonlat_deg]
            geometry = {"type": "Point", "coordinates": point}
        told = {f"decision_{k}" if k == "kind" else k: v for k, v in asdict(self.decision).items()}
        properties = {"kind": "decision", **told, "given": self.given}
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    def without_posterior(self) -> Answer:
        """The same without what is as large as the index, to keep or to send many of them.

        It has its regions' sizes, and gives no outlines any more.
        """
        return replace(self, posterior=None, make_region=None)

    @property
    def decimals(self) -> int:
        """Decimals of a degree that are worth printing: a step of half the expected error.

        No coarser than the distance between two places of the answer, and 1 to 5: about a metre.
        """
        steps_m = [self.error_m / 2] if self.error_m else []
        steps_m += [self.merge_radius_m] if self.merge_radius_m else []
        wanted = math.ceil(math.log10(METRES_PER_DEG / min(steps_m))) if steps_m else _MOST_DECIMALS
        return min(max(wanted, 1), _MOST_DECIMALS)

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain JSON types, with ``schema_version`` and ``sun``."""
        hidden = ("posterior", "make_region", "decided_region", "taken_at")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in hidden}
        values["warnings"] = coded(self.warnings)
        values["sun"] = self.sun.to_dict()
        return {"schema_version": SCHEMA_VERSION, **{k: _plain(v) for k, v in values.items()}}


def _plain(value: Any) -> Any:  # noqa: ANN401 (any field)
    """A field as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {k: _plain(v) for k, v in asdict(value).items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
