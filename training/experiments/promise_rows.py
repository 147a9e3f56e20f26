"""Rows of the table of promises: what is stated of photos, and what is so.

Photos are asked about as a search asks, from their vectors and conditions as they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.probability.confidence import GROUPS
from indexer.probability.evidence import WELL_CALIBRATED
from training.experiments.promise_city import seen_of

if TYPE_CHECKING:
    from gair.arrays import Bools, Floats, Ints
    from indexer.photos.vectors import PhotoVectors
    from indexer.probability.calibration import Calibration
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator
    from indexer.search.scored import Seen

LEVEL, RADIUS_M, CLAIM_M = 0.9, 200.0, 500.0
"""Of regions; of chances; of claims and decisions, metres."""
MAX_ERROR_RATE = 0.1
"""Of decisions."""
KEPT, WITHHELD, BROKEN, TOLD = "kept", "withheld", "broken", "told"
"""What became of a promise; ``told``: nothing was promised, and it is said what is so."""
_NEARLY_NONE = 0.06
"""Promised of so few photos, a promise counts as withheld: one in twenty is flagged by chance, and
fewer pass by the same chance."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    """Which photos, and which number."""
    stated: str
    so: float | None
    """None where nothing was promised."""
    low: float | None
    """Of the 95 % interval, by places."""
    high: float | None
    photos: int
    """That the number is of."""
    places: int
    of: int
    """Photos that were asked about."""
    outcome: str


@dataclass(frozen=True, eq=False)
class Told:
    """What was said about P photos, and what is so."""

    said: Floats
    """Chance within the radius; NaN where none was said."""
    ends: Floats
    """(P, 2) of the interval that is said with it."""
    near: Bools
    promised: Bools
    refused: Bools
    covered: Bools
    place: Ints


def ask(
    geolocator: Geolocator, photos: PhotoVectors, groups: Sequence[Ints], place: Ints | None = None
) -> Told:
    """Ask about groups of photos of one place each; what is so is told photo by photo.

    Args:
        geolocator: of a calibrated index.
        photos: with their vectors and places.
        groups: rows of each; all places are theirs.
        place: (P,) which photos are of one place; by their group if None.
    """
    from gair.geo import haversine_m

    told: list[tuple[float, tuple[float, float], bool, bool, bool, bool, int]] = []
    for number, rows in enumerate(groups):
        answer = geolocator.search(seen_of(photos, rows), k=1)
        region = answer.region(LEVEL)
        said, ends = next(
            ((c.probability, c.interval) for c in answer.confidence if c.radius_m == RADIUS_M),
            (np.nan, (np.nan, np.nan)),
        )
        best = np.array(answer.candidates[0].shown_lonlat_deg)
        truth = geolocator.space.cell_row(photos.lonlat_deg[rows])
        held, away_m = np.isin(truth, region.rows), haversine_m(best, photos.lonlat_deg[rows])
        for row, here, metres in zip(rows.tolist(), held, away_m, strict=True):
            own = number if place is None else int(place[row])
            near = bool(metres <= RADIUS_M)
            told.append((said, ends, near, region.promised, region.refused, bool(here), own))
    columns = [np.array(column) for column in zip(*told, strict=True)]
    return Told(*columns)


def one_by_one(photos: PhotoVectors) -> list[Ints]:
    """Each photo that was taken somewhere, by itself."""
    return [np.array([row]) for row in np.flatnonzero(photos.usable)]


def in_groups(photos: PhotoVectors, count: int) -> list[Ints]:
    """So many photos after each other."""
    return list(np.arange(len(photos) // count * count).reshape(-1, count))


def share_row(
    what: str, stated: str, hits: Bools, place: Ints, of: int, holds: Callable[[Any], bool] | None
) -> Row:
    """A share of some of the photos that were asked about.

    Args:
        what: the line's name.
        stated: in words.
        hits: (P,).
        place: (P,).
        of: how many were asked about.
        holds: whether the interval of the share agrees with what is stated; None: nothing is.
    """
    from indexer.evaluate.bootstrap import Resamples
    from indexer.evaluate.probabilities import share_of

    if not len(hits) or (holds is not None and len(hits) < _NEARLY_NONE * of):
        return Row(what, stated, None, None, None, len(hits), 0, of, WITHHELD)
    share = share_of(np.asarray(hits, dtype=np.bool_), Resamples(place))
    outcome = TOLD if holds is None else KEPT if holds(share) else BROKEN
    numbers = (share["value"], share["low"], share["high"], share["photos"], share["places"])
    return Row(what, stated, *numbers, of, outcome)


def at_least(stated: float) -> Callable[[Any], bool]:
    """A share that may be more."""
    return lambda share: bool(share["high"] >= stated)


def at_most(stated: float) -> Callable[[Any], bool]:
    """A share that may be less."""
    return lambda share: bool(share["low"] <= stated)


def about(stated: Stated) -> Callable[[Any], bool]:
    """A share that may be neither: the two differ by no more than both intervals explain."""

    def holds(share: Any) -> bool:  # noqa: ANN401 (numbers of a share)
        if share["value"] >= stated.value:
            ends = share["value"] - share["low"], stated.high - stated.value
        else:
            ends = share["high"] - share["value"], stated.value - stated.low
        return bool(abs(share["value"] - stated.value) <= np.hypot(*ends))

    return holds


@dataclass(frozen=True)
class Stated:
    """A chance as it is said on average, with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def mean_of(cls, said: Floats, ends: Floats, parts: float = 1.0) -> Stated:
        """The mean of chances.

        Args:
            said: (P,).
            ends: (P, 2) of their intervals.
            parts: of the calibration's places; each interval rests on one, their mean on all.
        """
        kept = np.isfinite(said)
        if not kept.any():
            return cls(np.nan, np.nan, np.nan)
        value = float(said[kept].mean())
        low, high = value + (ends[kept].mean(axis=0) - value) / np.sqrt(parts)
        return cls(value, float(low), float(high))

    @property
    def words(self) -> str:
        """For the table."""
        if np.isnan(self.value):
            return "nothing"
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%}) on average"


def promise_rows(name: str, told: Told, *, refused: bool = False) -> list[Row]:
    """Region, chance, and share promised of photos asked about one by one."""
    asked, kept = len(told.near), told.promised
    said = Stated.mean_of(told.said[kept], told.ends[kept], GROUPS)
    place = told.place
    rows = [
        share_row(f"{name}: promised", "", kept, place, asked, None),
        share_row(
            f"{name}: {LEVEL:.0%} region holds the place, if promised",
            f"at least {LEVEL:.0%}",
            told.covered[kept], place[kept], asked, at_least(LEVEL),
        ),
        share_row(
            f"{name}: within {RADIUS_M:g} m, if promised",
            said.words,
            told.near[kept], place[kept], asked, about(said),
        ),
    ]  # fmt: skip
    if refused:
        line = f"{name}: refused as from elsewhere"
        rows.append(share_row(line, "at most 5%", told.refused, place, asked, at_most(0.05)))
    return rows


def parts_of(calibration: Calibration) -> float:
    """How many times as many places the mean chance of several photos rests on as each does.

    Each rests on a fifth of the places that curves were fitted on, or on all that the shift was, if
    these are fewer.
    """
    each = calibration.independent_of(2) / GROUPS
    shared = calibration.shared
    shifted = calibration.independent if shared is None else shared.places
    return min(calibration.independent, shifted) / each


def several_rows(name: str, told: Told, calibration: Calibration) -> list[Row]:
    """Region and chance of several photos of one place, which nothing is promised of."""
    said, asked = Stated.mean_of(told.said, told.ends, parts_of(calibration)), len(told.near)
    line = f"{name}: {LEVEL:.0%} region holds the place"
    return [
        share_row(line, f"at least {LEVEL:.0%}", told.covered, told.place, asked, at_least(LEVEL)),
        share_row(
            f"{name}: within {RADIUS_M:g} m",
            said.words,
            told.near, told.place, asked, about(said),
        ),
    ]  # fmt: skip


def claim_rows(name: str, geolocator: Geolocator, photos: PhotoVectors) -> list[Row]:
    """What becomes of true claims."""
    from indexer.probability.verdicts import CANNOT_TELL, UNLIKELY

    groups = one_by_one(photos)
    verdicts = [
        geolocator.verify(seen_of(photos, rows), *_lonlat(photos, rows), CLAIM_M) for rows in groups
    ]
    told = np.array([verdict.verdict for verdict in verdicts])
    judged, place = told != CANNOT_TELL, photos.place_of_photo[np.concatenate(groups)]
    line = f"{name}: true claims within {CLAIM_M:g} m called unlikely"
    return [
        share_row(line, "at most 5%", told == UNLIKELY, place, len(told), at_most(0.05)),
        share_row(f"{name}: true claims that are judged", "", judged, place, len(told), None),
    ]


def _lonlat(photos: PhotoVectors, rows: Ints) -> tuple[float, float]:
    lon_deg, lat_deg = photos.lonlat_deg[rows[0]].tolist()
    return lon_deg, lat_deg


def own_guess_rows(geolocator: Geolocator, photos: PhotoVectors, count: int) -> list[Row]:
    """The product's own best guess as a claim is no test, and it says so."""
    groups = one_by_one(photos)[:count]
    tested = []
    for rows in groups:
        seen = seen_of(photos, rows)
        best: Answer = geolocator.search(seen, k=1)
        lonlat_deg = best.candidates[0].shown_lonlat_deg
        tested.append(geolocator.verify(seen, *lonlat_deg, CLAIM_M).own_place)
    line, place = "own best guess as a claim: said to be no test", np.arange(len(groups))
    return [share_row(line, "100%", np.array(tested), place, len(groups), at_least(1.0))]


def nothing_rows(geolocator: Geolocator) -> list[Row]:
    """Photos of nothing: refused, nothing promised, no claim judged."""
    from PIL import Image

    from indexer.probability.verdicts import CANNOT_TELL

    rows = []
    for name, size in (("black photo", (640, 480)), ("1 x 1 photo", (1, 1))):
        seen = geolocator.seen([Image.new("RGB", size)])[0]
        region = geolocator.search(seen, k=1).region(LEVEL)
        lonlat_deg = geolocator.index.cells.lonlat_deg[0]
        lon_deg, lat_deg = (float(value) for value in lonlat_deg)
        verdict = geolocator.verify(seen, lon_deg, lat_deg, CLAIM_M).verdict
        right = region.refused and not region.promised and verdict == CANNOT_TELL
        one = np.array([right])
        rows.append(
            share_row(
                f"{name}: refused, nothing promised, claims cannot be told",
                "100%",
                one, np.arange(1), 1, at_least(1.0) if right else lambda _: False,
            )
        )  # fmt: skip
    return rows


def foreign_rows(name: str, geolocator: Geolocator, photos: PhotoVectors) -> list[Row]:
    """Photos that were not taken in the index: how many are promised something."""
    readable = np.flatnonzero(np.isfinite(photos.s).all(axis=1))
    answers = [geolocator.search(seen_of(photos, np.array([row])), k=1) for row in readable]
    promised = np.array([answer.region(LEVEL).promised for answer in answers])
    elsewhere = [e.probability for a in answers if (e := a.elsewhere) is not None]
    place, asked = np.arange(len(answers)), len(answers)
    calibration = geolocator.space.calibration
    miss = None if calibration is None else calibration.out_of_index.miss_rate
    stated = "" if miss is None else f"at most {miss:.0%} pass, as measured on others of that city"
    mean = float(np.mean(elsewhere)) if elsewhere else np.nan
    holds = None if miss is None else at_most(miss)
    line = f"{name}: promised (mean share of elsewhere said: {mean:.0%})"
    return [share_row(line, stated, promised, place, asked, holds)]


def decision_rows(geolocator: Geolocator, photos: PhotoVectors) -> list[Row]:
    """How often answers of each kind of decision are wrong."""
    from gair.geo import haversine_m

    kinds: list[str] = []
    wrong: list[bool] = []
    groups = one_by_one(photos)
    for of_photo in groups:
        answer = geolocator.search(
            seen_of(photos, of_photo), k=1, max_error_rate=MAX_ERROR_RATE, within_m=CLAIM_M
        )
        decision = answer.decision
        assert decision is not None
        kinds.append(decision.kind)
        if decision.radius_m is not None:
            best = np.array(answer.candidates[0].shown_lonlat_deg)
            missed_m = float(haversine_m(best, photos.lonlat_deg[of_photo[0]]))
            wrong.append(missed_m > decision.radius_m)
        else:
            truth = int(geolocator.space.cell_row(photos.lonlat_deg[of_photo])[0])
            region = answer.decided_region
            wrong.append(region is not None and truth not in region.rows)
    kind, bad = np.array(kinds), np.array(wrong, dtype=np.bool_)
    place, asked = photos.place_of_photo[np.concatenate(groups)], len(kinds)
    stated = f"at most {MAX_ERROR_RATE:.0%}"
    holds = at_most(MAX_ERROR_RATE)
    rows: list[Row] = []
    for name in ("within", "larger_disc", "region"):
        of = kind == name
        line = f"decisions at {MAX_ERROR_RATE:.0%} within {CLAIM_M:g} m: {name.replace('_', ' ')}"
        rows.append(share_row(f"{line}, wrong", stated, bad[of], place[of], int(of.sum()), holds))
        rows.append(share_row(f"{line}, of all photos", "", of, place, asked, None))
    return rows


def evidence_rows(geolocator: Geolocator, photos: PhotoVectors, outside: PhotoVectors) -> list[Row]:
    """Cost of the likelihood ratios beside the least that it could be."""
    from indexer.evaluate.bootstrap import Resamples
    from indexer.evaluate.claim_evidence import Located, evidence_report

    space, rows = geolocator.space, np.flatnonzero(photos.usable)
    cell = space.cell_row(photos.lonlat_deg[rows])
    rows, cell = rows[cell >= 0], cell[cell >= 0]
    located = Located(photos.s[rows], photos.lonlat_deg[rows], cell)
    report = evidence_report(space, located, outside, Resamples(photos.place_of_photo[rows]))
    told = []
    for row in report.get("rows", []):
        cost, least = row["cllr"], row["least_cllr"]
        outcome = KEPT if cost["low"] <= WELL_CALIBRATED * least else BROKEN
        name = f"Cllr of ratios against {row['alternative']}, within {row['radius_m']:g} m"
        stated = f"at most {WELL_CALIBRATED:g} x {least:.3f}, the least after PAV"
        ends, claims = (cost["value"], cost["low"], cost["high"]), row["true_claims"]
        told.append(Row(name, stated, *ends, claims, claims, claims, outcome))
    return told


def copies_rows(geolocator: Geolocator, photos: PhotoVectors, count: int) -> list[Row]:
    """The same photo four times says no more than once."""
    alike = []
    for rows in one_by_one(photos)[:count]:
        once = seen_of(photos, rows)
        four: Seen = once.together([once] * 4)
        answers = [geolocator.search(seen, k=1) for seen in (once, four)]
        alike.append(answers[0].candidates == answers[1].candidates)
    line, place = "the same photo four times: the same answer as once", np.arange(len(alike))
    return [share_row(line, "100%", np.array(alike), place, len(alike), at_least(1.0))]
