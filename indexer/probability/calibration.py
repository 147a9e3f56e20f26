"""Calibration of an index: how far its answers can be believed, and the file that says so.

``calibration-<build>.npz`` lies in the index folder, beside the build it belongs to: a build never
changes, a calibration can be made again. It holds a JSON header and plain arrays, and is written
whole or not at all. Equal calibrations are equal bytes, but for the time in the header.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gair.arrays import Floats
from gair.errors import IndexCorruptError, IndexMismatchError, UsageError
from gair.files import dead_temporaries, open_file, write_whole
from gair.inputs.documents import json_of
from indexer.probability.basis import OTHER_REFERENCES, Basis, GroundBasis
from indexer.probability.cautions import Caution
from indexer.probability.chances import PlaceCurves, disjoint, most_sure
from indexer.probability.conditions import ALL_NAMES, CalibratedConditions
from indexer.probability.confidence import GROUPS, Curve, expit
from indexer.probability.conformal import GroupedMasses, region_mass
from indexer.probability.decisions import Trials, among_radii
from indexer.probability.likelihood_ratios import (
    PairRatio,
    RatioCurves,
    curves_from_json,
    curves_json,
    pairs_from_json,
)
from indexer.probability.open_world import BayesFactor
from indexer.probability.out_of_index import OutOfIndexTest
from indexer.probability.posterior import EARLIER_APART_RADII, ScoreWeights, SharedErrors

SCHEMA_VERSION = 9
"""Raised when an old reader could misread a new file. 2: conditions of photos are checked before
anything is promised. 3: reference photos have a weight. 4: their age may count. 5: altered photos
teach looks; true and false claims count as much as each other in a ratio; chances of several photos
have shifts. 6: what reference photos say is shared out among places that have some. 7: a photo may
be compared with what is expected of a place. 8: places of an answer may be nearer to each other. 9:
what is expected of a place may be a t distribution."""
READABLE = (1, 2, 3, 4, 5, 6, 7, 8, 9)
"""Versions that are read."""
AGAIN = "calibrate again with python -m indexer calibrate"
UNKNOWN_CONDITIONS = Caution(
    "calibrated before conditions were: whether the photo is like the calibration photos in its "
    f"light, season and camera is not checked; {AGAIN}",
    "conditions_unknown",
)

_PLAIN = (
    "schema_version",
    "build",
    "model_fingerprint",
    "created_utc",
    "photos",
    "left_out",
    "measured",
)
"""Fields that the header holds as they are."""
_PLAIN_OF_TEST = ("evidence", "likeness", "level", "miss_rate", "auroc", "elsewhere")
"""The same of the test of whether a photo is from the index."""
_TRIALS = ("radii_m", "disc_mass", "miss_m", "region_mass")
"""Arrays of the held-out places that decisions are learnt on."""
_GROUPED = ("mass", "sureness", "place", "named", "guessed")
"""Arrays of the held-out photos whose masses are grouped."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """How far the answers of one build can be believed, measured on photos whose place is known."""

    schema_version: int
    build: str
    """The build it was made for, and the only one it fits."""
    model_fingerprint: str
    created_utc: str
    photos: int
    """Photos that it rests on."""
    left_out: dict[str, int]
    """Photos that could not be used, by reason."""
    weights: ScoreWeights
    """How scores become likelihoods."""
    masses: Floats
    """(n,) the mass that regions need to reach the truth, ascending; of photos not used to fit."""
    confidence: dict[float, Curve]
    """Radius in metres to the curve from a disc's mass to the chance that it holds the truth, where
    the disc is around the centre of the best cell."""
    out_of_index: OutOfIndexTest
    """Whether a photo is from the index at all."""
    claims: dict[float, Floats]
    """Radius in metres to the share of places elsewhere that do as well as a true claim, ascending,
    one a photo."""
    false_claims: dict[float, Floats]
    """The same of random false claims."""
    photo_lonlat_deg: Floats
    """(n_all, 2) where the photos of the list were taken, as far as it says."""
    measured: dict[str, float]
    """What was measured on photos not used to fit."""
    refined_confidence: dict[float, Curve] = field(default_factory=dict)
    """The same around the refined point, which people are shown. Empty where the index has no token
    maps to refine with, and in files from before such points were calibrated: these hold for the
    centre only."""
    place_curves: PlaceCurves | None = None
    """The same of every place of an answer, within the merge radius of its cell's centre; None in
    files from before such chances were calibrated."""
    refined_place_curves: PlaceCurves | None = None
    """The same around refined points."""
    likelihood_ratios: RatioCurves = field(default_factory=dict)
    """Alternative to radius in metres to the curve from a claim's score to its likelihood ratio.
    Empty in files from before claims were weighed."""
    places: int | None = None
    """Places or sequences that the photos are of; None in files from before they were counted. From
    then on, what is promised counts places: arrays have one number a place, not one a photo."""
    trials: Trials | None = None
    """Held-out places that decisions are learnt on; None in files from before there were any."""
    conditions: CalibratedConditions | None = None
    """What the photos were like; None in files from before that was measured."""
    grouped_masses: GroupedMasses | None = None
    """The same as ``masses`` by condition and by how sure answers are; None in files from before
    regions were."""
    ground: GroundBasis | None = None
    """The reference photos it was made with; None where the index had none."""
    shared: SharedErrors | None = None
    """What photos of one place share at least; None where too few places had several photos, and in
    files from before that was measured."""
    pairs: PairRatio | None = None
    """What the likeness of two photos says of whether they are of one place; None in files from
    before that was measured."""
    ground_doubt: str = ""
    """Why it does not hold with the reference photos of the index as it is open; not kept."""

    @property
    def doubt(self) -> str:
        """Why nothing is promised; empty where it is."""
        return self.basis.doubt or self.ground_doubt

    def beside(self, references: str | None) -> Calibration:
        """The same as it holds beside a set of reference photos, by its hash; None for no set."""
        if references == (None if self.ground is None else self.ground.content_sha256):
            return self
        if self.ground is None or not self.weights.ground_weight:
            return self
        if references is not None:
            return replace(self, ground_doubt=OTHER_REFERENCES)
        return replace(
            self, ground_doubt=OTHER_REFERENCES, weights=replace(self.weights, ground_weight=0.0)
        )

    @property
    def basis(self) -> Basis:
        """What every answer says that it rests on."""
        return Basis(self.photos, self.places, self.created_utc)

    @property
    def independent(self) -> int:
        """Photos that its chances rest on."""
        return len(self.masses)

    def masses_of(self, sureness: float, *, named: str = "", guessed: str = "") -> Floats:
        """The masses of photos like one: :meth:`GroupedMasses.of`; else those of all."""
        if self.grouped_masses is None:
            return self.masses
        return self.grouped_masses.of(sureness, named=named, guessed=guessed)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What to know of everything that rests on it."""
        told = (self.doubt, "" if self.conditions else UNKNOWN_CONDITIONS)
        return tuple(caution for caution in told if caution)

    def place_chances(self, masses: Floats, radius_m: float, *, refined: bool = False) -> Floats:
        """How likely the truth is in the discs of an answer's (k,) places, best first.

        Args:
            masses: (k,) posterior masses of the discs, which are disjoint.
            radius_m: of the discs.
            refined: whether they are around refined points, or around the centres of cells.

        Returns:
            (k,) probabilities, falling, that add up to less than 1. At a radius that was not
            measured, the curves of the best guess stand in for those of all places:
            :meth:`knows_places`.
        """
        if self.knows_places(radius_m, refined=refined):
            curves = self.refined_place_curves if refined else self.place_curves
            assert curves is not None
            chances = curves.chances(masses)
        else:
            chances = self.confidence_within(masses, radius_m, refined=refined)
        return self.disjoint(chances)

    def disjoint(self, chances: Floats) -> Floats:
        """(k,) chances of disjoint places, best first: falling, and less than certain in all."""
        return disjoint(chances, most_sure(self.independent))

    def knows_places(self, radius_m: float, *, refined: bool = False) -> bool:
        """Whether chances of places were measured at a radius."""
        curves = self.refined_place_curves if refined else self.place_curves
        return curves is not None and math.isclose(curves.radius_m, radius_m, rel_tol=0.01)

    @property
    def looks(self) -> tuple[str, ...]:
        """Looks that altered photos taught; empty in files from before."""
        taught = None if self.conditions is None else self.conditions.taught
        return () if taught is None else taught.names

    @property
    def radii_m(self) -> tuple[float, ...]:
        """Those of confidences, ascending."""
        return tuple(sorted(self.confidence))

    def region_mass(self, level: float) -> float:
        """The posterior mass of regions that hold the truth as often as ``level``.

        Infinite where the photos are too few for the level.
        """
        return region_mass(self.masses, level)

    def shift_of(self, photos: int, radius_m: float) -> float:
        """What is added to the logit of a chance, if it is of so many photos of one place."""
        return 0.0 if photos < 2 or self.shared is None else self.shared.shift_at(radius_m)

    def independent_of(self, photos: int) -> int:
        """Photos that the chances of so many photos of one place rest on.

        The shift is one for all, where a curve is bent on a fifth of the photos.
        """
        if photos < 2 or self.shared is None or not self.shared.chance_shifts:
            return self.independent
        return min(self.independent, GROUPS * self.shared.places)

    def confidence_within(
        self,
        disc_mass: npt.ArrayLike,
        radius_m: float,
        *,
        refined: bool = False,
        photos: int = 1,
    ) -> Floats:
        """How likely the truth is within a radius of the best guess.

        Args:
            disc_mass: (...) posterior mass of the disc around it.
            radius_m: of that disc. Between the calibrated radii the logits are interpolated in the
                radius' logarithm; beyond them the nearest curve is used.
            refined: whether the guess is a refined point, or the centre of a cell.
            photos: of the one place, that the mass is of.

        Returns:
            (...) probabilities; more mass never means less.

        Raises:
            UsageError: refined points were not calibrated.
        """
        if refined and not self.refined_confidence:
            raise UsageError(f"the calibration holds for the centres of cells only: {AGAIN}")
        curves = self.refined_confidence if refined else self.confidence
        radii = sorted(curves)
        low, high, share = among_radii(radii, radius_m)
        below, above = curves[radii[low]], curves[radii[high]]
        logits = (1 - share) * below.logit_at(disc_mass) + share * above.logit_at(disc_mass)
        return expit(logits + self.shift_of(photos, radius_m))

    def confidences(self, disc_masses: Floats, *, refined: bool = False, photos: int = 1) -> Floats:
        """The same for (P, R) masses at :attr:`radii_m`, never less for a larger radius.

        No chance is more certain than the number of photos allows.
        """
        each = [
            self.confidence_within(mass, radius_m, refined=refined, photos=photos)
            for radius_m, mass in zip(self.radii_m, disc_masses.T, strict=True)
        ]
        if not each:
            return disc_masses
        rising = np.maximum.accumulate(np.stack(each, axis=1), axis=1)
        return np.minimum(rising, most_sure(self.independent))

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            StorageError: the disk refused.
        """
        arrays: dict[str, Any] = {
            "masses": self.masses,
            "familiarity_s": self.out_of_index.s,
            "familiarity_scores": self.out_of_index.scores,
            "photo_lonlat_deg": self.photo_lonlat_deg,
            **{f"claims_{radius!r}": values for radius, values in self.claims.items()},
            **{f"false_claims_{radius!r}": values for radius, values in self.false_claims.items()},
        }
        if self.trials is not None:
            arrays |= {f"trials_{name}": np.array(getattr(self.trials, name)) for name in _TRIALS}
        if self.conditions is not None:
            arrays |= self.conditions.arrays()
        if self.grouped_masses is not None:
            arrays |= {f"grouped_{name}": getattr(self.grouped_masses, name) for name in _GROUPED}
        header = json.dumps(_header(self), sort_keys=True).encode()
        buffer = io.BytesIO()
        np.savez(buffer, header=np.frombuffer(header, dtype=np.uint8), **arrays)
        for leftover in dead_temporaries(path.parent, CALIBRATION_FILES):
            leftover.unlink(missing_ok=True)
        write_whole(path, buffer.getvalue())


_ZIP_END_BYTES = 22
"""Of the record that ends a ZIP file without a comment (APPNOTE.TXT, section 4.3.16)."""
CALIBRATION_FILES = "calibration-*"
"""Names of calibrations beside the builds of an index."""


def calibration_path(index_folder: Path, build: str) -> Path:
    """Where the calibration of a build is kept."""
    return index_folder / f"calibration-{build}.npz"


def load_calibration(index_folder: Path, build: str, fingerprint: str) -> Calibration | None:
    """The calibration of a build; None where there is none.

    Args:
        index_folder: the folder that holds the builds.
        build: identifier of the one that serves.
        fingerprint: of the index's model.

    Raises:
        IndexMismatchError: the file belongs to another build or model, or is of another version.
        IndexCorruptError: it is damaged or cannot be read.
    """
    path = calibration_path(index_folder, build)
    try:
        arrays = _read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IndexCorruptError(
            f"cannot read {path}: {error.strerror or error}: make it readable, or {AGAIN}"
        ) from error
    except (ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise IndexCorruptError(f"{path} is damaged: {AGAIN}") from error
    try:
        header: dict[str, Any] = json_of(arrays.pop("header").tobytes())
        _check_fits(path, header, build, fingerprint)
        return _from_parts(header, arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IndexCorruptError(f"{path} is damaged: {AGAIN}") from error


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    with open_file(path) as file:
        # A ZIP file may have anything before and after it, and readers pass over that.
        begin, size = file.read(4), file.seek(0, os.SEEK_END)
        file.seek(max(size - _ZIP_END_BYTES, 0))
        end = file.read(4)
        if (begin, end) != (b"PK\3\4", b"PK\5\6"):
            raise zipfile.BadZipFile("bytes before or after it")
        with zipfile.ZipFile(file) as archive:
            if (damaged := archive.testzip()) is not None:  # compares every checksum
                raise zipfile.BadZipFile(damaged)
        file.seek(0)
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def _header(calibration: Calibration) -> dict[str, Any]:
    """Everything but the arrays, as JSON."""
    test = calibration.out_of_index
    return {name: getattr(calibration, name) for name in _PLAIN} | {
        "sharpness": asdict(calibration.weights),
        "confidence": _curves_json(calibration.confidence),
        "refined_confidence": _curves_json(calibration.refined_confidence),
        "place_curves": _places_json(calibration.place_curves),
        "refined_place_curves": _places_json(calibration.refined_place_curves),
        "places": calibration.places,
        "familiarity": {name: getattr(test, name) for name in _PLAIN_OF_TEST},
        "bayes_factor": None if test.bayes_factor is None else asdict(test.bayes_factor),
        "claims": sorted(calibration.claims),
        "likelihood_ratios": curves_json(calibration.likelihood_ratios),
        "conditions": None if calibration.conditions is None else list(ALL_NAMES),
        "ground": None if calibration.ground is None else asdict(calibration.ground),
        "shared": None if calibration.shared is None else asdict(calibration.shared),
        "pairs": None if calibration.pairs is None else asdict(calibration.pairs),
        "named": [] if calibration.conditions is None else list(calibration.conditions.named),
        "taught": list(calibration.looks),
    }


def _check_fits(path: Path, header: dict[str, Any], build: str, fingerprint: str) -> None:
    version = header["schema_version"]
    if version not in READABLE:
        raise IndexMismatchError(
            f"{path} has schema version {version!r}; this program reads {READABLE[0]} to "
            f"{READABLE[-1]}: {AGAIN}"
        )
    if header["build"] != build:
        raise IndexMismatchError(f"{path} belongs to build {header['build']!r}: {AGAIN}")
    if header["model_fingerprint"] != fingerprint:
        raise IndexMismatchError(
            f"{path} belongs to model {str(header['model_fingerprint'])[:12]}, the index to "
            f"{fingerprint[:12]}: {AGAIN}"
        )


def _from_parts(header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Calibration:
    test = {name: header["familiarity"][name] for name in _PLAIN_OF_TEST}
    for name in ("evidence", "likeness"):
        test[name] = tuple(test[name])
    radii = [float(radius) for radius in header["claims"]]
    return Calibration(
        **{name: header[name] for name in _PLAIN},
        weights=ScoreWeights(**{"apart_radii": EARLIER_APART_RADII} | header["sharpness"]),
        masses=arrays["masses"],
        confidence=_curves(header["confidence"]),
        refined_confidence=_curves(header.get("refined_confidence", [])),
        place_curves=_places(header.get("place_curves")),
        refined_place_curves=_places(header.get("refined_place_curves")),
        places=header.get("places"),
        out_of_index=OutOfIndexTest(
            s=arrays["familiarity_s"],
            scores=arrays["familiarity_scores"],
            bayes_factor=BayesFactor(**factor) if (factor := header.get("bayes_factor")) else None,
            **test,
        ),
        claims={radius: arrays[f"claims_{radius!r}"] for radius in radii},
        false_claims={radius: arrays[f"false_claims_{radius!r}"] for radius in radii},
        photo_lonlat_deg=arrays["photo_lonlat_deg"],
        likelihood_ratios=curves_from_json(header.get("likelihood_ratios", [])),
        trials=_trials(arrays),
        conditions=CalibratedConditions.from_arrays(
            names, arrays, header.get("named", ()), header.get("taught", ())
        )
        if (names := header.get("conditions"))
        else None,
        grouped_masses=_grouped(arrays, tuple(header.get("named", ()))),
        ground=GroundBasis(**ground) if (ground := header.get("ground")) else None,
        shared=_shared(shared) if (shared := header.get("shared")) else None,
        pairs=pairs_from_json(pairs) if (pairs := header.get("pairs")) else None,
    )


def _shared(fields: dict[str, Any]) -> SharedErrors:
    shifts = tuple((float(r), float(shift)) for r, shift in fields.get("chance_shifts", ()))
    return SharedErrors(**fields | {"chance_shifts": shifts})


def _trials(arrays: dict[str, npt.NDArray[Any]]) -> Trials | None:
    if "trials_radii_m" not in arrays:
        return None
    radii_m, disc_mass, miss_m, region_mass = (arrays[f"trials_{name}"] for name in _TRIALS)
    if not len(disc_mass) == len(miss_m) == len(region_mass):
        raise ValueError("trials of different length")
    return Trials(tuple(radii_m.tolist()), disc_mass, miss_m, region_mass)


def _grouped(arrays: dict[str, npt.NDArray[Any]], names: tuple[str, ...]) -> GroupedMasses | None:
    if "grouped_mass" not in arrays:
        return None
    columns = [arrays[f"grouped_{name}"] for name in _GROUPED]
    if len({len(column) for column in columns}) != 1:
        raise ValueError("grouped masses of different length")
    mass, sureness, place, named, guessed = columns
    return GroupedMasses(mass, sureness, place, named, guessed, names)


def _curves_json(curves: dict[float, Curve]) -> list[list[Any]]:
    return [[radius_m, asdict(curve)] for radius_m, curve in sorted(curves.items())]


def _curves(pairs: list[list[Any]]) -> dict[float, Curve]:
    return {float(radius_m): Curve.from_fields(fields) for radius_m, fields in pairs}


def _places_json(places: PlaceCurves | None) -> dict[str, Any] | None:
    return None if places is None else asdict(places)


def _places(values: dict[str, Any] | None) -> PlaceCurves | None:
    if values is None:
        return None
    best, further = (Curve.from_fields(values[name]) for name in ("best", "further"))
    return PlaceCurves(float(values["radius_m"]), best, further)
