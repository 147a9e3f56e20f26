"""Scored photos, and the posterior, confidence and membership that their scores give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gair.arrays import Floats, Ints, Scores, Vectors
from gair.photos.photo import conditions_of, content_of
from gair.photos.sun import first_moment
from indexer.ground.likelihood import GroundEvidence
from indexer.probability.cautions import Caution
from indexer.probability.conditions import in_words, supposed, unlike_caution, unlike_said
from indexer.probability.open_world import EVEN, Elsewhere, bound_of, elsewhere_of
from indexer.probability.out_of_index import evidence_of, nearest_cosine
from indexer.probability.posterior import (
    ScoreWeights,
    log_likelihood,
    posterior,
    posterior_by_each,
    same_place,
    shared_by,
)
from indexer.search.answer import GIVEN_HERE, NO_CONTENT, NOT_IN_INDEX, Membership
from indexer.search.space import SearchSpace

if TYPE_CHECKING:
    from gair.photos.photo import Photo


@dataclass(frozen=True, eq=False)
class Seen:
    """The photos of one place as the model sees them."""

    photos: tuple[Photo, ...]
    """M photos."""
    s: Vectors
    """(M, D)."""
    repeats: tuple[str, ...] = field(default=(), kw_only=True)
    """Names of further photos that are copies of these, and count no second time."""
    repeats_sha256: tuple[str, ...] = field(default=(), kw_only=True)
    """Of their files."""
    left_out: tuple[Ints, ...] | None = field(default=None, kw_only=True)
    """Of each photo, the rows of the reference photos that are no evidence of it, where its answer
    is compared with what is known to be true; None for none of any."""

    def one_by_one(self) -> Sequence[Seen]:
        """Each photo for itself."""
        return [
            Seen((photo,), self.s[[n]], left_out=self._own(n))
            for n, photo in enumerate(self.photos)
        ]

    def _own(self, number: int) -> tuple[Ints, ...] | None:
        return None if self.left_out is None else (self.left_out[number],)

    def distinct(self) -> Self:
        """Each photo once, however often it was given: the same pixels are the same photo."""
        if len(self.photos) == 1:
            return self
        first: dict[str, int] = {}
        for number, photo in enumerate(self.photos):
            first.setdefault(content_of(photo), number)
        rows = list(first.values())
        if len(rows) == len(self.photos):
            return self
        others = [photo for n, photo in enumerate(self.photos) if n not in rows]
        return replace(
            self._taken(rows),
            repeats=(*self.repeats, *(photo.name for photo in others)),
            repeats_sha256=(*self.repeats_sha256, *(photo.sha256 for photo in others)),
        )

    def _taken(self, rows: list[int]) -> Self:
        left_out = None if self.left_out is None else tuple(self.left_out[n] for n in rows)
        photos = tuple(self.photos[n] for n in rows)
        return replace(self, photos=photos, s=self.s[rows], left_out=left_out)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all photos, copies last."""
        return (*(photo.name for photo in self.photos), *self.repeats)

    @property
    def sha256(self) -> tuple[str, ...]:
        """Of the files of all photos, copies last."""
        return (*(photo.sha256 for photo in self.photos), *self.repeats_sha256)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What is odd about the files, and how many are copies."""
        alone = len(self.photos) == 1
        odd = [
            Caution(note.text if alone else f"{photo.name}: {note.text}", note.code)
            for photo in self.photos
            for note in photo.notes
        ]
        return (*odd, self.repeats_said) if self.repeats else tuple(odd)

    @property
    def repeats_said(self) -> Caution:
        """How many copies were left out, in a sentence."""
        count = len(self.repeats)
        copies = "is a copy of another" if count == 1 else "are copies of others"
        total = len(self.photos) + count
        return Caution(f"{count} of {total} photos {copies}: each photo counts once", "copies")

    @property
    def shows_nothing(self) -> str:
        """Why there is nothing to see in one of the photos; empty where there is in all."""
        return next((why for p in self.photos if (why := conditions_of(p).nothing)), "")

    @property
    def captured_at(self) -> str | None:
        """When they were taken, as their files say; None where none does."""
        return first_moment(photo.captured_at for photo in self.photos)

    @staticmethod
    def together(parts: Sequence[Seen]) -> Seen:
        """One place, of which each part is a photo or several; scored if all of them are."""
        photos = tuple(photo for part in parts for photo in part.photos)
        repeats = tuple(name for part in parts for name in part.repeats)
        sha256 = tuple(digest for part in parts for digest in part.repeats_sha256)
        s = np.concatenate([part.s for part in parts])
        told: dict[str, Any] = {
            "repeats": repeats,
            "repeats_sha256": sha256,
            "left_out": _left_out_of(parts),
        }
        scored = [part for part in parts if isinstance(part, Scored)]
        if len(scored) < len(parts):
            return Seen(photos, s, **told)
        rs = np.concatenate([part.rs for part in scored])
        location = np.concatenate([part.location for part in scored])
        return Scored(photos, s, rs, location, **told)


@dataclass(frozen=True, eq=False)
class Scored(Seen):
    """The same, scored against every cell."""

    rs: Vectors
    """(M, N) cosines of the imagery."""
    location: Vectors
    """(M, N) cosines of the location embeddings."""

    @classmethod
    def of(cls, seen: Seen, rs: Vectors, location: Vectors) -> Scored:
        """Photos with the cosines of their cells."""
        return cls(
            seen.photos,
            seen.s,
            rs,
            location,
            repeats=seen.repeats,
            repeats_sha256=seen.repeats_sha256,
            left_out=seen.left_out,
        )

    @property
    def cosines(self) -> tuple[Vectors, Vectors]:
        """(M, N) of the imagery and of the location."""
        return self.rs, self.location

    def one_by_one(self) -> Sequence[Scored]:
        """Each photo for itself."""
        return [
            Scored((photo,), self.s[[n]], self.rs[[n]], self.location[[n]], left_out=self._own(n))
            for n, photo in enumerate(self.photos)
        ]

    def _taken(self, rows: list[int]) -> Self:
        return replace(super()._taken(rows), rs=self.rs[rows], location=self.location[rows])


def _left_out_of(parts: Sequence[Seen]) -> tuple[Ints, ...] | None:
    """What is no evidence of each photo of all parts; None for nothing of any."""
    if all(part.left_out is None for part in parts):
        return None
    none = np.empty(0, dtype=np.int64)
    each = [
        (none,) * len(part.photos) if part.left_out is None else part.left_out for part in parts
    ]
    return tuple(rows for of_part in each for rows in of_part)


def scores_for(space: SearchSpace, s: Vectors, weights: ScoreWeights) -> tuple[Vectors, Vectors]:
    """Cosines of (P, D) photos as far as they have weight: (P, N) imagery, (P, N) location.

    A location without weight is never looked at: the imagery's cosines stand in its place.
    """
    if weights.reads_location:
        return space.scores(s)
    rs = space.index.rs.scores(s)
    return rs, rs


def posteriors(
    space: SearchSpace,
    rs: Vectors,
    location: Vectors,
    weights: ScoreWeights,
    log_weight: Floats | None = None,
    ground: GroundEvidence | None = None,
) -> Floats:
    """How likely each cell is, by each photo alone.

    Args:
        space: the N cells.
        rs: (P, N) cosines of the imagery.
        location: (P, N) cosines of the location embeddings.
        weights: of a calibration.
        log_weight: (N,) of :class:`indexer.search.prior.Prior`; None where nothing is known.
        ground: of the photos; None where reference photos have no weight.

    Returns:
        (P, N); each photo's add up to 1.
    """
    blur, log_prior = space.blur(weights.spread_m), _log_prior(space, log_weight)
    return posterior_by_each(rs, location, weights, blur, log_prior, ratios_of(ground))


def likeness_mass(space: SearchSpace, scores: Scores, radius_m: float | None = None) -> Floats:
    """What ranks the places of an index that is not calibrated: likeness all around each cell.

    A model is trained so that exp(score / temperature) is how likely a place is, up to a factor;
    here it is summed within a radius, as probabilities are (:meth:`SearchSpace.place_mass`). With
    a radius of 0 cells are ranked by their scores.

    Args:
        space: the N cells.
        scores: (P, N) weighted cosines; -inf where the photo cannot have been taken.
        radius_m: of a place; the merge radius unless given.

    Returns:
        (P, N) logs; -inf where the score is.
    """
    logs = np.asarray(scores, dtype=np.float64) / space.model.config.temperature
    logs -= logs.max(axis=1, keepdims=True)
    mass = space.place_mass(np.exp(logs), radius_m)
    # Far below the best cell sums are too small for a float: there the cell alone has to do.
    with np.errstate(divide="ignore"):
        return np.where(mass > 0, np.log(mass), logs)


def ratios_of(ground: GroundEvidence | None) -> Vectors | None:
    """(P, N) log ratios of reference photos; None where they have no weight."""
    return None if ground is None else ground.log_ratios


def posterior_blocks(
    space: SearchSpace,
    s: Vectors,
    weights: ScoreWeights,
    left_out: Sequence[Ints] | None = None,
) -> Iterator[tuple[slice, Floats]]:
    """Posteriors of (P, D) photos, a block at a time, so that memory does not grow with them.

    Args:
        space: the N cells.
        s: vectors of the photos.
        weights: of a calibration.
        left_out: of each photo, the reference photos that are no evidence of it.

    Yields:
        The rows of a block of B photos, and their (B, N) posteriors.
    """
    for block in space.blocks(len(s)):
        scores = scores_for(space, s[block], weights)
        ground = space.ground_evidence(s[block], scores, weights, left_out and left_out[block])
        yield block, posteriors(space, *scores, weights, ground=ground)


def cell_posterior(
    space: SearchSpace,
    scored: Scored,
    weights: ScoreWeights,
    log_weight: Floats | None = None,
    ground: GroundEvidence | None = None,
) -> Floats:
    """(N,) how likely each cell is, by all the photos of one place together."""
    return joint_posterior(space, scored, weights, log_weight, ground)[0]


def joint_posterior(
    space: SearchSpace,
    scored: Scored,
    weights: ScoreWeights,
    log_weight: Floats | None = None,
    ground: GroundEvidence | None = None,
) -> tuple[Floats, float]:
    """The same, and what the sum over the photos was divided by, for what they share."""
    if len(scored.s) == 1:
        p = posteriors(space, scored.rs, scored.location, weights, log_weight, ground)[0]
        return np.asarray(p), 1.0
    log_prior, ratios = _log_prior(space, log_weight), ratios_of(ground)
    blur = space.blur(weights.spread_m)
    each = log_likelihood(scored.rs, scored.location, weights, blur, ratios)
    divisor = shared_by(each, log_prior, space.least_shared)
    return np.asarray(posterior(same_place(each, divisor), log_prior)[0]), divisor


def _log_prior(space: SearchSpace, log_weight: Floats | None) -> Floats:
    return space.log_prior if log_weight is None else space.log_prior + log_weight


def prior_shares(space: SearchSpace, log_weight: Floats | None = None) -> Floats:
    """(N,) what is known of each cell before a photo is looked at, adding up to 1."""
    logs = _log_prior(space, log_weight)
    shares = np.exp(logs - logs.max())
    return np.asarray(shares / shares.sum())


def confidences(
    space: SearchSpace, p: Floats, lonlat_deg: Floats, *, refined: bool, photos: int = 1
) -> Floats:
    """How likely each photo was taken within each calibrated radius of a point.

    Args:
        space: of a calibrated index.
        p: (P, N) posteriors.
        lonlat_deg: (P, 2) the point of each photo that people are shown.
        refined: whether the points were refined, or are centres of cells.
        photos: of one place, that each posterior is of.

    Returns:
        (P, R), the radii ascending; never less for a larger one.
    """
    assert space.calibration is not None
    masses = space.masses_within(p, lonlat_deg, space.calibration.radii_m)
    return space.calibration.confidences(masses, refined=refined, photos=photos)


def evidence(
    space: SearchSpace,
    s: Vectors,
    weights: ScoreWeights,
    left_out: Sequence[Ints] | None = None,
) -> Floats:
    """How well any place explains each of (P, D) photos, (P,) nats.

    Args:
        space: the cells.
        s: vectors of the photos.
        weights: of a calibration.
        left_out: of each photo, the reference photos that are no evidence of it.
    """
    each = [np.empty(0)]
    for block in space.blocks(len(s)):
        scores = scores_for(space, s[block], weights)
        ground = space.ground_evidence(s[block], scores, weights, left_out and left_out[block])
        each.append(evidence_of(*scores, weights, space.area_m2, ratios_of(ground)))
    return np.concatenate(each)


def membership_of(
    space: SearchSpace,
    scored: Scored,
    elsewhere_prior: float = EVEN,
    ground: GroundEvidence | None = None,
) -> tuple[Membership, Elsewhere]:
    """Whether the photos are of this index; of several, the strangest one decides.

    Args:
        space: of a calibrated index.
        scored: the photos of one place.
        elsewhere_prior: that they are from elsewhere, before they are looked at.
        ground: of the photos; None where reference photos have no weight.

    Returns:
        The test, and the share of "not in this index". Photos of one place look alike, so of
        several the Bayes factor is that of their mean score, as if they were one.
    """
    assert space.calibration is not None
    test = space.calibration.out_of_index
    weights, ratios = space.calibration.weights, ratios_of(ground)
    nats = evidence_of(scored.rs, scored.location, weights, space.area_m2, ratios)
    scores = test.score(scored.s, nats)
    p_values = test.p_value(scores)
    p_value = min(1.0, float(p_values.min()) * len(p_values))  # Bonferroni
    in_index = p_value >= test.level and not scored.shows_nothing
    membership = Membership(p_value, test.level, in_index, test.miss_rate)
    if test.bayes_factor is None:
        return membership, elsewhere_of(elsewhere_prior, bound_of(p_value), "bound")
    factor = test.bayes_factor.at(float(scores.mean()))
    return membership, elsewhere_of(elsewhere_prior, factor, "measured")


@dataclass(frozen=True)
class Standing:
    """Whether what calibration measured holds for the photos of one place."""

    membership: Membership
    """Whether they are of the index."""
    elsewhere: Elsewhere
    """How likely they are not."""
    unlike: tuple[str, ...]
    """The conditions in which they are unlike the calibration photos."""
    unstated: tuple[str, ...]
    """The conditions that are compared, but that they do not state."""
    looks_like: str
    """The condition that the calibration photos' list names and that they look like; empty for
    none."""
    cautions: tuple[Caution, ...]
    """Why nothing is promised of them; empty where it is."""

    @property
    def refused(self) -> bool:
        """Whether they look like nothing in the index, or show nothing."""
        return not self.membership.in_index

    @property
    def alike(self) -> bool:
        """Whether they are of the index, and like the calibration photos."""
        return not self.cautions

    @property
    def given(self) -> str:
        """What every probability of theirs holds under."""
        given = GIVEN_HERE
        if self.unstated:
            words = in_words(self.unstated)
            given += f", with {words}, which it does not state, like the calibration photos'"
        if self.unlike:
            given += f", and {supposed(self.unlike)}"
        return given


def why_not(
    membership: Membership | None, unlike: Sequence[str], nothing: str
) -> tuple[Caution, ...]:
    """Why nothing that calibration measured holds for a photo, each in a clause.

    Args:
        membership: whether it is of the index; None where that was not tested.
        unlike: conditions in which it is unlike the calibration photos.
        nothing: why there is nothing to see in it; empty where there is.
    """
    clauses = []
    if nothing:
        clauses.append(Caution(f"there is nothing to see in the photo ({nothing})", "no_content"))
    elif membership is not None and not membership.in_index:
        clauses.append(Caution("the photo looks like nothing in this index", "not_in_index"))
    if unlike:
        clauses.append(Caution(unlike_said(unlike), "unlike_calibration"))
    return tuple(clauses)


def standing_of(
    space: SearchSpace,
    scored: Scored,
    elsewhere_prior: float = EVEN,
    ground: GroundEvidence | None = None,
) -> Standing:
    """Whether what calibration measured holds for the photos; of several, the strangest decides.

    Args:
        space: of a calibrated index.
        scored: the photos of one place.
        elsewhere_prior: that they are from elsewhere, before they are looked at.
        ground: of the photos; None where reference photos have no weight.
    """
    assert space.calibration is not None
    membership, elsewhere = membership_of(space, scored, elsewhere_prior, ground)
    unlike: tuple[str, ...] = ()
    unstated: tuple[str, ...] = ()
    looks_like = ""
    cautions: list[Caution] = []
    if scored.shows_nothing:
        cautions.append(NO_CONTENT)
    elif not membership.in_index:
        cautions.append(NOT_IN_INDEX)
    if space.calibration.conditions is not None and not scored.shows_nothing:
        values = np.stack([conditions_of(photo).values for photo in scored.photos])
        likeness = nearest_cosine(scored.s, space.calibration.out_of_index.s)
        unlike = space.calibration.conditions.unlike(values, likeness)
        unstated = space.calibration.conditions.unstated(values)
        cautions += [unlike_caution(unlike)] * bool(unlike)
        looks_like = space.calibration.conditions.looks_like(values)
    return Standing(membership, elsewhere, unlike, unstated, looks_like, tuple(cautions))
